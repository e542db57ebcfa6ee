// The history of a job.

import { ask } from "../api.js";
import { duration, words } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Ago, Badge } from "../parts/common.js";
import { Confirm, openDialog, say } from "../parts/dialogs.js";
import { admin } from "../rights.js";

/** The newest runs, asked for every second, and how many are wanted. */
function useRuns(job) {
  const [found, setFound] = useState(null);
  const [failure, setFailure] = useState(null);
  const [limit, setLimit] = useState(10);
  useEffect(() => {
    let current = true;
    const look = () =>
      ask(`/api/v1/jobs/${encodeURIComponent(job)}/runs?limit=${limit}`).then(
        (answer) => current && (setFound(answer), setFailure(null)),
        (error) => current && setFailure(error),
      );
    look();
    const timer = setInterval(look, 1000);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [job, limit]);
  return { found, failure, more: () => setLimit(Math.min(500, limit + 40)), full: limit >= 500 };
}

function UndoDialog({ run, close }) {
  const act = async () => {
    const answer = await ask(`/api/v1/jobs/${encodeURIComponent(run.job)}/runs/${run.runId}/undo`, { method: "POST" });
    say(`Run ${run.runId} is undone: ${answer.restored} restored.`);
  };
  return html`
    <${Confirm} title="Undo run ${run.runId}?" label="Undo it" danger act=${act} close=${close}>
      <p class="note">What it deleted comes back. This is possible while the deleted rows are still kept.</p>
    <//>`;
}

function canBeUndone(job, run) {
  return job.undoable && !run.dryRun && run.outcome !== null && run.result?.deleted > 0;
}

function Run({ job, run }) {
  const { allowed } = admin.value;
  return html`
    <tr data-run=${run.runId}>
      <th scope="row">${run.runId}</th>
      <td><${Badge} name=${run.outcome || run.state} /></td>
      <td>${run.dryRun ? "dry run" : words(run.trigger)}</td>
      <td class="number"><${Ago} time=${run.startedAt || run.scheduledAt} /></td>
      <td class="number">${run.durationMs === null ? "" : duration(run.durationMs)}</td>
      <td class="text">
        ${run.error && html`<span class="failure">${run.error}</span>`}
        ${run.result && html`<details><summary>${summary(run.result)}</summary><pre>${JSON.stringify(run.result, null, 2)}</pre></details>`}
      </td>
      <td class="actions">${canBeUndone(job, run) && html`<button type="button" disabled=${!allowed}
        aria-label="Undo run ${run.runId}" onClick=${() => openDialog(UndoDialog, { run })}>Undo…</button>`}</td>
    </tr>`;
}

/** The first words of a result. */
function summary(result) {
  const [name, value] = Object.entries(result)[0] || ["result", ""];
  return `${name}: ${typeof value === "object" ? "…" : value}`;
}

export function Runs({ job }) {
  const { found, failure, more, full } = useRuns(job.name);
  return html`
    ${job.paused && html`<p class="note">Paused${job.pausedReason ? `: ${job.pausedReason}` : ""}.</p>`}
    ${failure && html`<p class="note">Its history cannot be shown: ${failure.message}</p>`}
    ${!found && !failure && html`<p class="note" aria-busy="true">Asking for its history…</p>`}
    ${found && found.items.length === 0 && html`<p class="note">It has not run yet.</p>`}
    ${found && found.items.length > 0 && html`
      <div class="inner-scroll" tabindex="0" role="region" aria-label="History of ${job.name}">
        <table class="plain-table">
          <caption class="sr-only">Runs of ${job.name}, newest first</caption>
          <thead><tr>
            <th scope="col">Run</th><th scope="col">Outcome</th><th scope="col">Why</th>
            <th scope="col" class="number">Started</th><th scope="col" class="number">Duration</th>
            <th scope="col">Result</th><th scope="col"><span class="sr-only">Actions</span></th>
          </tr></thead>
          <tbody>${found.items.map((run) => html`<${Run} key=${run.runId} job=${job} run=${run} />`)}</tbody>
        </table>
      </div>
      ${found.nextCursor && !full && html`<button type="button" onClick=${more}>Show older runs</button>`}`}`;
}
