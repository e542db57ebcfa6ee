// The range of time that is looked at: the last so many hours or days, or from one time to another.
// It stands in the address: ?since=7d, or ?from=…&to=….
// Yesterday begins at midnight in the reader's time zone, in which the fields are, too.

import { useParameters } from "../address.js";
import { html, useState } from "../lib.js";

const HOUR = 3_600_000; // milliseconds
const DAY = 24 * HOUR;
const SPANS = [["1h", "Last hour", HOUR], ["1d", "Last day", DAY], ["yesterday", "Since yesterday", null], ["7d", "Last 7 days", 7 * DAY], ["30d", "Last 30 days", 30 * DAY], ["90d", "Last 90 days", 90 * DAY]];

/** ``{from, to}`` as the API takes them; of an address without any the span ``usual``, else all of time. */
export function rangeOf(query, usual = null) {
  const named = query.since || query.from || query.to ? query.since : usual;
  const span = SPANS.find(([name]) => name === named);
  if (span) return { from: (span[2] === null ? startOfYesterday() : new Date(Date.now() - span[2])).toISOString() };
  return { from: query.from, to: query.to };
}

function startOfYesterday() {
  const today = new Date();
  return new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
}

/** An instant as the field of a form has it, in the reader's time zone. */
function local(time) {
  const at = new Date(time ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const instant = (text) => (text ? new Date(text).toISOString() : null);

/** Without ``usual``, the span where the address names none, all of time can be chosen. */
export function RangePicker({ usual = null }) {
  const { query, change } = useParameters();
  const own = query.from || query.to;
  const shown = rangeOf(query, usual);
  const [asking, setAsking] = useState(false);
  const choose = (event) => {
    const name = event.target.value;
    setAsking(name === "own");
    if (name !== "own") change({ since: name === usual ? null : name || null, from: null, to: null, cursor: null });
  };
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    change({ since: null, from: instant(given.get("from")), to: instant(given.get("to")), cursor: null });
  };
  return html`
    <label class="filter"><span>Time</span>
      <select value=${asking || own ? "own" : query.since || usual || ""} onChange=${choose}>
        ${!usual && html`<option value="">Any time</option>`}
        ${SPANS.map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}
        <option value="own">From … to …</option>
      </select></label>
    ${(asking || own) && html`
      <form class="own-range" key=${`${query.from} ${query.to}`} onSubmit=${submit}>
        <label class="filter"><span>From (${zone})</span><input type="datetime-local" name="from" defaultValue=${local(shown.from)} /></label>
        <label class="filter"><span>To, exclusive</span><input type="datetime-local" name="to" defaultValue=${local(shown.to || (shown.from && !own ? new Date().toISOString() : null))} /></label>
        <button type="submit">Show</button>
      </form>`}`;
}
