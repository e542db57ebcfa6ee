// All agents: every figure leads to the rows that it is made of.

import { toAgent, useParameters } from "../address.js";
import { duration, integer, NOTHING, percent, plural } from "../format.js";
import { html, useLocation } from "../lib.js";
import { Ago, Badge, Empty, Figure, Waiting } from "../parts/common.js";
import { Filter, FilterChoice } from "../parts/filter.js";
import { changeColumn } from "../parts/before.js";
import { agentOf, useCompared, useLastDay } from "../parts/compared.js";
import { Page } from "../parts/page.js";
import { RangePicker } from "../parts/range.js";
import { Bars } from "../parts/sparks.js";
import { Save } from "../parts/save.js";
import { SortList, Table, useSort } from "../parts/table.js";
import { useResource } from "../resources.js";
import { lacking } from "../rights.js";
import { agentKey, agents } from "../state.js";
import { AgentsInRange } from "./agents_range.js";

const STATUSES = [["all", "All"], ["active", "Active"], ["idle", "Idle"], ["unregistered", "Unregistered"]];

export const nameOf = (agent) => agent.agentName || "(no agent)";

function Name({ agent }) {
  return html`
    <a href=${toAgent(agent.agentName)}>${nameOf(agent)}</a>
    ${!agent.registered && html`<span class="tag"
      title="Tasks or executions name it; no agent of this name is registered">unregistered</span>`}
    <span class="role">${agent.role || "\u00a0"}</span>`;
}

function Rate({ agent }) {
  if (!agent.totalTasks) return NOTHING;
  return html`
    <${Figure} text=${percent(agent.successRate)} />
    <meter min="0" max="100" value=${agent.successRate} aria-hidden="true"></meter>`;
}

function figure(key, title, text, more = {}) {
  return { key, title, kind: "number figure", value: (agent) => agent[key], cell: (agent) => html`<${Figure} text=${text(agent[key])} />`, ...more };
}

const COLUMNS = [
  { key: "agentName", title: "Agent", value: nameOf, cell: (agent) => html`<${Name} agent=${agent} />` },
  { key: "currentStatus", title: "Status", kind: "status", label: null, value: (agent) => agent.currentStatus, cell: (agent) => html`<${Badge} name=${agent.currentStatus} />` },
  figure("totalTasks", "Tasks", integer),
  figure("completedTasks", "Done", integer),
  figure("failedTasks", "Failed", integer),
  figure("successRate", "Success of all", percent, { label: "Success", cell: (agent) => html`<${Rate} agent=${agent} />` }),
  figure("avgDuration", "Avg duration", (value) => (value ? duration(value) : NOTHING), { label: "Duration" }),
  figure("lastActive", "Last active", null, { cell: (agent) => html`<${Ago} time=${agent.lastActive} />` }),
];

/** What an agent did in the last hours, by name. */
export function useHistories() {
  const found = useResource("/api/v1/agents/history?hours=12&buckets=24", 20_000, "stats").data.value;
  return new Map((found?.items || []).map((item) => [item.agentName, item.buckets]));
}

export function History({ buckets = [] }) {
  const parts = buckets.map((bucket) => ({ good: bucket.completed, bad: bucket.failed }));
  const good = parts.reduce((sum, part) => sum + part.good, 0);
  const bad = parts.reduce((sum, part) => sum + part.bad, 0);
  return html`<${Bars} parts=${parts} label="Attempts of the last 12 hours, counted from activities: ${integer(good)} succeeded, ${integer(bad)} failed" />`;
}

function chosen(query) {
  const words = (query.q || "").toLowerCase();
  const fits = (agent) =>
    (!query.status || (query.status === "unregistered" ? !agent.registered : agent.currentStatus === query.status)) &&
    (!words || `${nameOf(agent)} ${agent.role || ""}`.toLowerCase().includes(words));
  return [...agents.value.values()].filter(fits);
}

export function Agents() {
  const { query } = useParameters();
  const { route } = useLocation();
  const histories = useHistories();
  const compared = useCompared(useLastDay(), "");
  const columns = [
    ...COLUMNS.map((column) => (column.kind === "number figure" ? { ...column, attributes: (agent) => ({
      title: "What is this made of?",
      "data-zero": agent[column.key] ? undefined : "true",
      onClick: () => route(toAgent(agent.agentName, { figure: column.key })),
    }) } : column)),
    changeColumn((agent) => compared.get(agentOf(agent))),
    { key: "history", title: "Attempts, 12 h", note: "from activities", label: "Attempts, 12 h, from activities", kind: "history", sorted: false, cell: (agent) => html`<${History} buckets=${histories.get(agent.agentName)} />` },
  ];
  const sort = useSort(columns, "agentName");
  if (lacking("stats") || agents.value === null) {
    return html`<${Page} title="Agents"><${Waiting} scope="stats" what="Agents" /><//>`;
  }
  const rows = sort.apply(chosen(query));
  const all = agents.value.size;
  const ranged = Boolean(query.since || query.from || query.to);
  const note = ranged ? "in a range of time" : rows.length === all ? plural(all, "name") : `${integer(rows.length)} of ${plural(all, "name")}`;
  return html`
    <${Page} title="Agents" note=${note}>
      <div class="filters">
        <${Filter} label="Name or role" />
        <${RangePicker} />
        ${!ranged && html`
          <${FilterChoice} name="status" label="Agents of which status" options=${STATUSES} />
          <${SortList} columns=${columns} sort=${sort} label="Order of the agents" />`}
      </div>
      ${ranged && html`<${AgentsInRange} />`}
      ${!ranged && all === 0 && html`<${Empty}>No agents yet. They appear here as soon as changes are
        published, for example with <code>nova-stream publish FILE</code>.<//>`}
      ${!ranged && all > 0 && rows.length === 0 && html`<${Empty}>No agent fits these filters.<//>`}
      ${!ranged && rows.length > 0 && html`
        <p class="note">Figures of all time; <strong>Change of p95</strong> is of the durations in the last 24 hours against the 24 hours before. Fewer than 20 executions on a side are few: chance decides, so they come last.</p>
        <${Table} name="agents" label="Agents" columns=${columns} rows=${rows} keyOf=${agentKey} sort=${sort} />
        <div class="pager"><${Save} name="agents" columns=${columns} rows=${rows} /></div>`}
    <//>`;
}
