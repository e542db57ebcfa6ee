// All tasks, newest first.

import { toAgent, toBuild, toExecution, toTask } from "../address.js";
import { integer } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge } from "../parts/common.js";
import { Filter, FilterChoice } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";

/** What the overview counts as active. */
export const ACTIVE = "pending,ready,running";

const STATUSES = [["all", "All"], [ACTIVE, "Active"], ["running", "Running"], ["failed", "Failed"], ["done", "Done"], ["ready", "Ready"], ["blocked", "Blocked"], ["pending", "Pending"]];

/** Its own error, else that of its newest failed execution; and the way to that. */
function TaskError({ task }) {
  const error = task.error || task.failedExecutionError;
  const execution = task.failedExecutionId;
  return html`${error || ""}${execution && html`<span class="role">execution <a href=${toExecution(execution)}>${execution}</a></span>`}`;
}

/** The columns that tasks have everywhere. */
export const TASK = {
  id: { key: "id", title: "Task", value: (task) => task.id, cell: (task) => html`<a href=${toTask(task.id)}>${task.title || task.taskId || task.id}</a><span class="role">${task.id}</span>` },
  status: { key: "status", title: "Status", kind: "status", label: null, value: (task) => task.status, cell: (task) => html`<${Badge} name=${task.status} />` },
  agent: { key: "agent", title: "Agent", kind: "text", value: (task) => task.agent, cell: (task) => html`<a href=${toAgent(task.agent)}>${task.agent || "(no agent)"}</a>` },
  build: { key: "buildId", title: "Build", kind: "text", value: (task) => task.buildId, cell: (task) => (task.buildId ? html`<a href=${toBuild(task.buildId)}>${task.buildId}</a>` : "") },
  attempts: { key: "attempts", title: "Attempts", kind: "number", value: (task) => task.attempts, cell: (task) => integer(task.attempts) },
  createdAt: { key: "createdAt", title: "Created", kind: "number", value: (task) => task.createdAt, cell: (task) => html`<${Ago} time=${task.createdAt} />` },
  error: { key: "error", title: "Error", kind: "text", value: (task) => task.error || task.failedExecutionError, cell: (task) => html`<${TaskError} task=${task} />` },
};

const COLUMNS = [TASK.id, TASK.status, TASK.agent, TASK.build, TASK.attempts, TASK.createdAt, TASK.error];

export function Tasks() {
  const list = useList("/api/v1/tasks", ["status", "agent", "build", "q"], "stats or documents");
  return html`
    <${Page} title="Tasks">
      <div class="filters">
        <${FilterChoice} name="status" label="Tasks of which status" options=${STATUSES} />
        <${Filter} label="Title or ID" />
        <${Filter} name="agent" label="Agent" />
        <${Filter} name="build" label="Build (ID)" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Tasks" none="No tasks yet." name="tasks" columns=${COLUMNS} />
    <//>`;
}
