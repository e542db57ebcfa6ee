// One task and its executions.

import { toAgent, toBuild, useParameters, withParameters } from "../address.js";
import { integer } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Facts, Section, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { Pager, ROWS } from "../parts/paging.js";
import { Table } from "../parts/table.js";
import { Text } from "../parts/text.js";
import { useResource } from "../resources.js";
import { EXECUTION } from "./executions.js";

const COLUMNS = [EXECUTION.id, EXECUTION.status, EXECUTION.model, EXECUTION.duration, EXECUTION.timestamp, EXECUTION.error];

export function Task({ params }) {
  const { query } = useParameters();
  const id = params.id ?? query.id;
  const asked = useResource(withParameters("/api/v1/task", { id, limit: ROWS, cursor: query.cursor }), 2000, "stats or documents");
  const task = asked.data.value;
  const crumbs = task?.buildId ? [["/builds", "Builds"], [toBuild(task.buildId), task.buildId]] : [["/tasks", "Tasks"]];
  return html`
    <${Page} title=${task?.title || id} crumbs=${crumbs} tools=${task && html`<${Badge} name=${task.status} />`}>
      <${Instead} resource=${asked} what="The task" />
      ${task && html`
        <${Stale} resource=${asked} />
        <${Facts} facts=${[
          ["Task", html`<${Id} id=${task.id} />`],
          ["ID in the build", task.taskId && html`<code>${task.taskId}</code>`],
          ["Agent", html`<a href=${toAgent(task.agent)}>${task.agent || "(no agent)"}</a>`],
          ["Phase", task.phase === null ? null : integer(task.phase)],
          ["Attempts", task.attempts === null ? null : integer(task.attempts)],
          ["Waits for", task.dependencies?.length ? task.dependencies.join(", ") : null],
          ["Created", task.createdAt && html`<${When} time=${task.createdAt} />, <${Ago} time=${task.createdAt} />`],
          ["Last changed", task.changedAt && html`<${When} time=${task.changedAt} />, <${Ago} time=${task.changedAt} />`],
        ]} />
        <${Text} id="error" title="Error" text=${task.error} bad />
        <${Section} id="executions" title="Executions">
          ${task.executions.length === 0
            ? html`<p class="empty">It has not been executed.</p>`
            : html`<${Table} name="executions" label="Executions" columns=${COLUMNS} rows=${task.executions} keyOf=${(row) => row.id} />`}
          <${Pager} answer=${task} rows=${task.executions} name="executions" columns=${COLUMNS} />
        <//>
        <${Text} id="output" title="Output" text=${task.output} />`}
    <//>`;
}
