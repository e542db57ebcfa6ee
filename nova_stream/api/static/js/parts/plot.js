// A plot over time with two scales, by uPlot; it follows the width and the colours of the page.

import uPlot from "../../vendor/uplot.js";
import { NOTHING } from "../format.js";
import { effect, html, useEffect, useRef } from "../lib.js";
import { dark } from "../theme.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const second = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** Between the marks of a scale of durations, in milliseconds: round in the unit that they are told in. */
const LENGTHS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 20, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 6, 12].map((hours) => hours * 3_600_000),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000].map((days) => days * 86_400_000),
];

const NONE = new Set();
const PARTIAL = "partial";

/** ``range``: the first and last second of the plot, also where nothing is; ``series``: [{label, values, scale, colour (a CSS variable),
 * range, text(value), mark(value)}]; times in seconds. ``axes``: what each scale shows, by its name. ``partial``: the places of values that
 * are not of a whole bucket; lines from and to them are dashed. */
export function Plot({ times, series, range, height, label, axes, onZoom, partial = NONE }) {
  const place = useRef(null);
  const hidden = useRef(new Set()); // labels: what somebody has hidden stays so when the plot is drawn anew
  useEffect(() => {
    let plot = null;
    const draw = () => {
      plot?.destroy();
      const parts = partial.size ? series.map((one) => dashedOf(one, partial)) : [];
      const whole = series.map((one) => one.values.map((value, at) => (partial.has(at) ? null : value)));
      plot = new uPlot(options(place.current, series, parts, { range, height, onZoom, partial, hidden: hidden.current }), [times, ...parts.map((one) => one.values), ...whole], place.current);
      plot.over.addEventListener("mouseleave", showLast);
      showLast();
    };
    // The legend shows the last values while nobody points at others; uPlot empties it by itself.
    const showLast = () => setTimeout(() => plot?.setLegend({ idx: times.length - 1 }));
    const redraw = effect(() => {
      dark.value;
      if (place.current !== null) draw(); // the theme can change just when it has left the page
    });
    const fit = new ResizeObserver(() => {
      if (place.current === null) return; // it has left the page, which is a change of size, too
      plot.setSize({ width: place.current.clientWidth, height });
      showLast();
    });
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      redraw();
      plot.destroy();
      plot = null;
    };
  }, [times, series, range, height, partial]);
  return html`
    <div class="axis-titles">${scalesOf(series).map((scale) => html`<p key=${scale}>${axes[scale]}</p>`)}</div>
    <div class="plot" ref=${place} role="img" aria-label=${label}></div>`;
}

/** The highest value on a scale that is of a whole bucket and not hidden; null without any. A bucket of a few seconds must not dwarf all others. */
export function highestWhole(plot, scale) {
  const lines = plot.series.flatMap((one, place) => (one.scale === scale && one.show && one.class !== PARTIAL ? [plot.data[place]] : []));
  return lines.flat().reduce((most, value) => (value === null || value === undefined || value <= most ? most : value), null);
}

const scalesOf = (series) => [...new Set(series.map((one) => one.scale))];

/** What is drawn dashed of a line: its partial values, and those beside them. */
function dashedOf(one, partial) {
  const drawn = (at) => partial.has(at) || partial.has(at - 1) || partial.has(at + 1);
  return { ...one, values: one.values.map((value, at) => (drawn(at) ? value : null)) };
}

/** Has ``hidden`` be the labels of the hidden lines, which come behind ``count`` dashed parts. */
function noteHidden(plot, count, hidden) {
  hidden.clear();
  for (const { label, show } of plot.series.slice(1 + count)) if (!show) hidden.add(label);
}

/** A line that is hidden takes its dashed part with it; ``count`` such parts come before the lines. */
function hideBoth(plot, count) {
  for (let place = 1; place <= count; place += 1) {
    const { show } = plot.series[place + count];
    if (plot.series[place].show !== show) plot.setSeries(place, { show }, false);
  }
}

/** Times below the plot: days where they are at midnight, else as a clock has them, with seconds where marks are closer than minutes. */
function timeMarks(_plot, marks, _axis, _space, step) {
  return marks.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (step < 60) return second.format(at);
    return step >= 86_400 || at.getHours() + at.getMinutes() === 0 ? date.format(at) : clock.format(at);
  });
}

function options(element, series, parts, { range, height, onZoom, partial, hidden }) {
  const style = getComputedStyle(element);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const ground = getComputedStyle(element.closest(".box")).backgroundColor;
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--plot-text"), grid: { stroke: colour("--plot-line"), width: 1 }, ticks: { show: false }, font: `${Math.round(1.2 * rem)}px system-ui, sans-serif` };
  const scales = [...new Map(series.map((one) => [one.scale, one])).values()];
  const scaled = scales.map((one, place) => ({
    ...axis,
    scale: one.scale,
    side: place === 0 ? 3 : 1,
    size: 7.2 * rem,
    ...(one.scale === "time" && { incrs: LENGTHS }),
    grid: { ...axis.grid, show: place === 0 },
    values: (_plot, marks) => marks.map((mark) => one.mark(mark)),
  }));
  return {
    width: element.clientWidth,
    height,
    cursor: { points: { size: 7 }, drag: { x: true, setScale: false } },
    hooks: { setSeries: [(plot) => noteHidden(plot, parts.length, hidden), (plot) => hideBoth(plot, parts.length)], setSelect: [(plot) => plot.select.width > 4 && onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"))] },
    legend: { live: true },
    scales: { x: { range: () => range }, ...Object.fromEntries(series.map((one) => [one.scale, { range: one.range }])) },
    axes: [{ ...axis, space: 8 * rem, values: timeMarks }, ...scaled],
    series: [
      { label: "Time", value: (_plot, seconds, _series, at) => (seconds === null || seconds === undefined ? NOTHING : `${day.format(seconds * 1000)}${partial.has(at) ? ", incomplete" : ""}`) },
      ...parts.map((one) => ({
        class: PARTIAL,
        show: !hidden.has(one.label),
        scale: one.scale,
        stroke: colour(one.colour),
        alpha: 0.75,
        width: 2,
        dash: [5, 4],
        points: { size: 6, fill: ground, show: true },
      })),
      ...series.map((one) => ({
        label: one.label,
        show: !hidden.has(one.label),
        scale: one.scale,
        stroke: colour(one.colour),
        width: 2,
        points: { size: 5, fill: colour(one.colour), show: true },
        spanGaps: false,
        value: (_plot, _value, _series, at) => one.text(one.values[at] ?? null),
      })),
    ],
  };
}
