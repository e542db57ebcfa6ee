// One build and its tasks.

import { useParameters, withParameters } from "../address.js";
import { html } from "../lib.js";
import { Ago, Facts, Section, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { Pager, ROWS } from "../parts/paging.js";
import { Table } from "../parts/table.js";
import { Text } from "../parts/text.js";
import { useResource } from "../resources.js";
import { BuildLength, BuildStatus } from "./builds.js";
import { TASK } from "./tasks.js";

const FAILED = [TASK.id, TASK.agent, TASK.attempts, TASK.error];
const SHOWN = 20; // failed tasks
const EVERY = 5000; // milliseconds

const COLUMNS = [TASK.id, TASK.status, TASK.agent, TASK.attempts, TASK.createdAt, TASK.error];

/** The tasks that failed, before all others: they are why somebody looks. */
function Failed({ build }) {
  const asked = useResource(withParameters("/api/v1/tasks", { build: build.id, status: "failed", limit: SHOWN }), EVERY, "documents");
  const answer = asked.data.value;
  if (!answer?.items.length) return null;
  return html`
    <${Section} id="failed" title="Failed tasks">
      <${Table} name="failed-tasks" label="Failed tasks" columns=${FAILED} rows=${answer.items} keyOf=${(task) => task.id} />
      ${answer.nextCursor && html`<p class="note"><a href=${withParameters("/tasks", { build: build.id, status: "failed" })}>All failed tasks</a></p>`}
    <//>`;
}

export function Build({ params }) {
  const { query } = useParameters();
  const id = params.id ?? query.id;
  const asked = useResource(withParameters("/api/v1/build", { id, limit: ROWS, cursor: query.cursor }), 2000, "documents");
  const build = asked.data.value;
  return html`
    <${Page} title=${build?.prdName || id} crumbs=${[["/builds", "Builds"]]} tools=${build && html`<${BuildStatus} build=${build} />`}>
      <${Instead} resource=${asked} what="The build" />
      ${build && html`
        <${Stale} resource=${asked} />
        <${Facts} facts=${[
          ["Build", html`<${Id} id=${build.id} />`],
          ["PRD", build.prdId && html`<code>${build.prdId}</code>`],
          ["Started", build.startedAt ? html`<${When} time=${build.startedAt} />, <${Ago} time=${build.startedAt} />` : "not yet"],
          ["Ended", build.completedAt && html`<${When} time=${build.completedAt} />`],
          ["Duration", html`<${BuildLength} build=${build} />`],
        ]} />
        <${Text} id="error" title="Error" text=${build.error} bad />
        <${Failed} build=${build} />
        <${Section} id="tasks" title="Tasks">
          ${build.tasks.length === 0
            ? html`<p class="empty">No tasks.</p>`
            : html`<${Table} name="tasks-of-build" label="Tasks" columns=${COLUMNS} rows=${build.tasks} keyOf=${(task) => task.id} />`}
          <${Pager} answer=${build} rows=${build.tasks} name="tasks" columns=${COLUMNS} />
        <//>`}
    <//>`;
}
