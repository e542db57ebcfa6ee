// The agents' table: every figure leads to the rows that it is made of.

import { duration, integer, NOTHING, percent, plural } from "../format.js";
import { computed, html } from "../lib.js";
import { Ago, Badge, Cell, Empty, Figure, Section } from "../parts/common.js";
import { openDialog } from "../parts/dialogs.js";
import { Bars } from "../parts/sparks.js";
import { Head, SortList, useSort } from "../parts/sorting.js";
import { agentHistory } from "../resources.js";
import { lacking } from "../rights.js";
import { agentKey, agents } from "../state.js";
import { Explain } from "./explain.js";

const COLUMNS = [
  { key: "agentName", title: "Agent" },
  { key: "currentStatus", title: "Status" },
  { key: "totalTasks", title: "Tasks", number: true, figure: true, text: integer },
  { key: "completedTasks", title: "Done", number: true, figure: true, text: integer },
  { key: "failedTasks", title: "Failed", number: true, figure: true, text: integer },
  { key: "successRate", title: "Success", number: true, figure: true },
  { key: "avgDuration", title: "Avg duration", short: "Duration", number: true, figure: true, text: (value) => (value ? duration(value) : NOTHING) },
  { key: "lastActive", title: "Last active", number: true, figure: true },
  { key: "history", title: "Last 12 h", plain: true },
];

const histories = computed(() => {
  const items = agentHistory.data.value?.items || [];
  return new Map(items.map((item) => [item.agentName, item.buckets]));
});

function Rate({ agent }) {
  if (!agent.totalTasks) return NOTHING;
  return html`
    <${Figure} text=${percent(agent.successRate)} />
    <meter min="0" max="100" value=${agent.successRate} aria-hidden="true"></meter>`;
}

function History({ name }) {
  const buckets = histories.value.get(name) || [];
  const parts = buckets.map((bucket) => ({ good: bucket.completed, bad: bucket.failed }));
  const good = parts.reduce((sum, part) => sum + part.good, 0);
  const bad = parts.reduce((sum, part) => sum + part.bad, 0);
  return html`<${Bars} parts=${parts} label="Last 12 hours: ${integer(good)} done, ${integer(bad)} failed" />`;
}

function figureOf(column, agent) {
  if (column.key === "successRate") return html`<${Rate} agent=${agent} />`;
  if (column.key === "lastActive") return html`<${Ago} time=${agent.lastActive} />`;
  return html`<${Figure} text=${column.text(agent[column.key])} />`;
}

function Row({ agent }) {
  const name = agent.agentName || "(no agent)";
  const explain = (figure) => openDialog(Explain, { agent, figure });
  return html`
    <tr role="row">
      <th role="rowheader" scope="row" class="name">
        <button type="button" class="link" title="What the figures of ${name} are made of"
          onClick=${() => explain("totalTasks")}>${name}</button>
        ${!agent.registered && html`<span class="tag"
          title="Tasks or executions name it; no agent of this name is registered">unregistered</span>`}
        <span class="role">${agent.role || "\u00a0"}</span>
      </th>
      <${Cell} class="status"><${Badge} name=${agent.currentStatus} /><//>
      ${COLUMNS.filter((column) => column.figure).map((column) => html`
        <${Cell} key=${column.key} label=${column.short || column.title}
          class="number figure ${column.key} ${agent[column.key] ? "" : "zero"}"
          title="What is this made of?" onClick=${() => explain(column.key)}>
          ${figureOf(column, agent)}
        <//>`)}
      <${Cell} class="history" label="Last 12 h"><${History} name=${agent.agentName} /><//>
    </tr>`;
}

export function Agents() {
  const [sort, choose, sorted] = useSort("agentName");
  const reason = lacking("stats");
  if (reason || agents.value === null) {
    return html`<${Section} id="agents" title="Agents"><${Empty}>${reason || "Waiting for agents…"}<//><//>`;
  }
  const rows = sorted(agents.value.values(), COLUMNS, (agent) => agent.agentName);
  return html`
    <${Section} id="agents" title="Agents" note=${plural(rows.length, "name")}
      tools=${html`<${SortList} columns=${COLUMNS} sort=${sort} choose=${choose} label="Order of the agents" />`}>
      ${rows.length === 0 && html`<${Empty}>No agents yet. They appear here as soon as changes are
        published, for example with <code>nova-stream publish FILE</code>.<//>`}
      ${rows.length > 0 && html`
        <div class="scroll" role="region" aria-labelledby="agents-heading" tabindex="0">
          <table role="table" class="stack agents">
            <${Head} columns=${COLUMNS} sort=${sort} choose=${choose} />
            <tbody role="rowgroup">
              ${rows.map((agent) => html`<${Row} key=${agentKey(agent)} agent=${agent} />`)}
            </tbody>
          </table>
        </div>`}
    <//>`;
}
