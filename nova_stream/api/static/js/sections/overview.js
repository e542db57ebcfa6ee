// The figures of the whole, as cards.

import { duration, integer, NOTHING, percent, plural } from "../format.js";
import { html } from "../lib.js";
import { Ago, Empty, Figure, Section } from "../parts/common.js";
import { lacking } from "../rights.js";
import { agents, buildStats, overview } from "../state.js";

function Card({ title, text, children }) {
  return html`
    <div class="card"><dt>${title}</dt>
      <dd><${Figure} text=${text} /></dd>
      <dd class="note">${children || "\u00a0"}</dd>
    </div>`;
}

export function Overview() {
  const whole = overview.value || {};
  const builds = buildStats.value || {};
  const rows = [...(agents.value || new Map()).values()];
  const others = rows.filter((agent) => !agent.registered).length;
  const failed = rows.reduce((sum, agent) => sum + agent.failedTasks, 0);
  const busy = rows.filter((agent) => agent.currentStatus === "active").length;
  const known = overview.value !== null;
  const reason = lacking("stats");
  if (reason) {
    return html`<${Section} id="overview" title="Overview" class="quiet-title"><${Empty}>${reason}<//><//>`;
  }
  return html`
    <${Section} id="overview" title="Overview" class="quiet-title">
      <dl class="cards">
        <${Card} title="Agents" text=${integer(whole.totalAgents)}>
          ${known && `${integer(busy)} active${others ? `, ${integer(others)} unregistered` : ""}`}<//>
        <${Card} title="Active tasks" text=${integer(whole.activeTasks)}>
          pending, ready or running<//>
        <${Card} title="Completed tasks" text=${integer(whole.completedTasks)}>
          ${known && `${integer(failed)} failed`}<//>
        <${Card} title="Builds" text=${integer(whole.totalBuilds)}>
          ${known && `${integer(builds.runningBuilds)} running, ${integer(whole.failedBuilds)} failed`}<//>
        <${Card} title="Build success" text=${whole.totalBuilds ? percent(whole.successRate) : NOTHING}>
          ${known && `${plural(whole.completedBuilds || 0, "build")} completed`}<//>
        <${Card} title="Build duration" text=${builds.avgDurationMs ? duration(builds.avgDurationMs) : NOTHING}>
          ${builds.avgDurationMs ? html`on average; last end <${Ago} time=${whole.lastBuildTime} />` : "no completed build"}<//>
      </dl>
    <//>`;
}
