// What each agent did in a range of time.

import { toAgent, useParameters, withParameters } from "../address.js";
import { duration, integer, NOTHING, percent } from "../format.js";
import { html } from "../lib.js";
import { beforeWords, changeColumn } from "../parts/before.js";
import { Empty } from "../parts/common.js";
import { agentOf, useCompared } from "../parts/compared.js";
import { useLast, useRange } from "../parts/over_time.js";
import { Instead, Stale } from "../parts/page.js";
import { Save } from "../parts/save.js";
import { SortList, Table, useSort } from "../parts/table.js";
import { useResource } from "../resources.js";
import { nameOf } from "./agents.js";

const EVERY = 10_000; // milliseconds

function figure(key, title, text) {
  return { key, title, kind: "number", value: (row) => row[key], cell: (row) => (row[key] === null ? NOTHING : text(row[key])), attributes: (row) => ({ "data-zero": row[key] ? undefined : "true" }) };
}

/** The address of the agent's page carries the range on; ``compared`` has each beside the time before. */
function columnsOf(query, compared) {
  const range = { since: query.since, from: query.from, to: query.to };
  return [
    { key: "agentName", title: "Agent", value: nameOf, cell: (row) => html`<a href=${toAgent(row.agentName, range)}>${nameOf(row)}</a><span class="role">${row.role || "\u00a0"}</span>` },
    figure("completedTasks", "Done", integer),
    figure("failedTasks", "Failed", integer),
    figure("successRate", "Success", percent),
    figure("executions", "Executions", integer),
    figure("avgDuration", "Mean", duration),
    figure("p50Duration", "p50", duration),
    figure("p95Duration", "p95", duration),
    changeColumn((row) => compared.get(agentOf(row))),
    figure("p99Duration", "p99", duration),
  ];
}

const pathOf = (range) => withParameters("/api/v1/agents/stats", { unregistered: "true", ...range });

export function AgentsInRange() {
  const { query } = useParameters();
  const range = useRange("1d");
  const key = `${query.since} ${query.from} ${query.to}`;
  const asked = useResource(pathOf(range), EVERY, "stats");
  const answer = useLast(asked, key);
  const compared = useCompared(range, key);
  const columns = columnsOf(query, compared);
  const sort = useSort(columns, "agentName");
  if (!answer) return html`<${Instead} resource=${asked} what="What the agents did" />`;
  const words = (query.q || "").toLowerCase();
  const rows = sort.apply(answer.items.filter((row) => `${nameOf(row)} ${row.role || ""}`.toLowerCase().includes(words)));
  return html`
    <div class="list spaced">
      <${Stale} resource=${asked} />
      <p class="note">Only what finished in this time counts, and success is the share of it that is done. All agents together: ${integer(answer.overall.completedTasks)} done, ${integer(answer.overall.failedTasks)} failed, p95 ${duration(answer.overall.p95Duration)}. The change of p95 is against ${beforeWords(range)}; where either side has fewer than 20 executions they are few, chance decides, and the agent comes last.</p>
      <${SortList} columns=${columns} sort=${sort} label="Order of the agents" />
      ${rows.length === 0
        ? html`<${Empty}>No agent fits these filters.<//>`
        : html`<${Table} name="agents in-range" label="Agents" columns=${columns} rows=${rows} keyOf=${agentOf} sort=${sort} />
            <div class="pager"><${Save} name="agents" columns=${columns} rows=${rows} /></div>`}
    </div>`;
}
