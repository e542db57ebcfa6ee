// All executions, newest first, archived ones too.

import { toAgent, toExecution, toTask } from "../address.js";
import { duration, NOTHING } from "../format.js";
import { html } from "../lib.js";
import { Ago } from "../parts/common.js";
import { Filter } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";

/** The columns that executions have everywhere. */
export const EXECUTION = {
  id: { key: "id", title: "Execution", value: (row) => row.id, cell: (row) => html`<a href=${toExecution(row.id)}>${row.id}</a>${row.archived && html`<span class="tag">archived</span>`}` },
  agent: { key: "agent", title: "Agent", kind: "text", value: (row) => row.agent, cell: (row) => html`<a href=${toAgent(row.agent)}>${row.agent || "(no agent)"}</a>` },
  task: { key: "taskId", title: "Task", kind: "text", value: (row) => row.taskId, cell: (row) => (row.taskId ? html`<a href=${toTask(row.taskId)}>${row.taskId}</a>` : "") },
  model: { key: "model", title: "Model", kind: "text", value: (row) => row.model, cell: (row) => row.model || "" },
  duration: { key: "duration", title: "Duration", kind: "number", value: (row) => row.duration, cell: (row) => (row.duration === null ? NOTHING : duration(row.duration)) },
  timestamp: { key: "timestamp", title: "Time", kind: "number", value: (row) => row.timestamp, cell: (row) => html`<${Ago} time=${row.timestamp} />` },
  error: { key: "error", title: "Error", kind: "text", value: (row) => row.error, cell: (row) => row.error || "" },
};

const COLUMNS = [EXECUTION.id, EXECUTION.agent, EXECUTION.task, EXECUTION.model, EXECUTION.duration, EXECUTION.timestamp, EXECUTION.error];

export function Executions() {
  const list = useList("/api/v1/executions", ["agent", "task", "build", "q"], "stats or documents");
  return html`
    <${Page} title="Executions">
      <div class="filters">
        <${Filter} label="Part of the ID" />
        <${Filter} name="agent" label="Agent" />
        <${Filter} name="task" label="Task (ID)" />
        <${Filter} name="build" label="Build (ID)" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Executions" none="No executions yet." name="executions" columns=${COLUMNS} />
    <//>`;
}
