// What a figure of an agent is made of: its rows, and the event that last changed it.

import { toExecution, toTask, useParameters, withParameters } from "../address.js";
import { duration, integer, NOTHING, percent } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Choice, Facts, Place, Section, When } from "../parts/common.js";
import { Instead, Stale } from "../parts/page.js";
import { Pager, ROWS } from "../parts/paging.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";

const FIGURES = [
  ["totalTasks", "All tasks"],
  ["completedTasks", "Done"],
  ["failedTasks", "Failed"],
  ["successRate", "Success, of all tasks"],
  ["avgDuration", "Avg duration"],
  ["lastActive", "Last active"],
];

const COLUMNS = [
  { key: "id", title: "Row", value: (row) => row.id, cell: (row) => html`<${Name} row=${row} />` },
  { key: "status", title: "Status", kind: "status", label: null, value: (row) => row.status ?? row.kind, cell: (row) => (row.status ? html`<${Badge} name=${row.status} />` : row.kind) },
  { key: "duration", title: "Duration", kind: "number", value: (row) => row.duration, cell: (row) => (row.duration === null || row.duration === undefined ? NOTHING : duration(row.duration)) },
  { key: "time", title: "Time", kind: "number", value: (row) => row.timestamp || row.createdAt, cell: (row) => html`<${When} time=${row.timestamp || row.createdAt} />` },
  { key: "event", title: "Event", kind: "number", value: (row) => `${row.event.topic}/${row.event.partition}/${row.event.offset}`, cell: (row) => html`<${Place} of=${row.event} />` },
];

function Name({ row }) {
  const address = row.kind === "task" ? toTask(row.id) : row.kind === "execution" ? toExecution(row.id) : null;
  return html`
    ${address ? html`<a href=${address}>${row.title || row.id}</a>` : row.title || row.id}
    <span class="role">${row.kind}${row.title ? html` <code>${row.id}</code>` : ""}</span>`;
}

function written(figure, value) {
  if (value === null || value === undefined) return NOTHING;
  if (figure === "successRate") return percent(value);
  if (figure === "avgDuration") return duration(value);
  return typeof value === "number" ? integer(value) : value;
}

function LastChange({ change }) {
  if (!change) return html`<p class="note">No event is known to have changed it.</p>`;
  return html`<${Facts} facts=${[
    ["Last changed", html`<${When} time=${change.changedAt} />, <${Ago} time=${change.changedAt} />`],
    ["By the event", html`<${Place} of=${change} />`],
    ["Of the row", html`<code>${change.entityId}</code>`],
  ]} />`;
}

export function Explanation({ name, figure, choose }) {
  const { query } = useParameters();
  const path = withParameters("/api/v1/agent/explain", { name, unregistered: "true", figure, limit: ROWS, cursor: query.cursor });
  const asked = useResource(path, 5000, "documents");
  const answer = asked.data.value;
  return html`
    <${Section} id="explanation" title="What it is made of"
      tools=${html`<${Choice} label="Figure" options=${FIGURES} value=${figure} onChoose=${choose} />`}>
      ${!answer && html`<${Instead} resource=${asked} what="The rows" />`}
      ${answer && html`
        <${Stale} resource=${asked} />
        <div class="box explained">
          <p class="big" data-figure=${answer.figure}>${written(answer.figure, answer.value)}</p>
          <div><p>${answer.formula}</p>
            <p class="note">${Object.entries(answer.rows).map(([row, count]) => `${row} ${integer(count)}`).join(", ")}</p></div>
          <${LastChange} change=${answer.lastChange} />
        </div>
        ${answer.items.length > 0
          ? html`<${Table} name="rows" label="Rows" columns=${COLUMNS} rows=${answer.items} keyOf=${(row) => `${row.kind}/${row.id}`} />
              <${Pager} answer=${answer} rows=${answer.items} name="${name}-${figure}" columns=${COLUMNS} />`
          : html`<p class="empty">It is made of no rows.</p>`}`}
    <//>`;
}
