// The runs of all jobs in the order of time, and what each job did meanwhile.

import { toJob, toRun, useParameters, withParameters } from "../address.js";
import { duration, integer, NOTHING, plural } from "../format.js";
import { html, useMemo } from "../lib.js";
import { Ago, Badge, Section, When } from "../parts/common.js";
import { FilterChoice, FilterList } from "../parts/filter.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker, rangeOf } from "../parts/range.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";
import { asOfWords, did, didOf, Ended, endedOf, ENDS, how, howOf, HOWS } from "./outcomes.js";

const EVERY = 15_000; // milliseconds
const USUAL = "1d";

/** The columns that runs have everywhere. */
export const RUN = {
  id: { key: "runId", title: "Run", value: (run) => run.runId, cell: (run) => html`<a href=${toRun(run.job, run.runId)}>${run.runId}</a>` },
  job: { key: "job", title: "Job", value: (run) => run.job, cell: (run) => html`<a href=${toJob(run.job)}>${run.job}</a>` },
  ended: { key: "ended", title: "Ended", kind: "status", label: null, value: endedOf, cell: (run) => html`<${Ended} run=${run} />` },
  how: { key: "how", title: "How", value: howOf, cell: how },
  startedAt: { key: "startedAt", title: "Started", kind: "number", value: (run) => run.startedAt || run.scheduledAt, cell: (run) => html`<${Ago} time=${run.startedAt || run.scheduledAt} />` },
  duration: { key: "durationMs", title: "Duration", kind: "number", value: (run) => run.durationMs, cell: (run) => (run.durationMs === null ? "" : duration(run.durationMs)) },
  queryMs: { key: "queryMs", title: "In Postgres", kind: "number", value: (run) => run.queryMs, cell: (run) => (run.queryMs === null ? "" : duration(run.queryMs)) },
  rows: { key: "rows", title: "Rows", kind: "number", value: (run) => run.rows, cell: (run) => (run.rows === null ? "" : integer(run.rows)) },
  did: { key: "result", title: "What it did", kind: "text", value: didOf, cell: did },
};

/** Where what happened at the same time is compared, the clock says more than how long ago it was. */
const ON_THE_CLOCK = { ...RUN.startedAt, cell: (run) => html`<${When} time=${run.startedAt || run.scheduledAt} /><span class="note below-figure"><${Ago} time=${run.startedAt || run.scheduledAt} /></span>` };

const COLUMNS = [RUN.id, RUN.ended, RUN.job, RUN.how, ON_THE_CLOCK, RUN.duration, RUN.did];

const all = (of, ended) => of.scheduled[ended] + of.caughtUp[ended];
/** Slots that nobody ran, noted in the ledger or not. */
const missed = (of) => all(of, "missed") + of.missing;

/** Whether a job's runs went well: the word for it, and what it is marked as. Dry runs do not count. */
function verdictOf(of) {
  const counted = (ended) => all(of, ended) + of.byHand[ended];
  const wrong = counted("wentWrong");
  if (wrong || missed(of)) return ["went_wrong", [wrong && `${integer(wrong)} went wrong`, missed(of) && `${integer(missed(of))} missed`].filter(Boolean).join(", ")];
  if (all(of, "wentWell")) return ["went_well", "all went well"];
  if (of.byHand.wentWell) return ["went_well", "only by hand, went well"];
  if (counted("running")) return ["running", "running"];
  if (counted("skipped")) return ["skipped", "all skipped"];
  return ["", of.lastRun ? "only dry runs" : "none was due"];
}

/** The runs by hand, which used up no slot. */
function byHandOf({ byHand, lastRun }) {
  const told = [byHand.wentWell && `${integer(byHand.wentWell)} went well`, byHand.wentWrong && `${integer(byHand.wentWrong)} went wrong`, byHand.running && `${integer(byHand.running)} running`];
  return [...told, asOfWords(lastRun)].filter(Boolean).join(", ");
}

function Verdict({ of }) {
  const [name, text] = verdictOf(of);
  return html`<${Badge} name=${name} text=${text} title=${of.lastRun ? null : "Slots count from when a worker first knew of the job."} />`;
}

const count = (key, title, value) => ({ key, title, kind: "number", value, cell: (of) => integer(value(of)), attributes: (of) => ({ "data-zero": value(of) ? undefined : "true" }) });

/** ``changed``: the address of this page with other parameters. */
const summaryColumns = (changed) => [
  { key: "job", title: "Job", value: (of) => of.job, cell: (of) => html`<a href=${changed({ job: of.job, cursor: null })} title="Only its runs">${of.job}</a>` },
  { key: "verdict", title: "Did they go well?", kind: "status", label: null, value: (of) => verdictOf(of)[1], cell: (of) => html`<${Verdict} of=${of} />` },
  count("wentWell", "Went well", (of) => all(of, "wentWell")),
  count("wentWrong", "Went wrong", (of) => all(of, "wentWrong")),
  count("missed", "Missed", missed),
  count("skipped", "Skipped", (of) => all(of, "skipped")),
  { key: "byHand", title: "By hand", value: byHandOf, cell: (of) => byHandOf(of) || NOTHING },
  { key: "lastRun", title: "Last run", kind: "number", value: (of) => of.lastRun?.startedAt, cell: (of) => (of.lastRun ? html`<a href=${toRun(of.job, of.lastRun.runId)}><${Ago} time=${of.lastRun.startedAt} /></a>` : NOTHING) },
  { key: "did", title: "What they did", kind: "text", value: didTogether, cell: didTogether },
];

/** What the runs did together; of those that only went wrong, what went wrong last. */
const didTogether = (of) => of.did || of.lastRun?.error || "";

function Summary({ range }) {
  const { changed } = useParameters();
  const asked = useResource(withParameters("/api/v1/runs/summary", range), EVERY, "stats");
  const rows = asked.data.value?.items;
  const columns = summaryColumns(changed);
  const wrong = rows?.filter((of) => verdictOf(of)[0] === "went_wrong").length;
  const note = rows && (wrong ? `${plural(wrong, "job")} with runs that went wrong or were missed` : rows.some((of) => of.lastRun) ? "no run went wrong" : "no job has run in this time");
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
  const list = useList("/api/v1/runs", ["job", "ended", "how"], "stats", { since: USUAL });
  const range = useMemo(() => rangeOf(query, USUAL), [query.since, query.from, query.to]);
  const jobs = useResource("/api/v1/jobs", 0, "stats").data.value?.items || [];
  return html`
    <${Page} title="Runs of all jobs" crumbs=${[["/jobs", "Jobs"]]} tools=${html`<div class="filters"><${RangePicker} usual=${USUAL} /></div>`}>
      <${Summary} range=${range} />
      <${Section} id="runs" title="Runs" tools=${html`<div class="filters">
        <${FilterChoice} name="ended" label="Runs that ended how" options=${ENDS} />
        <${FilterList} name="how" label="How" options=${HOWS} />
        <${FilterList} name="job" label="Job" options=${jobs.map((job) => [job.name, job.name])} /></div>`}>
        <${List} list=${list} what="Runs" none="No job has run in this time." name="all-runs" columns=${COLUMNS} keyOf=${(run) => run.runId}
          rowAttributes=${(run) => ({ "data-run": run.runId })} />
      <//>
    <//>`;
}
