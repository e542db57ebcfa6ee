// What an admin does with a job: run it, pause it, resume it.

import { toRun } from "../address.js";
import { ask } from "../api.js";
import { html, useLocation } from "../lib.js";
import { Confirm, openDialog, say } from "../parts/dialogs.js";
import { admin } from "../rights.js";

const path = (job, action) => `/api/v1/jobs/${encodeURIComponent(job)}/${action}`;

function RunDialog({ job, close, started }) {
  const act = async (given) => {
    const at = given.get("at");
    const body = { dryRun: given.get("dry") !== null, ...(at && { at: `${at}Z` }) };
    const run = await ask(path(job.name, "run"), { method: "POST", body });
    say(`${job.name}: ${body.dryRun ? "dry run" : "run"} ${run.runId} was requested.`);
    return () => started(run);
  };
  return html`
    <${Confirm} title="Run ${job.name}?" label="Run it now" act=${act} close=${close}>
      <p>${job.description}</p>
      <p class="note">A worker takes it within seconds; no slot is used up.</p>
      <label class="check"><input type="checkbox" name="dry" /> Dry run: say what it would do, and change nothing</label>
      <label>Time that the job takes as now (UTC); empty = when it starts
        <input type="datetime-local" name="at" step="1" /></label>
    <//>`;
}

function PauseDialog({ job, close, done }) {
  const act = async (given) => {
    const reason = given.get("reason").trim();
    await ask(path(job.name, "pause"), { method: "POST", body: reason ? { reason } : {} });
    say(`${job.name} is paused.`);
    done();
  };
  return html`
    <${Confirm} title="Pause ${job.name}?" label="Pause" act=${act} close=${close}>
      <p class="note">None of its slots is run until it is resumed; each is noted as skipped.</p>
      <label>Reason, for others to read <input name="reason" autocomplete="off" maxlength="200" /></label>
    <//>`;
}

function ResumeDialog({ job, close, done }) {
  const act = async () => {
    await ask(path(job.name, "resume"), { method: "POST" });
    say(`${job.name} is resumed.`);
    done();
  };
  return html`
    <${Confirm} title="Resume ${job.name}?" label="Resume" act=${act} close=${close}>
      <p class="note">Its slots are run again from now on; those of the pause stay skipped.</p>
    <//>`;
}

/** Why nothing of this can be done, where that is so; the buttons refer to it. */
export function Rights() {
  const { reason } = admin.value;
  return reason && html`<p class="note" id="jobs-rights">Running and pausing: ${reason}</p>`;
}

/** The buttons of a job; ``done`` is called once it is paused or resumed. */
export function Actions({ job, done }) {
  const { route } = useLocation();
  const { allowed } = admin.value;
  const button = (label, view, props) => html`
    <button type="button" disabled=${!allowed} aria-describedby=${allowed ? undefined : "jobs-rights"}
      aria-label="${label} ${job.name}" onClick=${() => openDialog(view, { job, ...props })}>${label}</button>`;
  return html`
    <div class="buttons row">
      ${button("Run…", RunDialog, { started: (run) => route(toRun(job.name, run.runId)) })}
      ${job.paused ? button("Resume…", ResumeDialog, { done }) : button("Pause…", PauseDialog, { done })}
    </div>`;
}
