// Who was active, who stayed and who left, as the last run of summarizeEngagement found it.

import { toJob, withParameters } from "../address.js";
import { integer, percent } from "../format.js";
import { html } from "../lib.js";
import { Section, When } from "../parts/common.js";
import { useRange } from "../parts/over_time.js";
import { Instead, Page, Stale } from "../parts/page.js";
import { RangePicker } from "../parts/range.js";
import { Save } from "../parts/save.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resources.js";

const EVERY = 60_000; // milliseconds

const count = (key, title) => ({ key, title, kind: "number", value: (row) => row[key], cell: (row) => integer(row[key]) });
const start = (key, title) => ({ key, title, value: (row) => row[key], cell: (row) => row[key] });

const DAYS = [start("day", "Day"), count("dau", "Active"), count("wau", "7 days"), count("mau", "30 days"), count("newUsers", "New"), count("returningUsers", "Returning"), count("returned", "Back")];
const CHURN = [start("month", "Month"), count("active", "Active"), count("activeBefore", "Before"), count("churned", "Left"), { ...count("rate", "Churn"), cell: (row) => percent(row.rate) }];

const RETENTION = [start("cohortWeek", "Cohort"), count("week", "Week"), count("users", "Users"), count("retained", "Retained")];

const Saved = (props) => html`<div class="pager"><${Save} ...${props} /></div>`;

/** A row for each cohort, its later weeks beside one another. */
function Cohorts({ rows }) {
  const weeks = Math.max(...rows.map((row) => row.week)) + 1;
  const cohorts = new Map();
  for (const row of rows) cohorts.set(row.cohortWeek, [...(cohorts.get(row.cohortWeek) || []), row]);
  return html`
    <div class="scroll" role="region" aria-label="Retention by week" tabindex="0">
      <table class="plain-table cohorts">
        <thead><tr><th scope="col">New in the week of</th><th scope="col" class="number">Users</th>
          ${Array.from({ length: weeks }, (_, week) => html`<th scope="col" key=${week} class="number">Week ${week}</th>`)}</tr></thead>
        <tbody>${[...cohorts].reverse().map(([week, later]) => html`
          <tr key=${week}><th scope="row">${week}</th><td class="number">${integer(later[0].users)}</td>
            ${later.map((row) => html`<td key=${row.week} class="number" title="${integer(row.retained)} of ${integer(row.users)}"
              style=${{ "--part": `${row.users ? (100 * row.retained) / row.users : 0}%` }}>${row.users ? `${Math.round((100 * row.retained) / row.users)} %` : ""}</td>`)}
          </tr>`)}</tbody>
      </table>
    </div>`;
}

export function Engagement() {
  const { from, to } = useRange("90d");
  const asked = useResource(withParameters("/api/v1/engagement", { from: from.slice(0, 10), to: to.slice(0, 10) }), EVERY, "stats");
  const answer = asked.data.value;
  const tools = html`<div class="filters"><${RangePicker} usual="90d" /></div>`;
  const note = answer?.countedAt && html`as of <${When} time=${answer.countedAt} />; ${integer(answer.inactiveUsers)} inactive now`;
  const job = html`<a href=${toJob("summarizeEngagement")}>summarizeEngagement</a>`;
  return html`
    <${Page} title="Engagement" note=${note} tools=${tools}>
      ${!answer && html`<${Instead} resource=${asked} what="Engagement" />`}
      ${answer && html`<${Stale} resource=${asked} />`}
      ${answer && answer.days.length === 0 && html`<p class="empty">No figures ${answer.countedAt ? "in this time" : "yet"}: the job ${job} counts every night.</p>`}
      ${answer?.retention.length > 0 && html`<${Section} id="retention" title="Retention"><${Cohorts} rows=${answer.retention} /><${Saved} name="retention" columns=${RETENTION} rows=${answer.retention} /><//>`}
      ${answer?.churn.length > 0 && html`<${Section} id="churn" title="Churn" note="active in the month before, and no more"><${Table} name="churn" label="Churn" columns=${CHURN} rows=${answer.churn} keyOf=${(row) => row.month} /><${Saved} name="churn" columns=${CHURN} rows=${answer.churn} /><//>`}
      ${answer?.days.length > 0 && html`<${Section} id="days" title="Active users" note="on the day, and in the 7 and 30 days that end with it; new: never active before; returning: all others of the day; back: after more than 30 days without activity"><${Table} name="days" label="Active users" columns=${DAYS} rows=${[...answer.days].reverse()} keyOf=${(row) => row.day} /><${Saved} name="active-users" columns=${DAYS} rows=${answer.days} /><//>`}
    <//>`;
}
