// Whether the stream is healthy: how far behind it is, how fast, and whether the figures are right.

import { duration, integer, NOTHING, perSecond, plural, silence } from "../format.js";
import { effect, html, signal } from "../lib.js";
import { Ago, Facts, Figure, Waiting, When } from "../parts/common.js";
import { OverTime } from "../parts/over_time.js";
import { Page } from "../parts/page.js";
import { Line } from "../parts/sparks.js";
import { status } from "../resources.js";
import { halted } from "../standing.js";

const REMEMBERED = 120; // answers, one a second
const HISTORY = "/api/v1/stream/history";

/** A length of time beside a scale, where there is little room. */
function mark(milliseconds) {
  if (milliseconds < 1000) return `${integer(milliseconds)} ms`;
  const [unit, length] = milliseconds < 60_000 ? ["s", 1000] : milliseconds < 3_600_000 ? ["min", 60_000] : ["h", 3_600_000];
  return `${perSecond(milliseconds / length)} ${unit}`;
}

const LAG = [
  { key: "lag", title: "Lag, records", text: integer, scale: "records", least: 10, colour: "--plot-3" },
  { key: "lagMax", title: "Most lag, records", text: integer },
  { key: "appliedPerSecond", title: "Applied, records/s", text: perSecond, scale: "pace", least: 10, colour: "--plot-1" },
  { key: "applied", title: "Applied, records", text: integer },
];

const LAG_AXES = { records: () => "Lag, records", pace: () => "Applied, records per second" };

const FRESHNESS_AXES = { time: () => "From a change to its figures" };

const FRESHNESS = [
  { key: "freshnessP50Ms", title: "p50", text: duration, scale: "time", least: 100, mark, colour: "--plot-2" },
  { key: "freshnessP99Ms", title: "p99", text: duration, scale: "time", least: 100, mark, colour: "--plot-4" },
  { key: "freshnessMaxMs", title: "Oldest", text: duration },
];

/** The throughput of the last two minutes; null where it is not known. */
const throughputs = signal([]);

effect(() => {
  const answer = status.data.value;
  if (!answer) return;
  throughputs.value = [...throughputs.peek(), answer.throughput ?? null].slice(-REMEMBERED);
});

/** What a producer's open transaction keeps from being read, in words; "" where there is nothing. */
function heldBack(now) {
  const held = now.heldBack || [];
  if (!held.length) return "";
  const records = held.reduce((sum, one) => sum + one.records, 0);
  const first = held.find((one) => one.transactionalId)?.transactionalId;
  return `An open transaction${first ? ` of ${first}` : ""} holds back up to ${plural(records, "record")}`;
}

/** The lag of each topic in which records wait; null where that is not known. */
function waiting(topics) {
  if (!topics) return null;
  const behind = topics.filter((topic) => topic.lag);
  if (!behind.length) return "Nothing";
  return html`<ul>${behind.map(({ topic, lag, partitions, partitionsWaiting }) => html`
    <li key=${topic}>${plural(lag, "record")} in ${topic}, in ${integer(partitionsWaiting)} of ${plural(partitions, "partition")}</li>`)}</ul>`;
}

/** The last audit: drift 0 = the caches equal a recount of the rows. */
function Drift({ title, audit }) {
  if (!audit) {
    return html`<div class="tile" data-tone=""><dt>${title}</dt><dd class="value">${NOTHING}</dd>
      <dd class="note">no audit yet</dd></div>`;
  }
  const right = audit.drift === 0;
  return html`
    <div class="tile" data-tone=${right ? "good" : "bad"} data-drift=${audit.drift}>
      <dt>${title}</dt>
      <dd class="value" title="Figures that were not as a recount has them">${right ? "✓" : "✗"} Drift ${integer(audit.drift)}</dd>
      <dd class="note">audited <${Ago} time=${audit.at} /></dd>
    </div>`;
}

