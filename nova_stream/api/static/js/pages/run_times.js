// How long a job's runs took, and how much of that in Postgres: a plot of those that are listed.

import { duration } from "../format.js";
import { html, useMemo } from "../lib.js";
import { Section } from "../parts/common.js";
import { Plot } from "../parts/plot.js";

const HEIGHT = 300;
const FEWEST = 2; // runs that make a line

const FIGURES = [
  { key: "durationMs", label: "Duration", colour: "--plot-1" },
  { key: "queryMs", label: "In Postgres", colour: "--plot-2" },
];

const AXES = { time: "Duration" };

const nothing = () => {};

/** ``runs``: newest first, as the list has them. */
export function RunTimes({ runs }) {
  const timed = runs.filter((run) => run.startedAt && run.durationMs !== null);
  const drawn = timed.map((run) => run.runId).join();
  const plot = useMemo(() => {
    const ordered = timed.toSorted((one, other) => Date.parse(one.startedAt) - Date.parse(other.startedAt));
    const times = ordered.map((run) => Date.parse(run.startedAt) / 1000);
    const series = FIGURES.map((figure) => ({
      ...figure,
      scale: "time",
      text: duration,
      mark: duration,
      range: (_plot, _low, high) => [0, Math.max(10, (high || 0) * 1.1)],
      values: ordered.map((run) => run[figure.key]),
    }));
    return { times, series, range: [times[0], times.at(-1)] };
  }, [drawn]);
  if (timed.length < FEWEST) return null;
  return html`
    <${Section} id="run-times" title="How long runs took" note="of the runs listed below">
      <div class="box"><${Plot} times=${plot.times} series=${plot.series} range=${plot.range} height=${HEIGHT} axes=${AXES} onZoom=${nothing}
        label="How long the runs that are listed took, and how much of that in Postgres" /></div>
    <//>`;
}
