// The jobs: when they run, how the last run went, and what an admin may do.

import { ask } from "../api.js";
import { duration, NOTHING, percent, plural } from "../format.js";
import { html, useState } from "../lib.js";
import { Ago, Badge, Cell, Empty, Section, Until, Waiting } from "../parts/common.js";
import { Confirm, openDialog, say } from "../parts/dialogs.js";
import { jobs } from "../resources.js";
import { admin } from "../rights.js";
import { Runs } from "./runs.js";

const COLUMNS = [
  ["Job", ""], ["State", ""], ["Next run", "number"], ["Last run", "number"],
  ["Outcome", ""], ["Duration", "number"], ["Success", "number"], ["Actions", "actions"],
];

const path = (job, action) => `/api/v1/jobs/${encodeURIComponent(job)}/${action}`;

function RunDialog({ job, close, started }) {
  const act = async (given) => {
    const at = given.get("at");
    const body = { dryRun: given.get("dry") !== null, ...(at && { at: `${at}Z` }) };
    const run = await ask(path(job.name, "run"), { method: "POST", body });
    say(`${job.name}: ${body.dryRun ? "dry run" : "run"} ${run.runId} is asked for.`);
    started();
  };
  return html`
    <${Confirm} title="Run ${job.name}?" label="Run it now" act=${act} close=${close}>
      <p>${job.description}</p>
      <p class="note">A worker takes it within seconds; no slot is used up.</p>
      <label class="check"><input type="checkbox" name="dry" /> Dry run: say what it would do, and change nothing</label>
      <label>Time that the job believes in (UTC), now if empty
        <input type="datetime-local" name="at" step="1" /></label>
    <//>`;
}

function PauseDialog({ job, close }) {
  const act = async (given) => {
    const reason = given.get("reason").trim();
    await ask(path(job.name, "pause"), { method: "POST", body: reason ? { reason } : {} });
    say(`${job.name} is paused.`);
    jobs.refresh();
  };
  return html`
    <${Confirm} title="Pause ${job.name}?" label="Pause" act=${act} close=${close}>
      <p class="note">None of its slots is run until it is resumed; each is noted as skipped.</p>
      <label>Reason, for others to read <input name="reason" autocomplete="off" maxlength="200" /></label>
    <//>`;
}

function ResumeDialog({ job, close }) {
  const act = async () => {
    await ask(path(job.name, "resume"), { method: "POST" });
    say(`${job.name} is resumed.`);
    jobs.refresh();
  };
  return html`
    <${Confirm} title="Resume ${job.name}?" label="Resume" act=${act} close=${close}>
      <p class="note">Its slots are run again from now on; those of the pause stay skipped.</p>
    <//>`;
}

function State({ job }) {
  if (job.paused) return html`<${Badge} name="paused" title=${job.pausedReason} />`;
  if (job.running) return html`<${Badge} name="running" />`;
  if (job.late) return html`<${Badge} name="late" />`;
  return html`<${Badge} name="waiting" />`;
}

/** A duration, beside what is usual. */
function Length({ job }) {
  const last = job.lastRun?.durationMs ?? null;
  const usual = job.medianDurationMs ?? null;
  if (last === null) return NOTHING;
  const slow = usual !== null && last > 3 * usual && last > 1000;
  return html`
    <span class=${slow ? "slow" : ""}>${duration(last)}</span>
    ${usual !== null && html`<span class="note below-figure">usually ${duration(usual)}</span>`}`;
}

function Actions({ job, open, toggle, show }) {
  const { allowed } = admin.value;
  const button = (label, view, props) => html`
    <button type="button" disabled=${!allowed} aria-describedby=${allowed ? undefined : "jobs-rights"}
      aria-label="${label} ${job.name}" onClick=${() => openDialog(view, props)}>${label}</button>`;
  return html`
    <div class="buttons row">
      ${button("Run…", RunDialog, { job, started: show })}
      ${job.paused ? button("Resume…", ResumeDialog, { job }) : button("Pause…", PauseDialog, { job })}
      <button type="button" aria-expanded=${String(open)} aria-label="History of ${job.name}" onClick=${toggle}>History</button>
    </div>`;
}

function Row({ job, open, toggle, show }) {
  const last = job.lastRun;
  return html`
    <tr role="row" data-job=${job.name}>
      <th role="rowheader" scope="row" class="name">${job.name}<span class="role"><code>${job.schedule}</code></span></th>
      <${Cell} class="status"><${State} job=${job} /><//>
      <${Cell} class="number" label="Next run">${job.paused ? NOTHING : html`<${Until} time=${job.nextRun} />`}<//>
      <${Cell} class="number" label="Last run">${last ? html`<${Ago} time=${last.startedAt || last.scheduledAt} />` : "never"}<//>
      <${Cell} label="Outcome">${last ? html`<${Badge} name=${last.outcome || last.state} title=${last.error} />` : NOTHING}<//>
      <${Cell} class="number" label="Duration"><${Length} job=${job} /><//>
      <${Cell} class="number" label="Success" title=${plural(job.runs || 0, "run")}>${percent(job.successRate)}<//>
      <${Cell} class="actions"><${Actions} job=${job} open=${open} toggle=${toggle} show=${show} /><//>
    </tr>
    ${open && html`<tr role="row" class="below"><td role="cell" colspan=${COLUMNS.length}><${Runs} job=${job} /></td></tr>`}`;
}

export function Jobs() {
  const [open, setOpen] = useState(null);
  const rows = jobs.data.value?.items;
  const { reason } = admin.value;
  if (!rows) return html`<${Section} id="jobs" title="Jobs"><${Waiting} resource=${jobs} what="Jobs" /><//>`;
  return html`
    <${Section} id="jobs" title="Jobs">
      ${reason && html`<p class="note" id="jobs-rights">Running and pausing: ${reason}</p>`}
      ${rows.length === 0 && html`<${Empty}>No jobs.<//>`}
      ${rows.length > 0 && html`
        <div class="scroll" role="region" aria-labelledby="jobs-heading" tabindex="0">
          <table role="table" class="stack jobs">
            <thead role="rowgroup"><tr role="row">
              ${COLUMNS.map(([title, kind]) => html`<th role="columnheader" scope="col" key=${title} class=${kind}><span>${title}</span></th>`)}
            </tr></thead>
            <tbody role="rowgroup">
              ${rows.map((job) => html`
                <${Row} key=${job.name} job=${job} open=${open === job.name}
                  toggle=${() => setOpen(open === job.name ? null : job.name)} show=${() => setOpen(job.name)} />`)}
            </tbody>
          </table>
        </div>`}
    <//>`;
}
