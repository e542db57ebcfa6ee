// Keys: they work wherever nobody is typing, and ? tells them.

import { html, useEffect, useLocation } from "./lib.js";
import { dialogOpen, Modal, openDialog } from "./parts/dialogs.js";
import { openSearch } from "./search.js";

const PAUSE = 1500; // milliseconds between g and the letter after it

/** After g: where each letter leads. */
const PLACES = {
  o: ["/", "Overview"], a: ["/agents", "Agents"], b: ["/builds", "Builds"], t: ["/tasks", "Tasks"],
  e: ["/executions", "Executions"], v: ["/activity", "Activity"], u: ["/users", "Users"], n: ["/engagement", "Engagement"], j: ["/jobs", "Jobs"],
  d: ["/dead-letters", "Dead letters"], l: ["/alerts", "Alerts"], s: ["/stream", "Stream"], r: ["/trail", "Audit trail"],
};

const KEYS = [
  ["/ or Ctrl K", "Search"],
  ["j, k", "The next, the previous row"],
  ["n, p", "The next, the previous page of a list"],
  ["Enter", "Open"],
  ["Esc", "Close what is open"],
  ["?", "These keys"],
  ...Object.entries(PLACES).map(([letter, [, title]]) => [`g ${letter}`, title]),
];

function Help({ close }) {
  return html`
    <${Modal} id="keys-heading" title="Keys" close=${close}>
      <dl class="facts keys">${KEYS.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <//>`;
}

/** Move the focus to the next row's link, or the previous one's. */
function step(by) {
  const rows = [...document.querySelectorAll("main tbody > tr, main .feed > li")];
  const links = rows.map((row) => row.querySelector("th a, p a")).filter(Boolean);
  const at = links.findIndex((link) => link.closest("tr, li").contains(document.activeElement));
  links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by]?.focus();
}

const typing = (element) => element.matches("input, textarea, select, [contenteditable]");

/** Listens to keys; draws nothing. */
export function Keyboard() {
  const { route } = useLocation();
  useEffect(() => {
    let wentAt = 0;
    const press = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        openSearch();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || dialogOpen() || typing(event.target)) return;
      const after = Date.now() - wentAt < PAUSE;
      wentAt = event.key === "g" ? Date.now() : 0;
      const acts = {
        "/": openSearch,
        "?": () => openDialog(Help),
        j: () => step(1),
        k: () => step(-1),
        n: () => document.querySelector("main a[rel=next]")?.click(),
        p: () => document.querySelector("main a[rel=prev]")?.click(),
      };
      const act = after && PLACES[event.key] ? () => route(PLACES[event.key][0]) : acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [route]);
  return null;
}
