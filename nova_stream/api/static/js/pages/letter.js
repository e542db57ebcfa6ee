// A dead letter with its bytes, and what can be done about it.

import { useParameters } from "../address.js";
import { ask } from "../api.js";
import { integer, NOTHING, words } from "../format.js";
import { html, useState } from "../lib.js";
import { Badge, Choice, Facts, Place, Section, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Confirm, openDialog, say } from "../parts/dialogs.js";
import { decoded, HexView } from "../parts/hex.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { useResource } from "../resources.js";

const path = (letter, action = "") => `/api/v1/dead-letters/${letter.id}${action}`;

function RetryDialog({ letter, close, done }) {
  const act = async () => {
    await ask(path(letter, "/retry"), { method: "POST" });
    say(`Dead letter ${letter.id} is published again.`);
    done();
  };
  return html`
    <${Confirm} title="Publish letter ${letter.id} again?" label="Publish again" act=${act} close=${close}>
      <p class="note">The original record goes to Kafka with its original version, so it never overwrites something newer.
        If its cause is still there, it comes back as a new dead letter.</p>
    <//>`;
}

function DiscardDialog({ letter, close, done }) {
  const act = async () => {
    await ask(path(letter, "/discard"), { method: "POST" });
    say(`Dead letter ${letter.id} is set aside.`);
    done();
  };
  return html`
    <${Confirm} title="Set letter ${letter.id} aside?" label="Set aside" danger act=${act} close=${close}>
      <p class="note">It is no longer counted as open. Its bytes are kept, and it can still be published again.</p>
    <//>`;
}

function Headers({ headers }) {
  if (headers.length === 0) return NOTHING;
  return html`<ul class="bare">${headers.map(({ name, value, valueBase64 }, place) => html`
    <li key=${place}><code>${name}: ${valueBase64 === null ? "null" : value ?? `${valueBase64} (base64)`}</code></li>`)}</ul>`;
}

function Bytes({ whole }) {
  const [view, setView] = useState(whole.valueText === null ? "hex" : "text");
  if (whole.valueBase64 === null) return html`<p class="note">The record has no value (a tombstone).</p>`;
  return html`
    <${Choice} label="How the bytes are shown" value=${view} onChoose=${setView}
      options=${[["text", "Text"], ["hex", "Hex"]]} />
    ${view === "hex"
      ? html`<${HexView} bytes=${decoded(whole.valueBase64)} />`
      : html`<pre class="bytes" tabindex="0" aria-label="Value as text">${whole.valueText ?? "These bytes are no text (UTF-8)."}</pre>`}`;
}

const BUTTONS = [["Retry…", RetryDialog, "main"], ["Discard…", DiscardDialog, ""]];

export function Letter({ params }) {
  const { query } = useParameters();
  const id = params.id ?? query.id;
  const asked = useResource(`/api/v1/dead-letters/${encodeURIComponent(id)}`, 5000, "admin");
  const letter = asked.data.value;
  const tools = letter && html`
    <${Badge} name=${letter.state} />
    ${BUTTONS.map(([label, view, kind]) => html`
      <button type="button" key=${label} class=${kind}
        onClick=${() => openDialog(view, { letter, done: () => asked.refresh() })}>${label}</button>`)}`;
  return html`
    <${Page} title="Dead letter ${id}" crumbs=${[["/dead-letters", "Dead letters"]]} tools=${tools}>
      <${Instead} resource=${asked} what="The letter" />
      ${letter && html`
        <${Stale} resource=${asked} />
        <${Facts} facts=${[
          ["Reason", html`<strong>${words(letter.reason)}</strong>: ${letter.detail}`],
          ["Where", html`<${Place} of=${letter} />`],
          ["Failed", html`<${When} time=${letter.recordedAt} />`],
          ["Key", letter.key === null ? NOTHING : html`<${Id} id=${letter.key} what="key" />`],
          ["Attempts", integer(letter.attempts)],
          ["Headers", html`<${Headers} headers=${letter.headers} />`],
        ]} />
        <${Section} id="value" title="Value"><${Bytes} whole=${letter} /><//>`}
    <//>`;
}
