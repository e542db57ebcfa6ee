// What a range of time is compared with: as much time right before it.

import { html } from "../lib.js";
import { duration, integer, NOTHING } from "../format.js";

/** What comes right before a range, in words: ``{from, to}``. */
export function beforeWords({ from, to }) {
  const hours = Math.round((Date.parse(to) - Date.parse(from)) / 360_000) / 10;
  if (hours === 24) return "the day before";
  if (hours === 1) return "the hour before";
  return hours > 24 && hours % 24 === 0 ? `the ${hours / 24} days before` : "as much time before";
}

/** By how many percent ``now`` is more than ``then`` (both may be null); null where nobody can tell. */
export function changeOf(now, then) {
  return now === null || !then ? null : (100 * (now - then)) / then;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0, signDisplay: "exceptZero" });
const MUCH = 50; // percent

/** A change of durations in percent. */
export function Percent({ now, then }) {
  const change = changeOf(now, then);
  return html`<span class=${change > MUCH ? "slow" : ""}>${whole.format(change)} %</span>`;
}

/** The same in a table, of an agent as the comparison has it (none = it did nothing): with both sides, and on how many executions they rest. */
export function Change({ row }) {
  if (!row) return NOTHING;
  const sides = html`<span class="note below-figure">${duration(row.p95Before)} → ${duration(row.p95)}</span>
    <span class="note below-figure">${row.few ? "few: " : ""}${integer(row.executionsBefore)} → ${integer(row.executions)} executions</span>`;
  if (row.change === null) return html`${NOTHING} ${sides}`;
  return html`${row.few ? html`<span>${whole.format(row.change)} %</span>` : html`<${Percent} now=${row.p95} then=${row.p95Before} />`} ${sides}`;
}

/** What a column of changes is sorted by: those of few executions come behind all others. */
export const changeOfMany = (row) => (row && !row.few ? row.change : null);

/** The column of a table; ``rowOf`` has the comparison's row. */
export function changeColumn(rowOf) {
  return { key: "p95Change", title: "Change of p95", kind: "number", value: (row) => changeOfMany(rowOf(row)), cell: (row) => html`<${Change} row=${rowOf(row)} />` };
}
