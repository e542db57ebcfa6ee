// Builds, newest first; those that hang are marked.

import { toBuild } from "../address.js";
import { duration, NOTHING, plural, roughly } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge } from "../parts/common.js";
import { Filter, FilterChoice } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";
import { settings } from "../resources.js";
import { now } from "../state.js";

const MINUTE = 60_000; // milliseconds
const STATUSES = [["all", "All"], ["running", "Running"], ["failed", "Failed"], ["completed", "Completed"], ["pending", "Pending"]];

export function BuildStatus({ build }) {
  if (build.status === "failed" && (build.error || "").startsWith("Build stalled")) {
    return html`<${Badge} name="failed" /><span class="tag" title=${build.error}>stalled</span>`;
  }
  const limit = settings.data.value?.stallMinutes; // what the job checkStalledBuilds goes by
  const late = limit && build.status === "running" && build.startedAt && now.value - Date.parse(build.startedAt) > limit * MINUTE;
  return html`
    <${Badge} name=${build.status} />
    ${late && html`<span class="tag warn" title="It runs longer than ${plural(limit, "minute")}; checkStalledBuilds ends it when nothing happens">may be stalled</span>`}`;
}

export function BuildLength({ build }) {
  if (!build.startedAt) return NOTHING;
  if (build.completedAt) return duration(lengthOf(build));
  if (build.status !== "running") return NOTHING;
  return html`<span class="note">for ${roughly(now.value - Date.parse(build.startedAt))}</span>`;
}

function lengthOf(build) {
  return build.startedAt && build.completedAt ? Date.parse(build.completedAt) - Date.parse(build.startedAt) : null;
}

export const COLUMNS = [
  { key: "id", title: "Build", value: (build) => build.id, cell: (build) => html`<a href=${toBuild(build.id)}>${build.prdName || build.id}</a><span class="role">${build.id}</span>` },
  { key: "status", title: "Status", kind: "status", label: null, value: (build) => build.status, cell: (build) => html`<${BuildStatus} build=${build} />` },
  { key: "startedAt", title: "Started", kind: "number", value: (build) => build.startedAt, cell: (build) => (build.startedAt ? html`<${Ago} time=${build.startedAt} />` : "not yet") },
  { key: "durationMs", title: "Duration", kind: "number", value: lengthOf, cell: (build) => html`<${BuildLength} build=${build} />` },
  { key: "error", title: "Error", kind: "text", value: (build) => build.error, cell: (build) => build.error || "" },
];

export function Builds() {
  const list = useList("/api/v1/builds", ["status", "agent", "q"], "documents");
  return html`
    <${Page} title="Builds">
      <div class="filters">
        <${FilterChoice} name="status" label="Builds of which status" options=${STATUSES} />
        <${Filter} label="Name, PRD or ID" />
        <${Filter} name="agent" label="With a task of the agent" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Builds" none="No builds yet." name="builds" columns=${COLUMNS} />
    <//>`;
}
