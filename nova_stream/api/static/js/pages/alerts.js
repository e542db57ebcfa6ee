// What needs attention: open alerts, who sees to them, and those that have ended.

import { toJob, useParameters } from "../address.js";
import { ask } from "../api.js";
import { words } from "../format.js";
import { html } from "../lib.js";
import { Ago, Waiting } from "../parts/common.js";
import { say } from "../parts/dialogs.js";
import { Filter, FilterChoice, FilterList } from "../parts/filter.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { isFiltered, Pager, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";
import { alerts, status } from "../resources.js";
import { admin } from "../rights.js";

const SHOWN = 5; // on the overview
const STATES = [["true", "Open"], ["false", "Ended"]];
const KINDS = ["success_rate", "slow", "table_size", "growth", "health", "missed", "drift", "source", "dead_letters"];
const OF_TOPICS = { source: "/stream", dead_letters: "/dead-letters" };
const OF_TABLES = new Set(["table_size", "growth"]); // which the job healthCheck measures

/** What is saved of an alert. */
const COLUMNS = ["id", "kind", "subject", "message", "value", "beganAt", "endedAt", "acknowledgedBy", "acknowledgedAt"].map((key) => ({ key, value: (alert) => alert[key] }));

/** Where the subject of an alert is looked at. */
function addressOf(alert) {
  return OF_TOPICS[alert.kind] || toJob(OF_TABLES.has(alert.kind) ? "healthCheck" : alert.subject);
}

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
      <p><strong>${words(alert.kind)}</strong> <a class="kind" href=${addressOf(alert)}>${alert.subject}</a>
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

/** Workers look for what needs an alert: while none runs, nobody does. */
function NoneOpen() {
  if (status.data.value?.workers === 0) return html`<p class="empty">None is open, but no worker runs to look for new ones.</p>`;
  return html`<p class="fine">No open alerts.</p>`;
}

/** The newest open ones, for the overview. */
export function OpenAlerts() {
  const rows = alerts.data.value?.items;
  if (!rows) return html`<${Waiting} resource=${alerts} what="Alerts" />`;
  return html`
    <div class="box" role="status">
      ${rows.length === 0 ? html`<${NoneOpen} />` : html`<${List} rows=${rows.slice(0, SHOWN)} />`}
      ${rows.length > SHOWN && html`<p class="note">${rows.length - SHOWN} more open</p>`}
    </div>`;
}

export function Alerts() {
  const { query } = useParameters();
  const list = useList("/api/v1/alerts", ["open", "kind", "q"], "stats", { open: "true" });
  const answer = list.data.value;
  const none = isFiltered(query) ? html`<p class="fine">No alerts with these filters.</p>` : html`<${NoneOpen} />`;
  return html`
    <${Page} title="Alerts">
      <div class="filters">
        <${FilterChoice} name="open" label="Which alerts" options=${STATES} />
        <${Filter} label="Subject or message" />
        <${FilterList} name="kind" label="Kind" options=${KINDS.map((kind) => [kind, words(kind)])} />
        <${RangePicker} />
      </div>
      ${!answer && html`<${Instead} resource=${list} what="Alerts" />`}
      ${answer && html`
        <${Stale} resource=${list} />
        <div class="box" role="status">
          ${answer.items.length === 0 ? none : html`<${List} rows=${answer.items} />`}
        </div>
        <${Pager} answer=${answer} rows=${answer.items} name="alerts" columns=${COLUMNS} />`}
    <//>`;
}
