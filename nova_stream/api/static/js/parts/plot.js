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

/** ``range``: the first and last second of the plot, also where nothing is; ``series``: [{label, values, scale, colour (a CSS variable),
 * range, text(value), mark(value)}]; times in seconds. */
export function Plot({ times, series, range, height, label, onZoom }) {
  const place = useRef(null);
  useEffect(() => {
    let plot = null;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(options(place.current, series, range, height, onZoom), [times, ...series.map((one) => one.values)], place.current);
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
  }, [times, series, range, height]);
  return html`<div class="plot" ref=${place} role="img" aria-label=${label}></div>`;
}

/** Times below the plot: days where they are at midnight, else as a clock has them, with seconds where marks are closer than minutes. */
function timeMarks(_plot, marks, _axis, _space, step) {
  return marks.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (step < 60) return second.format(at);
    return step >= 86_400 || at.getHours() + at.getMinutes() === 0 ? date.format(at) : clock.format(at);
  });
}

function options(element, series, range, height, onZoom) {
  const style = getComputedStyle(element);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
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
    hooks: { setSelect: [(plot) => plot.select.width > 4 && onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"))] },
    legend: { live: true },
    scales: { x: { range: () => range }, ...Object.fromEntries(series.map((one) => [one.scale, { range: one.range }])) },
    axes: [{ ...axis, space: 8 * rem, values: timeMarks }, ...scaled],
    series: [
      { label: "Time", value: (_plot, seconds) => (seconds === null || seconds === undefined ? NOTHING : day.format(seconds * 1000)) },
      ...series.map((one) => ({
        label: one.label,
        scale: one.scale,
        stroke: colour(one.colour),
        width: 2,
        points: { size: 5, fill: colour(one.colour), show: true },
        spanGaps: false,
        value: (_plot, value) => (value === null || value === undefined ? NOTHING : one.text(value)),
      })),
    ],
  };
}
