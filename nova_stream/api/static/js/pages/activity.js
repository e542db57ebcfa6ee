// What happens, as it happens.

import { toAgent, toTask } from "../address.js";
import { words } from "../format.js";
import { html } from "../lib.js";
import { Ago, Empty, Waiting } from "../parts/common.js";
import { Filter } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";
import { lacking } from "../rights.js";
import { activities } from "../state.js";

const TONES = { task_completed: "good", task_failed: "bad", task_started: "busy" };
const SHOWN = 60;

/** The newest activities, from the stream. */
export function Feed() {
  const rows = lacking("documents") ? null : activities.value;
  if (rows === null) return html`<${Waiting} scope="documents" what="Activity" />`;
  if (rows.length === 0) return html`<${Empty}>Nothing has happened yet.<//>`;
  return html`
    <ol class="feed" tabindex="0" aria-labelledby="activity-heading">
      ${rows.slice(0, SHOWN).map((row) => html`
        <li key=${row.id} data-tone=${TONES[row.eventType] || ""}>
          <p>${agentOf(row)} <span class="kind">${words(row.eventType)}</span>
            <span class="note at"><${Ago} time=${row.timestamp} /></span></p>
          ${row.details && html`<p class="note details">${row.details}</p>`}
        </li>`)}
    </ol>`;
}

function agentOf(row) {
  return row.agentName ? html`<a href=${toAgent(row.agentName)}>${row.agentName}</a>` : "(no agent)";
}

const COLUMNS = [
  { key: "agentName", title: "Agent", value: (row) => row.agentName, cell: agentOf },
  { key: "eventType", title: "Event", value: (row) => row.eventType, cell: (row) => html`<span class="badge" data-tone=${TONES[row.eventType] || ""}><span class="clamp">${words(row.eventType)}</span></span>` },
  { key: "timestamp", title: "Time", kind: "number", value: (row) => row.timestamp, cell: (row) => html`<${Ago} time=${row.timestamp} />` },
  { key: "taskId", title: "Task", kind: "text", value: (row) => row.taskId, cell: (row) => (row.taskId ? html`<a href=${toTask(row.taskId)}>${row.taskId}</a>` : "") },
  { key: "details", title: "Details", kind: "text", value: (row) => row.details, cell: (row) => row.details || "" },
];

export function Activity() {
  const list = useList("/api/v1/activity", ["agent", "build", "user", "eventType", "q"], "documents");
  return html`
    <${Page} title="Activity">
      <div class="filters">
        <${Filter} label="Details" />
        <${Filter} name="agent" label="Agent" />
        <${Filter} name="eventType" label="Event type" />
        <${Filter} name="build" label="Build (ID)" />
        <${Filter} name="user" label="User (userId)" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Activity" none="Nothing has happened yet." name="activity" columns=${COLUMNS} />
    <//>`;
}
