// What needs attention: open alerts, who sees to them, and those that have ended.

import { useParameters, withParameters } from "../address.js";
import { ask } from "../api.js";
import { words } from "../format.js";
import { html } from "../lib.js";
import { Ago, Choice, Waiting } from "../parts/common.js";
import { say } from "../parts/dialogs.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { Pager, ROWS } from "../parts/paging.js";
import { alerts, useResource } from "../resources.js";
import { admin } from "../rights.js";

const SHOWN = 5; // on the overview
const STATES = [["open", "Open"], ["ended", "Ended"]];

async function acknowledge(alert) {
  try {
    await ask(`/api/v1/alerts/${alert.id}/acknowledge`, { method: "POST" });
    say(`Alert ${alert.id} is yours: others see that you see to it.`);
  } catch (error) {
    say(error.message);
  }
}

/** Who sees to an open alert, or the button with which somebody says so. */
function SeenTo({ alert }) {
  if (alert.acknowledgedBy) {
    return html`<p class="note">Seen to by <strong>${alert.acknowledgedBy}</strong>, <${Ago} time=${alert.acknowledgedAt} /></p>`;
  }
  if (alert.endedAt || !admin.value.allowed) return null;
  return html`
    <div class="buttons row"><button type="button" aria-label="Acknowledge alert ${alert.id}"
      onClick=${() => acknowledge(alert)}>Acknowledge</button></div>`;
}

function Alert({ alert }) {
  const tone = alert.endedAt ? "" : alert.acknowledgedBy ? "busy" : "bad";
  return html`
    <li data-tone=${tone}>
      <p><strong>${words(alert.kind)}</strong> <span class="kind">${alert.subject}</span>
        <span class="note at">${alert.endedAt
          ? html`ended <${Ago} time=${alert.endedAt} />`
          : html`since <${Ago} time=${alert.beganAt} />`}</span></p>
      <p class="details">${alert.message}</p>
      <${SeenTo} alert=${alert} />
    </li>`;
}

function List({ rows }) {
  return html`<ol class="feed">${rows.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ol>`;
}

/** The newest open ones, for the overview. */
export function OpenAlerts() {
  const rows = alerts.data.value?.items;
  if (!rows) return html`<${Waiting} resource=${alerts} what="Alerts" />`;
  return html`
    <div class="box" role="status">
      ${rows.length === 0 ? html`<p class="fine">No open alerts.</p>` : html`<${List} rows=${rows.slice(0, SHOWN)} />`}
      ${rows.length > SHOWN && html`<p class="note">${rows.length - SHOWN} more open</p>`}
    </div>`;
}

export function Alerts() {
  const { query, change } = useParameters();
  const ended = query.state === "ended";
  const path = withParameters("/api/v1/alerts", { open: String(!ended), limit: ROWS, cursor: query.cursor });
  const list = useResource(path, 1000, "stats");
  const answer = list.data.value;
  return html`
    <${Page} title="Alerts">
      <div class="filters"><${Choice} label="Which alerts" options=${STATES} value=${ended ? "ended" : "open"}
        onChoose=${(state) => change({ state: state === "open" ? null : state, cursor: null })} /></div>
      ${!answer && html`<${Instead} resource=${list} what="Alerts" />`}
      ${answer && html`
        <${Stale} resource=${list} />
        <div class="box" role="status">
          ${answer.items.length === 0
            ? html`<p class="fine">${ended ? "No alert has ended yet." : "No open alerts."}</p>`
            : html`<${List} rows=${answer.items} />`}
        </div>
        <${Pager} answer=${answer} rows=${answer.items} />`}
    <//>`;
}
