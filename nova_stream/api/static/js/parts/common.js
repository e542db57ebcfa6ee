// Small pieces that every page uses.

import { ago, NOTHING, until, when } from "../format.js";
import { html, useRef } from "../lib.js";
import { lacking, unsaid } from "../rights.js";
import { now } from "../state.js";

/** A figure that lights up when it changes; screen readers are left in peace. */
export function Figure({ text }) {
  const last = useRef(text);
  const moved = useRef(false);
  if (last.current !== text) {
    moved.current = last.current !== NOTHING;
    last.current = text;
  }
  return html`<span key=${text} class=${moved.current ? "changed" : ""}>${text}</span>`;
}

export function Ago({ time }) {
  return html`<time datetime=${time || ""} title=${time || ""}>${ago(time, now.value)}</time>`;
}

export function Until({ time }) {
  return html`<time datetime=${time || ""} title=${time || ""}>${until(time, now.value)}</time>`;
}

export function When({ time }) {
  return html`<time datetime=${time || ""} title=${time || ""}>${when(time, now.peek())}</time>`;
}

const TONES = {
  completed: "good", done: "good", succeeded: "good", ok: "good", went_well: "good", active: "good", late: "warn",
  failed: "bad", went_wrong: "bad", missed: "bad", blocked: "warn",
  running: "busy", pending: "", ready: "", paused: "warn", skipped: "warn",
  waiting: "", open: "warn", retried: "good", discarded: "",
};

/** A state as a word with a mark; the colour alone says nothing. */
export function Badge({ name, text = null, title = null }) {
  const shown = text || (name ? name.replaceAll("_", " ") : NOTHING);
  return html`<span class="badge" data-tone=${TONES[name] || ""} title=${title}>${shown}</span>`;
}

/** A part of a page. */
export function Section({ id, title, note = null, tools = null, class: kind = "", children }) {
  return html`
    <section id=${id} class=${kind} aria-labelledby="${id}-heading">
      <div class="heading">
        <h2 id="${id}-heading">${title}</h2>
        ${note && html`<p class="note">${note}</p>`}
        ${tools && html`<div class="tools">${tools}</div>`}
      </div>
      ${children}
    </section>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/**
 * What stands there before the first answer of ``resource``, or of the stream, or while it fails.
 * Before the server has said what the token may do nothing is asked, so that this is what fails.
 */
export function Waiting({ resource = null, scope = resource.scope, what }) {
  const reason = lacking(scope);
  if (reason) return html`<p class="empty">${reason}</p>`;
  const failure = resource?.failure.value || unsaid.value;
  if (failure && failure.status !== 401) return html`<p class="empty">${what} cannot be shown: ${failure.reason}</p>`;
  return html`<p class="empty" aria-busy="true">Waiting for ${what.toLowerCase()}…</p>`;
}

/** A cell; on a phone, where rows become cards, its label stands above it. */
export function Cell({ label = null, class: kind = "", children, ...rest }) {
  return html`<td role="cell" class=${kind} data-label=${label} ...${rest}>${children}</td>`;
}

/** Buttons of which one is chosen. */
export function Choice({ label, options, value, onChoose }) {
  return html`
    <div class="choice" role="group" aria-label=${label}>
      ${options.map(([name, text]) => html`
        <button type="button" key=${name} aria-pressed=${String(name === value)}
          onClick=${() => onChoose(name)}>${text}</button>`)}
    </div>`;
}

/** Where a record lies in Kafka. */
export function Place({ of }) {
  return html`<code title="topic / partition / offset">${of.topic} / ${of.partition} / ${of.offset}</code>`;
}

/** Facts with their names: [[name, what]]; those that are null are left out. */
export function Facts({ facts }) {
  return html`
    <dl class="facts">
      ${facts.filter(([, what]) => what !== null && what !== undefined).map(([name, what]) => html`
        <div key=${name}><dt>${name}</dt><dd>${what}</dd></div>`)}
    </dl>`;
}
