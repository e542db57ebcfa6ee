// What a range of time is compared with: as much time right before it.

import { html } from "../lib.js";
import { duration, NOTHING } from "../format.js";

/** ``{from, to}`` of the time before ``range``. */
export function before({ from, to }) {
  return { from: new Date(2 * Date.parse(from) - Date.parse(to)).toISOString(), to: from };
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

/** The same in a table, with what it was before. */
export function Change({ now, then }) {
  if (changeOf(now, then) === null) return NOTHING;
  return html`
    <${Percent} now=${now} then=${then} />
    <span class="note below-figure">was ${duration(then)}</span>`;
}
