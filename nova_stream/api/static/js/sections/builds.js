// Builds, newest first, each with its tasks; those that hang are marked.

import { ask } from "../api.js";
import { duration, integer, NOTHING, roughly } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Ago, Badge, Cell, Choice, Empty, Section } from "../parts/common.js";
import { lacking, may } from "../rights.js";
import { builds, byStart, now } from "../state.js";

const STALL = 30 * 60_000; // milliseconds; what the job checkStalledBuilds goes by
const SHOWN = 12;
const FILTERS = [["all", "All"], ["running", "Running"], ["failed", "Failed"], ["completed", "Completed"], ["pending", "Pending"]];
const COLUMNS = ["Build", "Status", "Started", "Duration", "Error"];

function Status({ build }) {
  if (build.status === "failed" && (build.error || "").startsWith("Build stalled")) {
    return html`<${Badge} name="stalled" title=${build.error} />`;
  }
  const late = build.status === "running" && build.startedAt && now.value - Date.parse(build.startedAt) > STALL;
  return html`
    <${Badge} name=${build.status} />
    ${late && html`<span class="tag warn" title="It runs longer than 30 minutes; checkStalledBuilds ends it when nothing happens">may be stalled</span>`}`;
}

function Length({ build }) {
  if (!build.startedAt) return NOTHING;
  if (build.completedAt) return duration(Date.parse(build.completedAt) - Date.parse(build.startedAt));
  if (build.status !== "running") return NOTHING;
  return html`<span class="note">for ${roughly(now.value - Date.parse(build.startedAt))}</span>`;
}

/** The tasks of a build, asked for again when the build changes and every two seconds. */
function Tasks({ id, build }) {
  const [tasks, setTasks] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    let current = true;
    const look = () =>
      ask(`/api/v1/build?id=${encodeURIComponent(id)}`).then(
        (answer) => current && (setTasks(answer.tasks), setFailure(null)),
        (error) => current && setFailure(error),
      );
    look();
    const timer = setInterval(look, 2000);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [id, build]);
  if (failure) return html`<p class="note">Its tasks cannot be shown: ${failure.message}</p>`;
  if (tasks === null) return html`<p class="note" aria-busy="true">Asking for its tasks…</p>`;
  if (tasks.length === 0) return html`<p class="note">No tasks.</p>`;
  return html`
    <ul class="tasks">
      ${tasks.map((task) => html`
        <li key=${task.id}>
          <${Badge} name=${task.status} />
          <span class="task-title">${task.title || task.taskId || task.id}</span>
          <span class="note">${task.agent}${task.attempts > 1 ? `, attempt ${integer(task.attempts)}` : ""}${task.error ? `: ${task.error}` : ""}</span>
        </li>`)}
    </ul>`;
}

function Row({ build, open, toggle }) {
  const panel = `tasks-of-${build.id}`;
  return html`
    <tr role="row">
      <th role="rowheader" scope="row" class="name">
        <button type="button" class="link fold" aria-expanded=${String(open)} aria-controls=${open ? panel : undefined}
          onClick=${toggle}>${build.prdName || build.id}</button>
        <span class="role">${build.id}</span>
      </th>
      <${Cell} class="status"><${Status} build=${build} /><//>
      <${Cell} class="number" label="Started">${build.startedAt ? html`<${Ago} time=${build.startedAt} />` : "not yet"}<//>
      <${Cell} class="number" label="Duration"><${Length} build=${build} /><//>
      <${Cell} class="text" label=${build.error ? "Error" : null}>${build.error || ""}<//>
    </tr>
    ${open && html`
      <tr role="row" class="below"><td role="cell" colspan=${COLUMNS.length} id=${panel}>
        <${Tasks} id=${build.id} build=${build} />
      </td></tr>`}`;
}

/** Rows of a status come from the server, too: the newest ones may have none of it. */
function useFiltered(filter, limit) {
  const [older, setOlder] = useState([]);
  const allowed = may("documents");
  useEffect(() => {
    if (!allowed) {
      setOlder([]);
      return undefined;
    }
    let current = true;
    const status = filter === "all" ? "" : `&status=${filter}`;
    ask(`/api/v1/builds?limit=${Math.min(500, limit)}${status}`).then(
      (answer) => current && setOlder(answer.items),
      () => undefined, // the connection's state tells it
    );
    return () => {
      current = false;
    };
  }, [filter, limit, allowed]);
  const rows = new Map(older.map((row) => [row.id, row]));
  for (const [id, row] of builds.value || []) rows.set(id, row);
  return [...rows.values()].filter((row) => filter === "all" || row.status === filter).sort(byStart);
}

export function Builds() {
  const [filter, setFilter] = useState("all");
  const [limit, setLimit] = useState(SHOWN);
  const [open, setOpen] = useState(null);
  const rows = useFiltered(filter, limit + 1);
  const choose = (name) => {
    setFilter(name);
    setLimit(SHOWN);
  };
  return html`
    <${Section} id="builds" title="Builds"
      tools=${html`<${Choice} label="Builds of which status" options=${FILTERS} value=${filter} onChoose=${choose} />`}>
      ${rows.length === 0 && html`<${Empty}>${lacking("documents") || (filter === "all" ? "No builds yet." : `No ${filter} builds.`)}<//>`}
      ${rows.length > 0 && html`
        <div class="scroll" role="region" aria-labelledby="builds-heading" tabindex="0">
          <table role="table" class="stack builds">
            <thead role="rowgroup"><tr role="row">
              ${COLUMNS.map((title) => html`<th role="columnheader" scope="col" key=${title}
                class=${title === "Started" || title === "Duration" ? "number" : ""}><span>${title}</span></th>`)}
            </tr></thead>
            <tbody role="rowgroup">
              ${rows.slice(0, limit).map((build) => html`
                <${Row} key=${build.id} build=${build} open=${open === build.id}
                  toggle=${() => setOpen(open === build.id ? null : build.id)} />`)}
            </tbody>
          </table>
        </div>`}
      ${rows.length > limit && limit < 490 && html`
        <button type="button" class="more" onClick=${() => setLimit(limit + 50)}>Show more builds</button>`}
    <//>`;
}
