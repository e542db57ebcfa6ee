// Addresses: what is looked at stands there whole, so that back, reload and another tab show it.

import { useLocation } from "./lib.js";

/** Address, title, and the addresses of what belongs to it. */
export const PAGES = [
  ["/", "Overview", []],
  ["/agents", "Agents", ["/agent"]],
  ["/builds", "Builds", ["/build"]],
  ["/tasks", "Tasks", ["/task"]],
  ["/executions", "Executions", ["/execution"]],
  ["/activity", "Activity", []],
  ["/users", "Users", ["/user"]],
  ["/engagement", "Engagement", []],
  ["/jobs", "Jobs", ["/job", "/runs"]],
  ["/dead-letters", "Dead letters", ["/dead-letter"]],
  ["/alerts", "Alerts", []],
  ["/stream", "Stream", []],
  ["/trail", "Audit trail", []],
];

/** Ids that a path cannot hold: browsers take these away. */
const UNHOLDABLE = new Set(["", ".", ".."]);

function entity(list, one) {
  return (id, parameters = {}) =>
    UNHOLDABLE.has(id)
      ? withParameters(one, { id, ...parameters })
      : withParameters(`${list}/${encodeURIComponent(id)}`, parameters);
}

export const toAgent = entity("/agents", "/agent");
export const toBuild = entity("/builds", "/build");
export const toTask = entity("/tasks", "/task");
export const toExecution = entity("/executions", "/execution");
export const toUser = entity("/users", "/user");
export const toJob = entity("/jobs", "/job");
export const toRun = (job, id) => `${toJob(job)}/runs/${id}`;
export const toLetter = entity("/dead-letters", "/dead-letter");

/** ``path`` with its parameters; those that are null or undefined are left out. */
export function withParameters(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * The parameters of this page's address; the address with some changed (null takes one away); and
 * a function that goes there, leaving no step to go back to with ``replace``.
 */
export function useParameters() {
  const { path, query, route } = useLocation();
  const changed = (changes) => withParameters(path, { ...query, ...changes });
  // By the address as it is now: a field may be left a while after it was drawn.
  const change = (changes, replace = false) =>
    route(withParameters(path, { ...Object.fromEntries(new URLSearchParams(location.search)), ...changes }), replace);
  return { query, changed, change };
}
