// The runs of all jobs in the order of time, and what each job did meanwhile.

import { toJob, toRun, useParameters, withParameters } from "../address.js";
import { duration, integer, NOTHING, plural, words } from "../format.js";
import { html, useMemo } from "../lib.js";
import { Ago, Badge, Section, When } from "../parts/common.js";
import { FilterChoice, FilterList } from "../parts/filter.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker, rangeOf } from "../parts/range.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";
import { didOf, didTogether } from "./did.js";
import { Did } from "./jobs.js";

const EVERY = 15_000; // milliseconds
const USUAL = "1d";

const OUTCOMES = [["all", "All"], ["ok,late,manual", "Went well"], ["failed,timed_out,missed", "Went wrong"], ["skipped_overlap,skipped_paused", "Skipped"]];

/** The columns that runs have everywhere. */
export const RUN = {
  id: { key: "runId", title: "Run", value: (run) => run.runId, cell: (run) => html`<a href=${toRun(run.job, run.runId)}>${run.runId}</a>` },
  job: { key: "job", title: "Job", value: (run) => run.job, cell: (run) => html`<a href=${toJob(run.job)}>${run.job}</a>` },
  outcome: { key: "outcome", title: "Outcome", kind: "status", label: null, value: (run) => run.outcome, cell: (run) => html`<${Badge} name=${run.outcome || run.state} />` },
  trigger: { key: "trigger", title: "Why", value: (run) => run.trigger, cell: (run) => (run.dryRun ? "dry run" : words(run.trigger)) },
  startedAt: { key: "startedAt", title: "Started", kind: "number", value: (run) => run.startedAt || run.scheduledAt, cell: (run) => html`<${Ago} time=${run.startedAt || run.scheduledAt} />` },
  duration: { key: "durationMs", title: "Duration", kind: "number", value: (run) => run.durationMs, cell: (run) => (run.durationMs === null ? "" : duration(run.durationMs)) },
  queryMs: { key: "queryMs", title: "In Postgres", kind: "number", value: (run) => run.queryMs, cell: (run) => (run.queryMs === null ? "" : duration(run.queryMs)) },
  rows: { key: "rows", title: "Rows", kind: "number", value: (run) => run.rows, cell: (run) => (run.rows === null ? "" : integer(run.rows)) },
  did: { key: "result", title: "What it did", kind: "text", value: didOf, cell: (run) => html`<${Did} run=${run} />` },
};

/** Where what happened at the same time is compared, the clock says more than how long ago it was. */
const ON_THE_CLOCK = { ...RUN.startedAt, cell: (run) => html`<${When} time=${run.startedAt || run.scheduledAt} /><span class="note below-figure"><${Ago} time=${run.startedAt || run.scheduledAt} /></span>` };

const COLUMNS = [RUN.id, RUN.outcome, RUN.job, RUN.trigger, ON_THE_CLOCK, RUN.duration, RUN.did];

/** Whether a job's runs went well: the word for it, and what it is marked as. */
function verdictOf({ good, bad, missing, unended, skipped, lastRun }) {
  if (bad || missing) return ["failed", [bad && `${integer(bad)} went wrong`, missing && `${integer(missing)} missing`].filter(Boolean).join(", ")];
  if (good) return ["ok", "all went well"];
  if (unended) return ["running", "running"];
  if (skipped) return ["paused", "all skipped"];
  return ["", lastRun ? "only dry runs" : "none was due"];
}

function Verdict({ of }) {
  const [name, text] = verdictOf(of);
  return html`<${Badge} name=${name} text=${text} />`;
}

const count = (key, title) => ({ key, title, kind: "number", value: (of) => of[key], cell: (of) => integer(of[key]), attributes: (of) => ({ "data-zero": of[key] ? undefined : "true" }) });

/** ``changed``: the address of this page with other parameters. */
const summaryColumns = (changed) => [
  { key: "job", title: "Job", value: (of) => of.job, cell: (of) => html`<a href=${changed({ job: of.job, cursor: null })} title="Only its runs">${of.job}</a>` },
  { key: "verdict", title: "Did they go well?", kind: "status", label: null, value: (of) => verdictOf(of)[1], cell: (of) => html`<${Verdict} of=${of} />` },
  count("good", "Went well"),
  count("bad", "Went wrong"),
  count("skipped", "Skipped"),
  { key: "lastRun", title: "Last run", kind: "number", value: (of) => of.lastRun?.startedAt, cell: (of) => (of.lastRun ? html`<a href=${toRun(of.job, of.lastRun.runId)}><${Ago} time=${of.lastRun.startedAt} /></a>` : NOTHING) },
  { key: "did", title: "What they did", kind: "text", value: didTogether, cell: didTogether },
];

function Summary({ range }) {
  const { changed } = useParameters();
  const asked = useResource(withParameters("/api/v1/runs/summary", range), EVERY, "stats");
  const rows = asked.data.value?.items;
  const columns = summaryColumns(changed);
  const wrong = rows?.filter((of) => verdictOf(of)[0] === "failed").length;
  const note = rows && (wrong ? `${plural(wrong, "job")} with runs that went wrong` : rows.some((of) => of.lastRun) ? "no run went wrong" : "no job has run in this time");
  return html`
    <${Section} id="summary" title="What each job did" note=${note}>
      <${Instead} resource=${asked} what="What each job did" />
      ${rows && html`
        <${Stale} resource=${asked} />
        <${Table} name="by-job" label="What each job did" columns=${columns} rows=${rows} keyOf=${(of) => of.job} rowAttributes=${(of) => ({ "data-job": of.job })} />
        <div class="pager"><${Save} name="jobs-did" columns=${columns} rows=${rows} /></div>`}
    <//>`;
}

export function Runs() {
  const { query } = useParameters();
  const list = useList("/api/v1/runs", ["job", "outcome"], "stats", { since: USUAL });
  const range = useMemo(() => rangeOf(query, USUAL), [query.since, query.from, query.to]);
  const jobs = useResource("/api/v1/jobs", 0, "stats").data.value?.items || [];
  return html`
    <${Page} title="Runs of all jobs" crumbs=${[["/jobs", "Jobs"]]} tools=${html`<div class="filters"><${RangePicker} usual=${USUAL} /></div>`}>
      <${Summary} range=${range} />
      <${Section} id="runs" title="Runs" tools=${html`<div class="filters">
        <${FilterChoice} name="outcome" label="Runs of which outcome" options=${OUTCOMES} />
        <${FilterList} name="job" label="Job" options=${jobs.map((job) => [job.name, job.name])} /></div>`}>
        <${List} list=${list} what="Runs" none="No job has run in this time." name="all-runs" columns=${COLUMNS} keyOf=${(run) => run.runId}
          rowAttributes=${(run) => ({ "data-run": run.runId })} />
      <//>
    <//>`;
}
