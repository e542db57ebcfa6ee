// What a run of a job did, in one line.

import { integer, plural, words } from "../format.js";

const drift = (what, result) =>
  `${what}, ${result.drift ? `${plural(result.drift, "figure")} repaired` : "every figure was right"}`;

/** A sentence of a job's result; jobs that are not here have their figures told. */
const SENTENCES = {
  cleanupOldActivity: (result) => `${plural(result.deleted, "activity", "activities")} deleted`,
  computeAgentStats: (result) => drift(`${plural(result.computed, "agent")} recounted`, result),
  checkStalledBuilds: (result) => (result.stalled ? `${plural(result.stalled, "stalled build")} marked as failed` : "No build has stalled"),
  compactOldExecutions: (result) => `${plural(result.compacted, "execution")} archived${result.objects ? ` in ${plural(result.objects, "object")}` : ""}`,
  markInactiveUsers: (result) => `${plural(result.inactive, "user")} inactive: ${integer(result.newlyInactive)} newly so, ${integer(result.reactivated)} active again`,
  refreshBuildStats: (result) => drift(`${plural(result.totalBuilds, "build")} recounted`, result),
  summarizeEngagement: (result) => `${plural(result.days, "day")} counted with ${plural(result.users, "active user")}`,
  healthCheck: (result) => (result.problems.length ? result.problems.join("; ") : `Healthy, lag ${integer(result.lag)}, ${plural(result.openDeadLetters, "open dead letter")}`),
};

const repaired = (counts) => (counts.drift ? `${plural(counts.drift, "figure")} repaired` : "Every figure was right");

/** A sentence of what several runs did, from the sums of their figures. */
const SENTENCES_OF_SEVERAL = {
  cleanupOldActivity: (counts) => `${plural(counts.deleted, "activity", "activities")} deleted`,
  computeAgentStats: repaired,
  checkStalledBuilds: (counts) => (counts.stalled ? `${plural(counts.stalled, "stalled build")} marked as failed` : "No build has stalled"),
  compactOldExecutions: (counts) => `${plural(counts.compacted, "execution")} archived`,
  markInactiveUsers: (counts) => `${integer(counts.newlyInactive)} newly inactive, ${integer(counts.reactivated)} active again`,
  refreshBuildStats: repaired,
};

/** The text for ``summary``, of several runs; of jobs that are not here it is what the last run did. */
export function didTogether(summary) {
  const sentence = SENTENCES_OF_SEVERAL[summary.job];
  return sentence && summary.good ? sentence(summary.counts) : didOf(summary.lastRun);
}

const MISSED = { missed: "Nobody ran it", skipped_paused: "Skipped: paused", skipped_overlap: "Skipped: the run before went on" };

function figures(result) {
  const told = Object.entries(result).filter(([, value]) => typeof value === "number");
  return told.map(([name, value]) => `${name} ${integer(value)}`).join(", ");
}

/** The text; empty while nothing is known. */
export function didOf(run) {
  if (!run) return "";
  if (run.error) return run.error;
  if (!run.result) return MISSED[run.outcome] || (run.state === "ended" ? words(run.outcome) : words(run.state));
  const told = (SENTENCES[run.job] || figures)(run.result);
  return run.dryRun ? `Dry run: ${told}` : told;
}
