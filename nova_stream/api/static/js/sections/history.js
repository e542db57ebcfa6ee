// Build success rate and duration over time, from the points that refreshBuildStats writes.

import { duration, percent, plural, when } from "../format.js";
import { computed, html } from "../lib.js";
import { Choice, Section, Waiting } from "../parts/common.js";
import { Plot } from "../parts/plot.js";
import { buildHistory, historyDays } from "../resources.js";
import { now } from "../state.js";

const SPANS = [["1", "1 day"], ["7", "7 days"], ["30", "30 days"]];
const HEIGHT = 340;

/** Times and series; they stay the same objects while the points are the same. */
const drawn = computed(() => {
  const points = buildHistory.data.value?.items || [];
  return {
    points,
    times: points.map((point) => Date.parse(point.takenAt) / 1000),
    series: [
      { label: "Success rate", scale: "rate", colour: "--plot-1", range: [0, 100], text: percent, mark: (value) => `${value} %`, values: points.map((point) => point.successRate) },
      { label: "Avg duration", scale: "time", colour: "--plot-2", range: (_plot, _low, high) => [0, Math.max(1000, high * 1.15)], text: duration, mark: duration, values: points.map((point) => point.avgDurationMs) },
    ],
  };
});

function AsTable({ points }) {
  return html`
    <details class="as-table"><summary>As a table</summary>
      <div class="inner-scroll" tabindex="0" role="region" aria-label="History as a table">
        <table class="plain-table">
          <thead><tr><th scope="col">Time</th><th scope="col" class="number">Success rate</th><th scope="col" class="number">Avg duration</th></tr></thead>
          <tbody>${[...points].reverse().slice(0, 200).map((point) => html`
            <tr key=${point.takenAt}><th scope="row">${when(point.takenAt, now.peek())}</th>
              <td class="number">${percent(point.successRate)}</td><td class="number">${duration(point.avgDurationMs)}</td></tr>`)}
          </tbody>
        </table>
      </div>
    </details>`;
}

export function BuildHistory() {
  const choose = (days) => {
    historyDays.value = days;
    buildHistory.refresh();
  };
  const { points, times, series } = drawn.value;
  const last = points.at(-1);
  return html`
    <${Section} id="history" title="Builds over time"
      tools=${html`<${Choice} label="Span of time" options=${SPANS} value=${historyDays.value} onChoose=${choose} />`}>
      ${!buildHistory.data.value && html`<${Waiting} resource=${buildHistory} what="The history" />`}
      ${buildHistory.data.value && !last && html`<p class="empty">No points yet: the job refreshBuildStats writes one an hour.</p>`}
      ${last && html`<div class="box">
        <${Plot} times=${times} series=${series} height=${HEIGHT}
          label="Build success rate and average duration, ${plural(points.length, "point")}; the last: ${percent(last.successRate)}, ${duration(last.avgDurationMs)}" />
        <${AsTable} points=${points} />
      </div>`}
    <//>`;
}
