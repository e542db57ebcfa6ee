// What needs attention: open alerts.

import { ask } from "../api.js";
import { words } from "../format.js";
import { html, useState } from "../lib.js";
import { Ago, Empty, Section, Waiting } from "../parts/common.js";
import { alerts } from "../resources.js";

function Alert({ alert }) {
  return html`
    <li data-tone=${alert.endedAt ? "" : "bad"}>
      <p><strong>${words(alert.kind)}</strong> <span class="kind">${alert.subject}</span>
        <span class="note at">${alert.endedAt
          ? html`ended <${Ago} time=${alert.endedAt} />`
          : html`since <${Ago} time=${alert.beganAt} />`}</span></p>
      <p class="details">${alert.message}</p>
    </li>`;
}

/** Those that are over, asked for when somebody wants to see them. */
function Ended() {
  const [rows, setRows] = useState(null);
  const look = async (event) => {
    if (!event.currentTarget.open) return;
    const answer = await ask("/api/v1/alerts?open=false&limit=20").catch(() => null);
    setRows(answer ? answer.items : []);
  };
  return html`
    <details class="ended" onToggle=${look}>
      <summary>Those that are over</summary>
      ${rows && rows.length === 0 && html`<p class="note">None.</p>`}
      ${rows && html`<ol class="feed">${rows.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ol>`}
    </details>`;
}

export function Alerts() {
  const rows = alerts.data.value?.items;
  return html`
    <${Section} id="alerts" title="Alerts">
      ${!rows && html`<${Waiting} resource=${alerts} what="Alerts" />`}
      ${rows && html`<div class="box">
        <div role="status">
          ${rows.length === 0 && html`<p class="fine">No open alerts.</p>`}
          ${rows.length > 0 && html`<ol class="feed">${rows.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ol>`}
        </div>
        <${Ended} />
      </div>`}
    <//>`;
}
