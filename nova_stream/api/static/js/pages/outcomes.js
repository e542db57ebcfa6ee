// How runs of jobs were started and how they ended: two things, and the words for both everywhere.

import { when, words } from "../format.js";
import { html } from "../lib.js";
import { Badge } from "../parts/common.js";
import { now } from "../state.js";

const HOW = { scheduled: "on schedule" };

const startOf = (run) => (run ? HOW[run.how] || words(run.how) : "");

/** The choices of ``how``, as filters take them. */
export const HOWS = ["scheduled", "caught_up", "by_hand", "dry_run"].map((how) => [how, howOf({ how })]);

/** The choices of ``ended``; the first is no filter. */
export const ENDS = [["all", "All"], ["went_well", "Went well"], ["went_wrong", "Went wrong"], ["missed", "Missed"], ["skipped", "Skipped"], ["running", "Running"]];

/** How a run was started, as words; of one late, when it was due, and of one by hand as of when it worked where somebody said so. */
export function howOf(run) {
  return [startOf(run), otherTime(run)].filter(Boolean).join(", ");
}

/** The same in a table: the other time stands below. */
export function how(run) {
  const other = otherTime(run);
  return html`${startOf(run)}${other && html`<span class="note below-figure">${other}</span>`}`;
}

function otherTime(run) {
  return run?.how === "caught_up" && run.scheduledAt ? `due ${when(run.scheduledAt, now.peek())}` : asOfWords(run);
}

/** The time that a run by hand was told to work as of; empty where that is when it ran. */
export function asOfWords(run) {
  return run?.asOf ? `as of ${when(run.asOf, now.peek())}` : "";
}

/** How a run ended, as words. */
export function endedOf(run) {
  if (!run) return "";
  return run.state === "pending" ? "not begun" : words(run.ended);
}

/** How a run ended, as a mark with words. */
export function Ended({ run }) {
  return html`<${Badge} name=${run.ended} text=${endedOf(run)} title=${run.error} />`;
}

/** What went wrong, or else what the run did; empty while that is not known. */
export function didOf(run) {
  return run?.error || run?.did || "";
}

/** What a run did, in one line; nothing where that is not known. */
export function did(run) {
  const text = didOf(run);
  return text && html`<span class=${run.error ? "failure" : ""}>${text}</span>`;
}
