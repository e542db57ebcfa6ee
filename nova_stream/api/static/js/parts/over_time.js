// What was done in a range of time: its figures, a plot of its whole length, and the same as a table.

import { useParameters, withParameters } from "../address.js";
import { duration, integer, lengthOf, oneEach, plural, when } from "../format.js";
import { html, useMemo, useRef } from "../lib.js";
import { useResource } from "../resources.js";
import { now } from "../state.js";
import { Section } from "./common.js";
import { Instead, Stale } from "./page.js";
import { highestWhole, Plot } from "./plot.js";
import { RangePicker, rangeOf, zone } from "./range.js";
import { Save } from "./save.js";

const HEIGHT = 300;
const STEP = 30_000; // milliseconds after which a range that ends now goes on
const EVERY = 10_000;
const MINUTE = 60_000;
const BUCKETS = [["1m", 1], ["5m", 5], ["15m", 15], ["30m", 30], ["1h", 60], ["2h", 120], ["4h", 240], ["8h", 480], ["1d", 1440]];
const POINTS = 120;

/** The smallest buckets that make no more points than a plot can show. */
function bucketOf(from, to) {
  const minutes = (Date.parse(to) - Date.parse(from)) / MINUTE;
  return (BUCKETS.find(([, length]) => minutes / length <= POINTS) || BUCKETS.at(-1))[0];
}

/** The range that the address names, ``usual`` where it names none; it ends at a time of its own. */
export function useRange(usual) {
  const { query } = useParameters();
  const step = Math.floor(now.value / STEP);
  return useMemo(() => {
    const asked = rangeOf(query, usual);
    const to = asked.to || new Date((step + 1) * STEP).toISOString();
    return { from: asked.from || new Date(Date.parse(to) - 86_400_000).toISOString(), to };
  }, [query.since, query.from, query.to, step, usual]);
}

/** ``resource``'s answer, or its last one while the next range is asked for. */
export function useLast(resource, key) {
  const last = useRef({});
  if (last.current.key !== key) last.current = { key, answer: null };
  if (resource.data.value) last.current.answer = resource.data.value;
  return last.current.answer;
}

/** The places of buckets that are cut off by the range, or not over at ``now`` (epoch milliseconds). */
function partialOf({ items, bucket }, now) {
  const [count, unit] = [parseInt(bucket, 10), bucket.at(-1)];
  // A day on which clocks go forward is whole, too.
  const whole = { m: count * MINUTE, h: count * 60 * MINUTE, d: 23 * 60 * MINUTE }[unit];
  const cut = ({ start, end }) => Date.parse(end) - Date.parse(start) < whole || Date.parse(end) > now;
  return new Set([0, items.length - 1].filter((place) => items[place] && cut(items[place])));
}

function Table({ items, figures, name, partial }) {
  const incomplete = new Set([...partial].map((place) => items[place]));
  const columns = [{ key: "start", value: (item) => item.start }, { key: "incomplete", value: (item) => incomplete.has(item) }, ...figures.map((figure) => ({ key: figure.key, value: (item) => item[figure.key] }))];
  return html`
    <details class="as-table"><summary>As a table</summary>
      <div class="inner-scroll" tabindex="0" role="region" aria-label="The same as a table">
        <table class="plain-table">
          <thead><tr><th scope="col">From</th>${figures.map((figure) => html`<th scope="col" key=${figure.key} class="number">${figure.title}</th>`)}</tr></thead>
          <tbody>${[...items].reverse().map((item) => html`
            <tr key=${item.start}><th scope="row">${when(item.start, 0)}${incomplete.has(item) && html` <span class="note">incomplete</span>`}</th>
              ${figures.map((figure) => html`<td key=${figure.key} class="number">${figure.text(item[figure.key])}</td>`)}</tr>`)}
          </tbody>
        </table>
      </div>
      <${Save} name=${name} columns=${columns} rows=${items} />
    </details>`;
}

function seriesOf(items, figures) {
  return {
    times: items.map((item) => Date.parse(item.start) / 1000),
    series: figures.filter((figure) => figure.colour).map((figure) => ({
      ...figure,
      label: figure.title,
      mark: figure.mark || (figure.text === integer ? (value) => (Number.isInteger(value) ? integer(value) : "") : figure.text),
      range: (plot, _low, high, scale) => [0, Math.max(figure.least, (highestWhole(plot, scale) ?? high ?? 0) * 1.1)],
      values: items.map((item) => item[figure.key]),
    })),
  };
}

