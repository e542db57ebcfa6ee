// One agent: its figures, and what each is made of.

import { useParameters, withParameters } from "../address.js";
import { duration, integer, NOTHING, percent } from "../format.js";
import { html, useMemo } from "../lib.js";
import { Ago, Badge, Section } from "../parts/common.js";
import { Id } from "../parts/copy.js";
import { OverTime, TASK_AXES, TASKS } from "../parts/over_time.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { useResource } from "../resources.js";
import { agents } from "../state.js";
import { History, nameOf, useHistories } from "./agents.js";
import { Explanation } from "./explanation.js";
import { Slowest } from "./slowest.js";

const FIGURES = [
  ["totalTasks", "All tasks", integer],
  ["completedTasks", "Done", integer],
  ["failedTasks", "Failed", integer],
  ["successRate", "Success, of all tasks", percent],
  ["avgDuration", "Avg duration", (value) => (value ? duration(value) : NOTHING)],
];

const USUAL = "1d";
const WAYS = [["/tasks", "tasks"], ["/executions", "executions"], ["/builds", "builds"], ["/activity", "activity"]];

/** The newest row of this name that is known: the stream's, else the answer's. */
function rowOf(name, answer) {
  const rows = [...(agents.value || new Map()).values()].filter((agent) => agent.agentName === name);
  return rows.find((agent) => agent.agentId === answer?.agentId) || rows.find((agent) => agent.registered) || answer;
}

function Cards({ agent, histories }) {
  return html`
    <dl class="cards of-agent">
      ${FIGURES.map(([key, title, text]) => html`
        <div class="card" key=${key}><dt>${title}</dt>
          <dd class=${key} data-zero=${agent[key] ? undefined : "true"}>${key === "successRate" && !agent.totalTasks ? NOTHING : text(agent[key])}</dd></div>`)}
      <div class="card"><dt>Last active</dt><dd><${Ago} time=${agent.lastActive} /></dd></div>
      <div class="card wide"><dt>Attempts, last 12 h</dt><dd><${History} buckets=${histories.get(agent.agentName)} /></dd>
        <dd class="note" title="Of the types task_completed and task_failed">from <a href=${withParameters("/activity", { agent: agent.agentName, since: "1d" })}>activities</a></dd></div>
    </dl>`;
}

export function Agent({ params }) {
  const { query, change } = useParameters();
  const name = params.name ?? query.id;
  const asked = useResource(withParameters("/api/v1/agent/stats", { name, unregistered: "true" }), 5000, "stats");
  const histories = useHistories();
  const agent = rowOf(name, asked.data.value);
  const parameters = useMemo(() => ({ name, unregistered: "true" }), [name]);
  const figure = query.figure || "totalTasks";
  const range = { since: query.since, from: query.from, to: query.to };
  const ranged = Object.values(range).some(Boolean);
  const others = asked.data.value?.otherAgentIds || [];
  return html`
    <${Page} title=${nameOf({ agentName: name })} crumbs=${[["/agents", "Agents"]]} note=${agent?.role}
      tools=${agent && html`<${Badge} name=${agent.currentStatus} />${!agent.registered && html`<span class="tag">unregistered</span>`}`}>
      ${!agent && html`<${Instead} resource=${asked} what="The agent" />`}
      ${agent && html`
        <${Stale} resource=${asked} />
        ${others.length > 0 && html`<p class="note">Other agents have this name, too: ${others.map((id) => html`<code key=${id}>${id}</code> `)}</p>`}
        <${Section} id="all-time" title="Of all time"><${Cards} agent=${agent} histories=${histories} /><//>
        ${agent.agentId && html`<p class="ways">ID <${Id} id=${agent.agentId} /></p>`}
        <p class="ways">${ranged ? "In this time its" : "All of its"} ${WAYS.map(([address, title], place) => html`${place > 0 && " · "}<a key=${address} href=${withParameters(address, { agent: name, ...range })}>${title}</a>`)}</p>
        <${Slowest} name=${name} usual=${USUAL} />
        <${OverTime} id="over-time" title="Over time" path="/api/v1/agent/series" parameters=${parameters} figures=${TASKS} axes=${TASK_AXES} usual=${USUAL} picker=${false} />
        <${Explanation} name=${name} figure=${figure} choose=${(key) => change({ figure: key === "totalTasks" ? null : key, cursor: null }, true)} />`}
    <//>`;
}
