// The whole at a glance.

import { withParameters } from "../address.js";
import { duration, integer, NOTHING, percent } from "../format.js";
import { html } from "../lib.js";
import { Ago, Empty, Figure, Section, Waiting } from "../parts/common.js";
import { BUILD_AXES, BUILDS, OverTime } from "../parts/over_time.js";
import { Page } from "../parts/page.js";
import { Table } from "../parts/table.js";
import { lacking } from "../rights.js";
import { agents, builds, buildStats, byStart, overview } from "../state.js";
import { Feed } from "./activity.js";
import { OpenAlerts } from "./alerts.js";
import { COLUMNS } from "./builds.js";
import { SlowerAgents } from "./slower.js";
import { StreamTiles } from "./stream.js";
import { ACTIVE } from "./tasks.js";

const NEWEST = 8; // builds

function Card({ title, text, address = null, children }) {
  return html`
    <div class="card"><dt>${address ? html`<a href=${address}>${title}</a>` : title}</dt>
      <dd><${Figure} text=${text} /></dd>
      <dd class="note">${children || "\u00a0"}</dd>
    </div>`;
}

function Cards() {
  const whole = overview.value || {};
  const ended = buildStats.value || {};
  const rows = [...(agents.value || new Map()).values()];
  const others = rows.filter((agent) => !agent.registered).length;
  const failed = rows.reduce((sum, agent) => sum + agent.failedTasks, 0);
  const busy = rows.filter((agent) => agent.currentStatus === "active").length;
  const known = overview.value !== null;
  const reason = lacking("stats");
  if (reason) return html`<${Empty}>${reason}<//>`;
  return html`
    <dl class="cards">
      <${Card} title="Agents" address="/agents" text=${integer(whole.totalAgents)}>
        ${known && `${integer(busy)} active${others ? `, ${integer(others)} unregistered` : ""}`}<//>
      <${Card} title="Active tasks" address=${withParameters("/tasks", { status: ACTIVE })} text=${integer(whole.activeTasks)}>
        pending, ready or running<//>
      <${Card} title="Completed tasks" address="/tasks?status=done" text=${integer(whole.completedTasks)}>
        ${known && `${integer(failed)} failed`}<//>
      <${Card} title="Builds" address="/builds" text=${integer(whole.totalBuilds)}>
        ${known && `${integer(ended.runningBuilds)} running, ${integer(whole.failedBuilds)} failed`}<//>
      <${Card} title="Build success" address="/builds?status=completed" text=${whole.totalBuilds ? percent(whole.successRate) : NOTHING}>
        ${known && `${integer(whole.completedBuilds || 0)} of ${integer(whole.totalBuilds || 0)} completed`}<//>
      <${Card} title="Build duration" text=${ended.avgDurationMs ? duration(ended.avgDurationMs) : NOTHING}>
        ${known && (ended.avgDurationMs ? html`last ended <${Ago} time=${whole.lastBuildTime} />` : "no completed build")}<//>
    </dl>`;
}

function NewestBuilds() {
  const rows = lacking("documents") ? null : builds.value && [...builds.value.values()].sort(byStart).slice(0, NEWEST);
  if (!rows) return html`<${Waiting} scope="documents" what="Builds" />`;
  if (rows.length === 0) return html`<${Empty}>No builds yet.<//>`;
  return html`<${Table} name="builds" label="The newest builds" columns=${COLUMNS} rows=${rows} keyOf=${(build) => build.id} />`;
}

const all = (address, text) => html`<a href=${address}>${text}</a>`;

export function Overview() {
  return html`
    <${Page} title="Overview" tab="">
      <section id="overview" aria-label="Figures"><${Cards} /></section>
      <div class="pair">
        <${Section} id="stream" title="Stream" tools=${all("/stream", "More")}><${StreamTiles} /><//>
        <${Section} id="alerts" title="Alerts" tools=${all("/alerts", "All alerts")}><${OpenAlerts} /><//>
      </div>
      <${SlowerAgents} />
      <div class="pair">
        <${Section} id="builds" title="Newest builds" tools=${all("/builds", "All builds")}><${NewestBuilds} /><//>
        <${Section} id="activity" title="Activity" tools=${all("/activity", "All activity")}><${Feed} /><//>
      </div>
      <${OverTime} id="over-time" title="Builds over time" path="/api/v1/builds/series" figures=${BUILDS} axes=${BUILD_AXES} usual="7d" />
    <//>`;
}
