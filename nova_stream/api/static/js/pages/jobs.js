// The jobs: when they run, how the last run went, and what an admin may do.

import { toJob, toRun } from "../address.js";
import { duration, NOTHING, percent, plural } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge, Until } from "../parts/common.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";
import { Actions, Rights } from "./job_actions.js";
import { did, didOf, Ended, endedOf, howOf } from "./outcomes.js";

function stateOf(job) {
  if (job.paused) return "paused";
  if (job.running) return "running";
  return job.late ? "late" : "waiting";
}

export function JobState({ job }) {
  return html`<${Badge} name=${stateOf(job)} title=${job.paused ? job.pausedReason : null} />`;
}

/** A duration, beside what is usual. */
function JobLength({ job }) {
  const last = job.lastRun?.durationMs ?? null;
  const usual = job.medianDurationMs ?? null;
  if (last === null) return NOTHING;
  const slow = usual !== null && last > 3 * usual && last > 1000;
  return html`
    <span class=${slow ? "slow" : ""}>${duration(last)}</span>
    ${usual !== null && html`<span class="note below-figure">usually ${duration(usual)}</span>`}`;
}

/** How the last run ended, and below it how it was started unless that was on schedule. */
function LastEnded({ job }) {
  const last = job.lastRun;
  if (!last) return NOTHING;
  return html`<a class="quiet" href=${toRun(job.name, last.runId)}><${Ended} run=${last} /></a>
    ${last.how !== "scheduled" && html`<span class="note below-figure">${howOf(last)}</span>`}`;
}

const COLUMNS = [
  { key: "name", title: "Job", value: (job) => job.name, cell: (job) => html`<a href=${toJob(job.name)}>${job.name}</a><span class="role"><code>${job.schedule}</code></span>` },
  { key: "state", title: "State", kind: "status", label: null, value: stateOf, cell: (job) => html`<${JobState} job=${job} />` },
  { key: "nextRun", title: "Next run", kind: "number", value: (job) => job.nextRun, cell: (job) => (job.paused ? NOTHING : html`<${Until} time=${job.nextRun} />`) },
  { key: "lastRun", title: "Last run", kind: "number", value: (job) => job.lastRun?.startedAt, cell: (job) => (job.lastRun ? html`<${Ago} time=${job.lastRun.startedAt || job.lastRun.scheduledAt} />` : "never") },
  { key: "ended", title: "Ended", value: (job) => endedOf(job.lastRun), cell: (job) => html`<${LastEnded} job=${job} />` },
  { key: "did", title: "What it did", kind: "text", value: (job) => didOf(job.lastRun), cell: (job) => did(job.lastRun) },
  { key: "durationMs", title: "Duration", kind: "number", value: (job) => job.lastRun?.durationMs, cell: (job) => html`<${JobLength} job=${job} />` },
  { key: "successRate", title: "Success", kind: "number", value: (job) => job.successRate, cell: (job) => html`<span title=${plural(job.runs || 0, "run")}>${percent(job.successRate)}</span>` },
];

export function Jobs() {
  const list = useResource("/api/v1/jobs", 1000, "stats");
  const rows = list.data.value?.items;
  const columns = [...COLUMNS, { key: "actions", title: "Actions", kind: "actions", label: null, cell: (job) => html`<${Actions} job=${job} done=${() => list.refresh()} />` }];
  return html`
    <${Page} title="Jobs" tools=${html`<a href="/runs">Runs of all jobs</a>`}>
      ${!rows && html`<${Instead} resource=${list} what="Jobs" />`}
      ${rows && html`
        <${Stale} resource=${list} />
        <${Rights} />
        <${Table} name="jobs" label="Jobs" columns=${columns} rows=${rows} keyOf=${(job) => job.name} rowAttributes=${(job) => ({ "data-job": job.name })} />
        <div class="pager"><${Save} name="jobs" columns=${columns} rows=${rows} /></div>`}
    <//>`;
}
