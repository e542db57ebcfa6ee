// One execution with its prompt and response.

import { toAgent, toBuild, toTask, useParameters, withParameters } from "../address.js";
import { duration, NOTHING } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Facts, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { Text } from "../parts/text.js";
import { useResource } from "../resources.js";
import { lacking } from "../rights.js";

const GATES = { true: "gates passed", false: "gates not passed" };

export function Execution({ params }) {
  const { query } = useParameters();
  const id = params.id ?? query.id;
  const asked = useResource(withParameters("/api/v1/execution", { id }), 0, "stats or documents");
  const row = asked.data.value;
  const hidden = lacking("documents");
  const crumbs = row?.taskId ? [["/tasks", "Tasks"], [toTask(row.taskId), row.taskId]] : [["/executions", "Executions"]];
  const gates = row && GATES[row.gatesPassed];
  return html`
    <${Page} title="Execution ${id}" crumbs=${crumbs}
      tools=${row && html`<${Badge} name=${row.status} />${gates && html`<span class="tag">${gates}</span>`}${row.archived && row.status !== "archived" && html`<span class="tag">archived</span>`}`}>
      <${Instead} resource=${asked} what="The execution" />
      ${row && html`
        <${Stale} resource=${asked} />
        <${Facts} facts=${[
          ["Execution", html`<${Id} id=${row.id} />`],
          ["Agent", html`<a href=${toAgent(row.agent)}>${row.agent || "(no agent)"}</a>`],
          ["Build", row.buildId && html`<a href=${toBuild(row.buildId)}>${row.buildId}</a>`],
          ["Model", row.model],
          ["Duration", row.duration === null ? NOTHING : duration(row.duration)],
          ["Time", row.timestamp && html`<${When} time=${row.timestamp} />, <${Ago} time=${row.timestamp} />`],
          ["Archived", row.archivedAt && html`<${When} time=${row.archivedAt} />`],
        ]} />
        ${row.note && html`<p class="stale">${row.note}</p>`}
        ${hidden && html`<p class="empty">Prompt, response and error: ${hidden}</p>`}
        <${Text} id="error" title="Error" text=${row.error} bad />
        <${Text} id="prompt" title="Prompt" text=${row.prompt} />
        <${Text} id="response" title="Response" text=${row.response} />`}
    <//>`;
}
