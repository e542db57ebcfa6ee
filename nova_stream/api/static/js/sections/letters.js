// Dead letters: what could not be applied, with its bytes.

import { ask } from "../api.js";
import { integer, NOTHING, size, words } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Ago, Badge, Cell, Choice, Section, Waiting, When } from "../parts/common.js";
import { Confirm, Modal, openDialog, say } from "../parts/dialogs.js";
import { letters, letterState } from "../resources.js";
import { admin } from "../rights.js";
import { decoded, HexView } from "../parts/hex.js";

const STATES = [["open", "Open"], ["retried", "Retried"], ["discarded", "Discarded"]];
const COLUMNS = [["Letter", ""], ["Reason", ""], ["Where", ""], ["Size", "number"], ["Failed", "number"]];

const path = (letter, action = "") => `/api/v1/dead-letters/${letter.id}${action}`;

function RetryDialog({ letter, close, done }) {
  const act = async () => {
    await ask(path(letter, "/retry"), { method: "POST" });
    say(`Dead letter ${letter.id} is published again.`);
    letters.refresh();
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
    letters.refresh();
    done();
  };
  return html`
    <${Confirm} title="Set letter ${letter.id} aside?" label="Set aside" danger act=${act} close=${close}>
      <p class="note">It is no longer counted as open. Its bytes are kept, and it can still be published again.</p>
    <//>`;
}

function useLetter(letter) {
  const [found, setFound] = useState({});
  useEffect(() => {
    ask(path(letter)).then((whole) => setFound({ whole }), (failure) => setFound({ failure }));
  }, [letter.id]);
  return found;
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

function LetterView({ letter, close }) {
  const { whole, failure } = useLetter(letter);
  const buttons = [["Retry…", RetryDialog, "main"], ["Discard…", DiscardDialog, ""]];
  return html`
    <${Modal} id="letter-heading" class="sheet" title="Dead letter ${letter.id}" close=${close}>
      <dl class="facts">
        <div><dt>Reason</dt><dd><strong>${words(letter.reason)}</strong>: ${letter.detail}</dd></div>
        <div><dt>Where</dt><dd><code>${letter.topic} / ${letter.partition} / ${letter.offset}</code></dd></div>
        <div><dt>Failed</dt><dd><${When} time=${letter.recordedAt} /></dd></div>
        <div><dt>Key</dt><dd><code>${whole?.key ?? letter.key ?? NOTHING}</code></dd></div>
        <div><dt>Attempts</dt><dd>${integer(letter.attempts)}</dd></div>
        <div><dt>State</dt><dd><${Badge} name=${letter.state} /></dd></div>
        <div><dt>Headers</dt><dd>${whole ? html`<${Headers} headers=${whole.headers} />` : NOTHING}</dd></div>
      </dl>
      ${failure && html`<p class="failure" role="alert">${failure.message}</p>`}
      ${!whole && !failure && html`<p class="note" aria-busy="true">Asking for its bytes…</p>`}
      ${whole && html`<${Bytes} whole=${whole} />`}
      <div class="buttons">
        ${buttons.map(([label, view, kind]) => html`
          <button type="button" key=${label} class=${kind}
            onClick=${() => openDialog(view, { letter, done: close })}>${label}</button>`)}
      </div>
    <//>`;
}

function Row({ letter }) {
  return html`
    <tr role="row" data-letter=${letter.id}>
      <th role="rowheader" scope="row" class="name">
        <button type="button" class="link" onClick=${() => openDialog(LetterView, { letter })}
          aria-label="Open dead letter ${letter.id}">#${letter.id}</button>
      </th>
      <${Cell} class="text" label="Reason"><strong>${words(letter.reason)}</strong> <span class="note">${letter.detail}</span><//>
      <${Cell} label="Where"><code>${letter.topic} / ${letter.partition} / ${letter.offset}</code><//>
      <${Cell} class="number" label="Size">${size(letter.size)}<//>
      <${Cell} class="number" label="Failed"><${Ago} time=${letter.recordedAt} /><//>
    </tr>`;
}

export function DeadLetters() {
  const rows = letters.data.value?.items;
  const { reason } = admin.value;
  const choose = (state) => {
    letterState.value = state;
    letters.refresh();
  };
  const tools = !reason && html`<${Choice} label="Dead letters of which state" options=${STATES} value=${letterState.value} onChoose=${choose} />`;
  return html`
    <${Section} id="dead-letters" title="Dead letters" tools=${tools}>
      ${reason && html`<p class="empty">${reason}</p>`}
      ${!reason && !rows && html`<${Waiting} resource=${letters} what="Dead letters" />`}
      ${!reason && rows && rows.length === 0 && html`<p class="empty fine">No ${letterState.value} dead letters.</p>`}
      ${!reason && rows && rows.length > 0 && html`
        <div class="scroll" role="region" aria-labelledby="dead-letters-heading" tabindex="0">
          <table role="table" class="stack letters">
            <thead role="rowgroup"><tr role="row">
              ${COLUMNS.map(([title, kind]) => html`<th role="columnheader" scope="col" key=${title} class=${kind}><span>${title}</span></th>`)}
            </tr></thead>
            <tbody role="rowgroup">${rows.map((letter) => html`<${Row} key=${letter.id} letter=${letter} />`)}</tbody>
          </table>
        </div>
        ${letters.data.value.nextCursor && html`<p class="note">The newest 100 are shown; <code>nova-stream dead-letters list</code> shows more.</p>`}`}
    <//>`;
}
