// The top of every page: the connection's state, the way to the pages, and the token.

import { PAGES } from "./address.js";
import { integer } from "./format.js";
import { effect, html, signal, useLocation, useState } from "./lib.js";
import { alerts, status } from "./resources.js";
import { named, rights } from "./rights.js";
import { openSearch } from "./search.js";
import { askForToken } from "./signin.js";
import { Banner, standing } from "./standing.js";
import { Theme } from "./theme.js";
import { declined, token } from "./token.js";

/** Open alerts that nobody sees to. */
const unseen = () => alerts.data.value?.items.filter((alert) => !alert.acknowledgedBy).length || 0;

/** What the page that is open is called. */
export const pageTitle = signal("");

effect(() => {
  const { name, text } = standing.value;
  const open = unseen();
  const parts = [pageTitle.value, "nova-stream"].filter(Boolean).join(" – ");
  document.title = `${open ? `(${open}) ` : ""}${parts}${name === "live" ? "" : ` – ${text}`}`;
  document.body.dataset.state = name;
});

function belongs(path, [address, , others]) {
  return path === address || others.includes(path) || (address !== "/" && path.startsWith(`${address}/`));
}

function Link({ page, path }) {
  const [address, title] = page;
  const counts = { "/alerts": unseen(), "/dead-letters": status.data.value?.openDeadLetters };
  const count = counts[address];
  return html`
    <li><a href=${address} aria-current=${belongs(path, page) ? "page" : undefined}>${title}
      ${count ? html` <span class="count">${integer(count)}<span class="sr-only"> open</span></span>` : ""}</a></li>`;
}

function Navigation() {
  const { path } = useLocation();
  const [openAt, setOpenAt] = useState(null); // the address at which the menu of narrow windows was opened
  const open = openAt === path;
  const current = PAGES.find((page) => belongs(path, page));
  return html`
    <nav aria-label="Pages" data-open=${String(open)}>
      <button type="button" class="menu" aria-expanded=${String(open)} aria-controls="pages"
        onClick=${() => setOpenAt(open ? null : path)}><span aria-hidden="true">☰</span> ${current ? current[1] : "Pages"}</button>
      <ul id="pages">
        ${PAGES.map((page) => html`<${Link} key=${page[0]} page=${page} path=${path} />`)}
        <li class="out"><a href="/docs">API</a></li>
      </ul>
    </nav>`;
}

export function Top() {
  const { name, text } = standing.value;
  return html`
    <header class="top">
      <div class="bar">
        <a class="brand" href="/"><img src="/static/icon.svg" alt="" width="28" height="28" />nova-stream</a>
        <p class="state" id="state" data-state=${name} role="status">
          <span class="dot" aria-hidden="true"></span><span id="state-text">${text}</span></p>
        <div class="end">
          <${Theme} />
          <button type="button" class="find" onClick=${openSearch}>Search <kbd aria-hidden="true">/</kbd></button>
          ${(token.value || declined.value) && html`<button type="button" title=${rights.value?.name ? `${rights.value.name}: ${named(rights.value.scopes)}` : undefined} onClick=${askForToken}>Token</button>`}
        </div>
      </div>
      <${Navigation} />
    </header>
    <${Banner} />`;
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function Footer() {
  return html`<footer class="note">Times are in ${zone}${zone === "UTC" ? "" : "; hover over one to see it in UTC"}. Keys: <kbd>?</kbd></footer>`;
}