function Tile({ title, text, tone = "", children }) {
  return html`
    <div class="tile" data-tone=${tone}><dt>${title}</dt>
      <dd class="value"><${Figure} text=${text} /></dd>
      <dd class="note">${children || "\u00a0"}</dd></div>`;
}

function Server({ title, up, state }) {
  if (up === null || up === undefined) return html`<${Tile} title=${title} text=${NOTHING}>not known<//>`;
  return html`<${Tile} title=${title} text=${up ? "Up" : "Away"} tone=${up ? "good" : "bad"}>${up ? "answers" : silence(state)}<//>`;
}

/** Of the newest change that was applied; while none is, that figure is as old as the change. */
function Freshness({ now }) {
  const old = halted.value && now.freshnessMs !== null && now.lastAppliedAt;
  return html`
    <${Tile} title="Freshness" text=${duration(now.freshnessMs)} tone=${old ? "warn" : ""}>
      ${old ? html`old: measured <${Ago} time=${now.lastAppliedAt} />` : "from event to figure"}<//>`;
}

/** Every figure of the stream, as tiles. */
export function StreamTiles() {
  const now = status.data.value;
  if (!now) return html`<${Waiting} resource=${status} what="The stream" />`;
  const rate = perSecond(now.throughput);
  return html`
    <dl class="tiles">
      <${Drift} title="Agents' figures" audit=${now.lastAudit} />
      <${Drift} title="Builds' figures" audit=${now.lastBuildAudit} />
      <${Tile} title="Lag" text=${integer(now.lag)} tone=${now.lag > 1000 || now.outlook?.trend === "growing" || heldBack(now) ? "warn" : ""}>
        ${now.lag === null ? "Kafka is away" : heldBack(now) || `${plural(now.workers ?? 0, "worker")}, ${plural(now.partitions ?? 0, "partition")}`}<//>
      <${Freshness} now=${now} />
      <div class="tile"><dt>Throughput</dt>
        <dd class="value">${rate}<span class="unit"> events/s</span></dd>
        <dd><${Line} values=${throughputs.value} length=${REMEMBERED} label="Throughput of the last two minutes; now ${rate} events a second" /></dd></div>
      <${Tile} title="Dead letters" text=${integer(now.openDeadLetters)} tone=${now.openDeadLetters ? "warn" : ""}>
        ${letters(now.openDeadLetters)}<//>
      <${Server} title="Postgres" up=${now.databaseUp} state=${now.databaseState} />
      <${Server} title="Kafka" up=${now.kafkaUp} state=${now.kafkaState} />
    </dl>`;
}

function letters(open) {
  if (open === null || open === undefined) return "not known";
  return open ? html`<a href="/dead-letters">open</a>` : "none open";
}

export function Stream() {
  const now = status.data.value;
  return html`
    <${Page} title="Stream">
      <${StreamTiles} />
      ${now && html`<${Facts} facts=${[
        ["Outlook", now.outlook?.advice ?? `Not known: Postgres ${silence(now.databaseState)}.`],
        ["Waiting", waiting(now.topics)],
        ["Last applied", now.lastAppliedAt && html`<${When} time=${now.lastAppliedAt} />, <${Ago} time=${now.lastAppliedAt} />`],
        ["Workers", integer(now.workers)],
        ["Partitions", integer(now.partitions)],
        ["Held back", heldBack(now) || null],
      ]} />`}
      <${OverTime} id="lag" title="Lag and pace over time" path=${HISTORY} figures=${LAG} axes=${LAG_AXES} usual="1h" />
      <${OverTime} id="freshness" title="Freshness over time" path=${HISTORY} figures=${FRESHNESS} axes=${FRESHNESS_AXES} usual="1h" picker=${false}>
        <p class="note">How long it took from a change to its figures, measured for the newest change of each batch. p50 and p99 are accurate to within 5 %.</p><//>
    <//>`;
}