function axesOf(axes, bucket) {
  return Object.fromEntries(Object.entries(axes).map(([scale, title]) => [scale, title(lengthOf(bucket))]));
}

/**
 * ``path``: the series' address, ``parameters`` its own; ``figures``: [{key, title, text(value),
 * colour, scale, least, mark(value) for the scale}], those with a colour in the plot; ``axes``: what each scale shows, {scale: title(per)},
 * where ``per`` is the length of a bucket in words. Dragging over the plot sets the range.
 */
export function OverTime({ id, title, path, parameters = {}, figures, axes, usual, scope = "stats", picker = true, children = null }) {
  const { change } = useParameters();
  const { from, to } = useRange(usual);
  const bucket = bucketOf(from, to);
  const asked = useResource(withParameters(path, { ...parameters, from, to, bucket, ...(bucket === "1d" && { zone }) }), EVERY, scope);
  const answer = useLast(asked, `${path}?${JSON.stringify(parameters)}`);
  const items = answer?.items || [];
  const points = answer && `${plural(items.length, "point")}, ${oneEach(answer.bucket)}`;
  const { times, series } = useMemo(() => seriesOf(items, figures), [answer]);
  const partial = useMemo(() => (answer ? partialOf(answer, Date.now()) : null), [answer]);
  const range = useMemo(() => (answer ? [Date.parse(answer.from) / 1000, Date.parse(answer.to) / 1000] : null), [answer]);
  const zoom = (start, end) => change({ since: null, from: new Date(start * 1000).toISOString(), to: new Date(end * 1000).toISOString(), cursor: null });
  return html`
    <${Section} id=${id} title=${title} tools=${picker && html`<div class="filters"><${RangePicker} usual=${usual} /></div>`}>
      ${!answer && html`<${Instead} resource=${asked} what=${title} />`}
      ${answer && html`
        <${Stale} resource=${asked} />
        <div class="box">
          ${children}
          <${Plot} times=${times} series=${series} range=${range} height=${HEIGHT} axes=${axesOf(axes, answer.bucket)} partial=${partial} onZoom=${zoom}
            label="${title}: ${points}" />
          <p class="note">${points}${bucket === "1d" && answer.zone !== zone ? `, days in ${answer.zone}` : ""}; times in ${zone}${answer.percentileError ? "; percentiles are accurate to within 1 %" : ""}.${partial.size ? " Dashed parts are incomplete: the range cuts their time off, or it is not over yet. A value above the top of the plot is in the table below." : ""} Drag over the plot to look closer.</p>
          <${Table} items=${items} figures=${figures} name=${id} partial=${partial} />
        </div>`}
    <//>`;
}

/** The figures of tasks and executions in a range. */
export const TASKS = [
  { key: "completedTasks", title: "Done", text: integer, scale: "count", least: 1, colour: "--plot-1" },
  { key: "failedTasks", title: "Failed", text: integer, scale: "count", least: 1, colour: "--plot-3" },
  { key: "executions", title: "Executions", text: integer },
  { key: "p50Duration", title: "p50", text: duration, scale: "time", least: 1000, colour: "--plot-2" },
  { key: "p95Duration", title: "p95", text: duration, scale: "time", least: 1000, colour: "--plot-4" },
  { key: "p99Duration", title: "p99", text: duration },
  { key: "avgDuration", title: "Mean", text: duration },
];

export const TASK_AXES = { count: (per) => `Tasks per ${per}`, time: () => "Duration of executions" };

/** The figures of builds in a range. */
export const BUILDS = [
  { key: "completedBuilds", title: "Completed", text: integer, scale: "count", least: 1, colour: "--plot-1" },
  { key: "failedBuilds", title: "Failed", text: integer, scale: "count", least: 1, colour: "--plot-3" },
  { key: "p50DurationMs", title: "p50", text: duration, scale: "time", least: 1000, colour: "--plot-2" },
  { key: "p95DurationMs", title: "p95", text: duration, scale: "time", least: 1000, colour: "--plot-4" },
  { key: "avgDurationMs", title: "Mean", text: duration },
];

export const BUILD_AXES = { count: (per) => `Builds per ${per}`, time: () => "Duration of builds" };
