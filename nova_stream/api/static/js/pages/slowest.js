// What an agent took longest for in the range that its page shows, beside as much time before.

import { withParameters } from "../address.js";
import { duration, integer, plural } from "../format.js";
import { html } from "../lib.js";
import { beforeWords, Percent } from "../parts/before.js";
import { Section } from "../parts/common.js";
import { useLast, useRange } from "../parts/over_time.js";
import { Instead, Stale } from "../parts/page.js";
import { RangePicker } from "../parts/range.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";
import { EXECUTION } from "./executions.js";

const EVERY = 10_000; // milliseconds
const ROWS = 8; // the list has all of them
const COLUMNS = [EXECUTION.id, EXECUTION.status, EXECUTION.task, EXECUTION.model, EXECUTION.duration, EXECUTION.timestamp, EXECUTION.error];

/** How the range compares with the time before; ``slower`` of its executions are counted as the list has them. */
function Compared({ answer }) {
  const { p95, p95Before, executions, executionsBefore, slower, minDuration, few, percentileError } = answer;
  if (p95 === null) return null;
  const earlier = beforeWords(answer);
  if (minDuration === null) {
    return html`<p class="note compared">p95 ${duration(p95)}; ${earlier} has no execution with a duration to compare it with.</p>`;
  }
  return html`
    <p class="compared">p95 was <strong>${duration(p95Before)}</strong> ${earlier} (${plural(executionsBefore, "execution")}), now <strong>${duration(p95)}</strong>: <${Percent} now=${p95} then=${p95Before} />.
      ${" "}<strong>${integer(slower)} of ${plural(executions, "execution")}</strong> took longer than the p95 before.
      ${few && " There are few executions on a side, so that chance decides."}${percentileError ? " Percentiles are accurate to within 1 %." : ""}</p>`;
}

/** ``usual``: the range where the address names none; the picker here is that of the whole page. */
export function Slowest({ name, usual }) {
  const range = useRange(usual);
  const asked = useResource(withParameters("/api/v1/agent/slowest", { name, unregistered: "true", limit: ROWS, ...range }), EVERY, "stats or documents");
  const answer = useLast(asked, name);
  const least = answer?.slower ? answer.minDuration : null;
  const title = answer?.minDuration === null ? "Slowest executions of this time" : "Slower than before";
  const rows = (answer?.items || []).filter((row) => least === null || row.duration >= least);
  const list = answer && withParameters("/executions", { agent: name, from: answer.from, to: answer.to, minDuration: least, order: "-duration" });
  return html`
    <${Section} id="slowest" title=${title} tools=${html`<div class="filters"><${RangePicker} usual=${usual} /></div>`}>
      ${!answer && html`<${Instead} resource=${asked} what="The slowest executions" />`}
      ${answer && html`
        <${Stale} resource=${asked} />
        <${Compared} answer=${answer} />
        ${answer.slower === 0 && rows.length > 0 && html`<p class="note">The slowest ones of this time:</p>`}
        ${rows.length === 0
          ? html`<p class="empty">No execution with a duration in this time.</p>`
          : html`<${Table} name="executions" label="Slowest executions" columns=${COLUMNS} rows=${rows} keyOf=${(row) => row.id} />
              <div class="pager"><a href=${list}>${least === null ? `All ${plural(answer.executions, "execution")} of this time, longest first` : `All ${integer(answer.slower)} that took longer, longest first`}</a>
                <${Save} name="slowest" columns=${COLUMNS} rows=${rows} /></div>`}`}
    <//>`;
}
