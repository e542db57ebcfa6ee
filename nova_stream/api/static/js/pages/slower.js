// Which agents got slower in the last day.

import { toAgent } from "../address.js";
import { duration, integer } from "../format.js";
import { html } from "../lib.js";
import { Percent } from "../parts/before.js";
import { Empty, Section } from "../parts/common.js";
import { agentOf, useComparison, useLastDay } from "../parts/compared.js";
import { Instead, Stale } from "../parts/page.js";
import { Table } from "../parts/table.js";
import { nameOf } from "./agents.js";

const ROWS = 5;
const DAY = { since: "1d" };
const COLUMNS = [
  { key: "agentName", title: "Agent", value: nameOf, cell: (row) => html`<a href=${toAgent(row.agentName, DAY)}>${nameOf(row)}</a>` },
  { key: "p95Before", title: "p95, day before", kind: "number", cell: (row) => duration(row.p95Before) },
  { key: "p95", title: "p95, last 24 h", kind: "number", cell: (row) => duration(row.p95) },
  { key: "change", title: "Change", kind: "number", cell: (row) => html`<${Percent} now=${row.p95} then=${row.p95Before} />` },
  { key: "executions", title: "Executions", kind: "number", cell: (row) => html`${integer(row.executionsBefore)} → ${integer(row.executions)}` },
];

export function SlowerAgents() {
  const { asked, answer } = useComparison(useLastDay(), "", ROWS);
  const rows = (answer?.items || []).filter((row) => !row.few && row.change > 0);
  return html`
    <${Section} id="slower" title="Slower than the day before" tools=${html`<a href="/agents?sort=-p95Change">All agents</a>`}>
      ${!answer && html`<${Instead} resource=${asked} what="What got slower" />`}
      ${answer && html`<${Stale} resource=${asked} />`}
      ${answer && rows.length === 0 && html`<${Empty}>No agent's executions took longer than those of the day before, of agents with 20 or more on both days.<//>`}
      ${rows.length > 0 && html`<${Table} name="slower" label="Agents whose p95 rose the most" columns=${COLUMNS} rows=${rows} keyOf=${agentOf} />`}
    <//>`;
}
