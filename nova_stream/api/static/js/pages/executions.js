// All executions, newest first or of an agent the longest first, archived ones too.

import { toAgent, toExecution, toTask, useParameters } from "../address.js";
import { duration, NOTHING } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Empty } from "../parts/common.js";
import { Filter, FilterChoice, FilterList } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";

const STATUSES = [["all", "All"], ["succeeded", "Succeeded"], ["failed", "Failed"], ["archived", "Archived"]];

/** The columns that executions have everywhere. */
export const EXECUTION = {
  id: { key: "id", title: "Execution", value: (row) => row.id, cell: (row) => html`<a href=${toExecution(row.id)}>${row.id}</a>` },
  status: { key: "status", title: "Status", kind: "status", label: null, value: (row) => row.status, cell: (row) => html`<${Badge} name=${row.status} />` },
  agent: { key: "agent", title: "Agent", kind: "text", value: (row) => row.agent, cell: (row) => html`<a href=${toAgent(row.agent)}>${row.agent || "(no agent)"}</a>` },
  task: { key: "taskId", title: "Task", kind: "text", value: (row) => row.taskId, cell: (row) => (row.taskId ? html`<a href=${toTask(row.taskId)}>${row.taskId}</a>` : "") },
  model: { key: "model", title: "Model", kind: "text", value: (row) => row.model, cell: (row) => row.model || "" },
  duration: { key: "duration", title: "Duration", kind: "number", value: (row) => row.duration, cell: (row) => (row.duration === null ? NOTHING : duration(row.duration)) },
  timestamp: { key: "timestamp", title: "Time", kind: "number", value: (row) => row.timestamp, cell: (row) => html`<${Ago} time=${row.timestamp} />` },
  error: { key: "error", title: "Error", kind: "text", value: (row) => row.error, cell: (row) => row.error || "" },
};

const SORTED = new Set([EXECUTION.duration, EXECUTION.timestamp]);
const COLUMNS = [EXECUTION.id, EXECUTION.status, EXECUTION.agent, EXECUTION.task, EXECUTION.model, EXECUTION.duration, EXECUTION.timestamp, EXECUTION.error]
  .map((column) => (SORTED.has(column) ? column : { ...column, sorted: false }));

const LONGEST = "-duration";
const ORDERS = [[LONGEST, "Longest first"]];

/** The titles of two columns choose the order. */
function useOrder() {
  const { query, change } = useParameters();
  const longest = query.order === LONGEST;
  const choose = (column) => change({ order: column === EXECUTION.duration ? LONGEST : null, cursor: null });
  return { sort: { key: longest ? "duration" : "timestamp", down: true, choose }, lacks: longest && !(query.agent && (query.since || query.from)) };
}

function Ordered({ sort }) {
  const list = useList("/api/v1/executions", ["status", "agent", "task", "build", "q", "minDuration", "order"], "stats or documents");
  return html`<${List} list=${list} what="Executions" none="No executions yet." name="executions" columns=${COLUMNS} sort=${sort} />`;
}

export function Executions() {
  const { sort, lacks } = useOrder();
  return html`
    <${Page} title="Executions">
      <div class="filters">
        <${FilterChoice} name="status" label="Executions of which status" options=${STATUSES} />
        <${Filter} label="Part of the ID" />
        <${Filter} name="agent" label="Agent" />
        <${Filter} name="task" label="Task (ID)" />
        <${Filter} name="build" label="Build (ID)" />
        <${Filter} name="minDuration" label="Took at least (ms)" />
        <${RangePicker} />
        <${FilterList} name="order" label="Order" options=${ORDERS} all="Newest first" />
      </div>
      ${lacks
        ? html`<${Empty}>The longest first are those of one agent in a range of time: name the agent and choose a time above.<//>`
        : html`<${Ordered} sort=${sort} />`}
    <//>`;
}
