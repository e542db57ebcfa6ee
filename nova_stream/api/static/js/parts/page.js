// What every page is made of: its heading, and what it says when there is nothing to show.

import { html, useEffect } from "../lib.js";
import { lacking } from "../rights.js";
import { now } from "../state.js";
import { roughly } from "../format.js";
import { Waiting } from "./common.js";
import { pageTitle } from "../top.js";

/** ``crumbs``: [[address, title]] of what this page belongs to; ``tab``: its name in the tab. */
export function Page({ title, tab = title, crumbs = [], note = null, tools = null, children }) {
  useEffect(() => {
    pageTitle.value = tab;
  }, [tab]);
  return html`
    <div class="page-heading">
      ${crumbs.length > 0 && html`
        <nav class="crumbs" aria-label="Where this page is">
          ${crumbs.map(([address, name]) => html`<span key=${address}><a href=${address}>${name}</a></span>`)}
        </nav>`}
      <h1 tabindex="-1" title=${title}>${title}</h1>
      ${note && html`<p class="note">${note}</p>`}
      ${tools && html`<div class="tools">${tools}</div>`}
    </div>
    ${children}`;
}

/**
 * What stands in place of ``resource``'s answer while there is none: that a scope is missing, that
 * there is no such thing, or why it cannot be shown. Null once there is an answer.
 */
export function Instead({ resource, what }) {
  const allowed = !lacking(resource.scope);
  const failure = resource.failure.value;
  if (allowed && failure?.status === 404) {
    return html`<div class="empty missing" role="alert"><p><strong>${failure.message}</strong></p>
      <p>It may have been deleted, or the address may be wrong.</p></div>`;
  }
  if (allowed && resource.data.value) return null;
  return html`<${Waiting} resource=${resource} what=${what} />`;
}

/** Says that what is shown could not be brought up to date. */
export function Stale({ resource }) {
  const failure = resource.failure.value;
  if (!failure || !resource.data.value || failure.status === 401) return null;
  const known = resource.answeredAt.value;
  return html`<p class="stale" role="status">${failure.reason} ${known ? `What is shown is ${roughly(now.value - known)} old.` : "What is shown is old."}</p>`;
}

export function Missing() {
  return html`<${Page} title="Page not found">
    <div class="empty missing" role="alert"><p>There is no page at <code>${location.pathname}</code>.</p>
      <p><a href="/">Go to the overview</a></p></div>
  <//>`;
}
