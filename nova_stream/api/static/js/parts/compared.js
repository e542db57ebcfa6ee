// How long the executions of each agent took in a range of time, beside as much time before.

import { withParameters } from "../address.js";
import { useMemo } from "../lib.js";
import { useResource } from "../resources.js";
import { now } from "../state.js";
import { useLast } from "./over_time.js";

const EVERY = 10_000; // milliseconds
const DAY = 86_400_000;

/** ``{from, to}`` of the last 24 hours, which go on every ten seconds. */
export function useLastDay() {
  const step = Math.floor(now.value / EVERY);
  return useMemo(() => ({ from: new Date(step * EVERY - DAY).toISOString(), to: new Date(step * EVERY).toISOString() }), [step]);
}

/** The comparison of a range: its resource, and its last answer of this ``key``. */
export function useComparison(range, key, limit = null) {
  const asked = useResource(withParameters("/api/v1/agents/comparison", { unregistered: "true", ...range, limit }), EVERY, "stats");
  return { asked, answer: useLast(asked, key) };
}

export const agentOf = (row) => `${row.agentId}/${row.agentName}`;

/** The comparison's rows by their agents. */
export function useCompared(range, key) {
  const { answer } = useComparison(range, key);
  return useMemo(() => new Map((answer?.items || []).map((row) => [agentOf(row), row])), [answer]);
}
