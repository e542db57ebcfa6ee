// The executions of an agent that took longest in the range that its page shows.

import { withParameters } from "../address.js";
import { duration } from "../format.js";
import { html } from "../lib.js";
import { before, changeOf, Percent } from "../parts/before.js";
import { Section } from "../parts/common.js";
import { useLast, useRange } from "../parts/over_time.js";
import { Instead, Stale } from "../parts/page.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";
import { EXECUTION } from "./executions.js";

const EVERY = 10_000; // milliseconds
const ROWS = 20;
const COLUMNS = [EXECUTION.id, EXECUTION.status, EXECUTION.task, EXECUTION.model, EXECUTION.duration, EXECUTION.timestamp, EXECUTION.error];

function Compared({ name, range }) {
  const unregistered = "true";
  const asked = (times) => useResource(withParameters("/api/v1/agent/stats", { name, unregistered, ...times }), EVERY, "stats");
  const now = useLast(asked(range), name);
  const then = useLast(asked(before(range)), name);
  if (!now || !then || now.p95Duration === null) return null;
  return html`
    <p class="note compared">p95 ${duration(now.p95Duration)}, ${changeOf(now.p95Duration, then.p95Duration) === null
      ? "with no execution in the same length of time just before to compare it with."
      : html`against ${duration(then.p95Duration)} in the same length of time just before: <${Percent} now=${now.p95Duration} then=${then.p95Duration} />`}</p>`;
}

export function Slowest({ name }) {
  const range = useRange("1d");
  const asked = useResource(withParameters("/api/v1/agent/slowest", { name, unregistered: "true", limit: ROWS, ...range }), EVERY, "stats or documents");
  const answer = useLast(asked, name);
  return html`
    <${Section} id="slowest" title="Slowest executions of this time">
      ${!answer && html`<${Instead} resource=${asked} what="The slowest executions" />`}
      ${answer && html`
        <${Stale} resource=${asked} />
        <${Compared} name=${name} range=${range} />
        ${answer.items.length === 0
          ? html`<p class="empty">No execution with a duration in this time.</p>`
          : html`<${Table} name="executions" label="Slowest executions" columns=${COLUMNS} rows=${answer.items} keyOf=${(row) => row.id} />
              <div class="pager"><p class="note">${answer.items.length < ROWS ? `${answer.items.length} in all` : `The ${ROWS} slowest`}</p><${Save} name="slowest" columns=${COLUMNS} rows=${answer.items} /></div>`}`}
    <//>`;
}
