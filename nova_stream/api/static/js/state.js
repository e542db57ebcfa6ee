// What the stream of changes (or, without it, polling) keeps up to date, and how sure that is.

import { batch, computed, signal } from "./lib.js";

/** Rows of builds and activities that are kept. */
const KEPT = 200;

export const overview = signal(null);
export const buildStats = signal(null);
export const agents = signal(null); // Map of rows, or null before the first
export const builds = signal(null); // Map of rows by id
export const activities = signal(null); // newest first

/** connecting | stream | polling | lost */
export const mode = signal("connecting");
/** When the numbers on the page were known to be the newest (epoch milliseconds). */
export const confirmedAt = signal(null);
/** Why there is nothing newer. */
export const trouble = signal(null);
/** What Postgres does while it does not serve (silent | refusing | unresolved), as the stream or polling tells. */
export const databaseAway = signal(null);

export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 1000);

export const age = computed(() =>
  confirmedAt.value === null ? null : Math.max(0, now.value - confirmedAt.value),
);

/** Forget everything that was shown. */
export function forget() {
  batch(() => {
    for (const each of [overview, buildStats, agents, builds, activities, confirmedAt, trouble]) each.value = null;
    mode.value = "connecting";
    databaseAway.value = null;
  });
}

export function agentKey(agent) {
  return `${agent.registered}/${agent.agentId}/${agent.agentName}`;
}

export function replaceAgents(rows) {
  agents.value = new Map(rows.map((row) => [agentKey(row), row]));
}

function mergeBuilds(rows) {
  const merged = new Map(builds.value || []);
  for (const row of rows) merged.set(row.id, row);
  const newest = [...merged.values()].sort(byStart).slice(0, KEPT);
  builds.value = new Map(newest.map((row) => [row.id, row]));
}

export function replaceBuilds(rows) {
  builds.value = new Map();
  mergeBuilds(rows);
}

/** Newest start first; those that have not started come last, as the API has it. */
export function byStart(one, other) {
  const [a, b] = [one.startedAt || "", other.startedAt || ""];
  return a === b ? (one.id < other.id ? 1 : -1) : a < b ? 1 : -1;
}

function mergeActivities(rows) {
  const merged = new Map((activities.value || []).map((row) => [row.id, row]));
  for (const row of rows) merged.set(row.id, row);
  activities.value = [...merged.values()]
    .sort((one, other) => ((one.timestamp || "") < (other.timestamp || "") ? 1 : -1))
    .slice(0, KEPT);
}

/** Agents of a full picture that is coming in, or null; those that are not in it are gone. */
let picture = null;

/** A full picture comes next. */
export function beginPicture() {
  picture = new Map();
}

export function isWhole() {
  return picture === null;
}

/** Apply events [{event, data}] of the stream, all in one drawing. */
export function apply(events) {
  batch(() => {
    let rows = new Map(agents.value || []);
    let moved = false;
    const told = { build: [], activity: [] }; // put among the others at once: each time sorts them
    for (const { event, data } of events) {
      if (event === "agent") {
        (picture || rows).set(agentKey(data), data);
        moved ||= picture === null; // what a picture holds is shown once it is whole
      } else if (event === "agent-gone") {
        rows.delete(agentKey(data));
        moved = true;
      } else if (event === "reset") {
        beginPicture();
      } else if (event === "snapshot") {
        rows = picture || rows;
        picture = null;
        builds.value ??= new Map();
        activities.value ??= [];
        moved = true;
      } else if (event === "overview") {
        overview.value = data;
      } else if (event === "builds") {
        buildStats.value = data;
      } else if (told[event]) {
        told[event].push(...listed(data));
      } else if (event === "state") {
        databaseAway.value = data.connected === false ? data.databaseState || "silent" : null;
      }
    }
    if (told.build.length) mergeBuilds(told.build);
    if (told.activity.length) mergeActivities(told.activity);
    if (moved) agents.value = rows;
  });
}

function listed(data) {
  return Array.isArray(data) ? data : data.items || [data];
}
