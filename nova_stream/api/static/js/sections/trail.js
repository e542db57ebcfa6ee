// The audit trail: who did what, and what was refused.

import { integer, NOTHING } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Cell, Choice, Section, Waiting } from "../parts/common.js";
import { trail, trailShown } from "../resources.js";
import { lacking } from "../rights.js";

const SHOWN = [["all", "All"], ["refused", "Refused"]];
const COLUMNS = [["Action", ""], ["On", ""], ["Token", ""], ["From", ""], ["Outcome", ""], ["Times", "number"], ["Last", "number"]];

function Row({ line }) {
  return html`
    <tr role="row" data-line=${line.id}>
      <th role="rowheader" scope="row" class="name"><code>${line.action}</code></th>
      <${Cell} class="text" label="On">${line.object ?? ""}<//>
      <${Cell} label="Token">${line.token ?? NOTHING}<//>
      <${Cell} label="From"><code>${line.address ?? NOTHING}</code><//>
      <${Cell} label="Outcome"><${Badge} name=${line.refused ? "failed" : line.outcome} text=${line.outcome} /><//>
      <${Cell} class="number" label="Times">${integer(line.requests)}<//>
      <${Cell} class="number" label="Last"><${Ago} time=${line.until} /><//>
    </tr>`;
}

export function Trail() {
  const rows = trail.data.value?.items;
  const choose = (shown) => {
    trailShown.value = shown;
    trail.refresh();
  };
  const tools = !lacking("admin") && html`<${Choice} label="Which lines of the trail" options=${SHOWN} value=${trailShown.value} onChoose=${choose} />`;
  return html`
    <${Section} id="trail" title="Audit trail" tools=${tools}>
      ${!rows && html`<${Waiting} resource=${trail} what="The trail" />`}
      ${rows && rows.length === 0 && html`<p class="empty fine">${trailShown.value === "refused" ? "Nothing was refused." : "Nothing was done yet."}</p>`}
      ${rows && rows.length > 0 && html`
        <div class="scroll" role="region" aria-labelledby="trail-heading" tabindex="0">
          <table role="table" class="stack trail">
            <thead role="rowgroup"><tr role="row">
              ${COLUMNS.map(([title, kind]) => html`<th role="columnheader" scope="col" key=${title} class=${kind}><span>${title}</span></th>`)}
            </tr></thead>
            <tbody role="rowgroup">${rows.map((line) => html`<${Row} key=${line.id} line=${line} />`)}</tbody>
          </table>
        </div>
        ${trail.data.value.nextCursor && html`<p class="note">The newest 50 are shown; <code>nova-stream trail</code> shows more.</p>`}`}
    <//>`;
}
