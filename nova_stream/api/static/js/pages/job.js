// One job: how it is doing, and its runs.

import { toJob } from "../address.js";
import { duration, percent, plural } from "../format.js";
import { html } from "../lib.js";
import { Facts, Section, Until, When } from "../parts/common.js";
import { FilterChoice, FilterList } from "../parts/filter.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";
import { useResource } from "../resources.js";
import { Actions, Rights } from "./job_actions.js";
import { JobState } from "./jobs.js";
import { ENDS, HOWS } from "./outcomes.js";
import { RunTimes } from "./run_times.js";
import { RUN } from "./runs.js";

const COLUMNS = [RUN.id, RUN.ended, RUN.how, RUN.startedAt, RUN.duration, RUN.queryMs, RUN.rows, RUN.did];

function Runs({ name }) {
  const list = useList(`/api/v1/jobs/${encodeURIComponent(name)}/runs`, ["ended", "how"], "stats");
  return html`
    ${list.data.value && html`<${RunTimes} runs=${list.data.value.items} />`}
    <${Section} id="runs" title="Runs" tools=${html`<div class="filters"><${FilterChoice} name="ended" label="Runs that ended how" options=${ENDS} /><${FilterList} name="how" label="How" options=${HOWS} /><${RangePicker} /></div>`}>
      <${List} list=${list} what="Runs" none="It has not run yet." name="runs" columns=${COLUMNS} keyOf=${(run) => run.runId}
        rowAttributes=${(run) => ({ "data-run": run.runId })} />
    <//>`;
}

export function Job({ params }) {
  const jobs = useResource("/api/v1/jobs", 1000, "stats");
  const job = jobs.data.value?.items.find((one) => one.name === params.name);
  const unknown = jobs.data.value && !job;
  return html`
    <${Page} title=${params.name} crumbs=${[["/jobs", "Jobs"]]} note=${job?.description}
      tools=${job && html`<${Actions} job=${job} done=${() => jobs.refresh()} />`}>
      ${!jobs.data.value && html`<${Instead} resource=${jobs} what="The job" />`}
      ${unknown && html`<div class="empty missing" role="alert"><p><strong>No job has this name.</strong></p>
        <p>The jobs are ${jobs.data.value.items.map((one) => html`<a key=${one.name} href=${toJob(one.name)}>${one.name}</a> `)}</p></div>`}
      ${job && html`
        <${Stale} resource=${jobs} />
        <${Rights} />
        <${Facts} facts=${[
          ["State", html`<${JobState} job=${job} />${job.paused && job.pausedReason ? ` ${job.pausedReason}` : ""}`],
          ["Schedule", html`<code>${job.schedule}</code> (UTC)`],
          ["Next run", job.paused ? null : html`<${Until} time=${job.nextRun} />, <${When} time=${job.nextRun} />`],
          ["Usual duration", job.medianDurationMs === null ? null : duration(job.medianDurationMs)],
          ["Usually in Postgres", job.medianQueryMs === null ? null : duration(job.medianQueryMs)],
          ["Success", job.successRate === null ? null : `${percent(job.successRate)} of ${plural(job.runs || 0, "run")}`],
        ]} />
        <${Runs} name=${job.name} />`}
    <//>`;
}
