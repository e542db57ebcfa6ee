// One run of a job: what it did, and undoing it.

import { toJob } from "../address.js";
import { ask } from "../api.js";
import { duration } from "../format.js";
import { html } from "../lib.js";
import { Ago, Facts, Section, When } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { Confirm, openDialog, say } from "../parts/dialogs.js";
import { Json } from "../parts/json.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { useResource } from "../resources.js";
import { admin } from "../rights.js";
import { Ended, endedOf, howOf } from "./outcomes.js";

function UndoDialog({ run, close, done }) {
  const act = async () => {
    const answer = await ask(`/api/v1/jobs/${encodeURIComponent(run.job)}/runs/${run.runId}/undo`, { method: "POST" });
    say(`Run ${run.runId} is undone: ${answer.restored} restored.`);
    done();
  };
  return html`
    <${Confirm} title="Undo run ${run.runId}?" label="Undo it" danger act=${act} close=${close}>
      <p class="note">What it took away comes back. This is possible while the deleted rows are still kept.</p>
    <//>`;
}

function canBeUndone(job, run) {
  return job?.undoable && !run.dryRun && run.state === "ended" && (run.result?.deleted || run.result?.retired) > 0;
}

export function Run({ params }) {
  const { name, id } = params;
  const asked = useResource(`/api/v1/jobs/${encodeURIComponent(name)}/runs/${encodeURIComponent(id)}`, 1000, "stats");
  const jobs = useResource("/api/v1/jobs", 5000, "stats");
  const run = asked.data.value;
  const job = jobs.data.value?.items.find((one) => one.name === name);
  const undo = run && canBeUndone(job, run) && html`
    <button type="button" disabled=${!admin.value.allowed} title=${admin.value.reason}
      onClick=${() => openDialog(UndoDialog, { run, done: () => asked.refresh() })}>Undo…</button>`;
  return html`
    <${Page} title="Run ${id}" tab="Run ${id} of ${name}" crumbs=${[["/jobs", "Jobs"], [toJob(name), name]]}
      tools=${run && html`<${Ended} run=${run} />${undo}`}>
      <${Instead} resource=${asked} what="The run" />
      ${run && html`
        <${Stale} resource=${asked} />
        ${run.did && html`<p class="did">${run.did}</p>`}
        ${run.error && html`<p class="box failure error">${run.error}</p>`}
        <${Facts} facts=${[
          ["Run", html`<${Id} id=${run.runId} />`],
          ["How", howOf(run)],
          [run.trigger === "manual" ? "Asked for" : "Due", html`<${When} time=${run.scheduledAt} />`],
          ["Started", run.startedAt && html`<${When} time=${run.startedAt} />, <${Ago} time=${run.startedAt} />`],
          ["Ended", run.endedAt && html`${endedOf(run)}, <${When} time=${run.endedAt} />`],
          ["Duration", run.durationMs === null ? null : duration(run.durationMs)],
          ["In Postgres", run.queryMs === null ? null : `${duration(run.queryMs)} spent in its SQL statements`],
        ]} />
        ${run.result && html`<${Section} id="result" title="Result"><${Json} value=${run.result} label="The result" /><//>`}`}
    <//>`;
}
