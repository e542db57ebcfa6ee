import assert from "node:assert/strict";
import { before, test } from "node:test";

import { NovaClient, NovaProblem, type LiveEvent } from "../src/index.js";

const url = process.env["NOVA_API_URL"] ?? "http://127.0.0.1:8600";
const token = process.env["NOVA_API_TOKEN"];
const nova = new NovaClient({ url, token });
// Several runs may share a stack.
const run = Date.now().toString(36);
const agent = `Über/${run}`;
const build = `b-${run}`;
const now = new Date();
const range = { from: new Date(+now - 60_000).toISOString(), to: new Date(+now + 600_000).toISOString() };
let after: string;

const task = (n: number) => ({ id: `t-${run}-${n}`, buildId: build, agent, status: "done" });

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

before(async () => {
  const tasks = Array.from({ length: 7 }, (_, n) => ({ entity: "tasks" as const, after: task(n) }));
  const timestamp = now.toISOString();
  after = await nova.publish([
    { entity: "agents", op: "c", after: { id: `a-${run}`, name: agent, role: "docs" } },
    { entity: "builds", after: { id: build, status: "completed", startedAt: timestamp, completedAt: timestamp } },
    { entity: "executions", after: { id: `e-${run}`, taskId: `t-${run}-0`, agent, duration: 1500, timestamp, response: "r\u2028s" } },
    { entity: "activities", after: { id: `v-${run}`, agentName: agent, eventType: "note", details: "a\u2028b\u0085c", timestamp } },
    { entity: "users", after: { id: `u-${run}`, userId: `ann-${run}`, tier: run } },
    ...tasks,
  ]);
});

test("a read after a token shows what was published", async () => {
  await nova.wait(after, 20);
  const stats = await nova.agent(agent, { after });
  assert.deepEqual([stats.agentId, stats.completedTasks, stats.successRate], [`a-${run}`, 7, 100]);
  assert.ok((await all(nova.agents({ after }))).some((row) => row.agentName === agent));
  assert.ok((await nova.overview()).completedTasks >= 7);
  assert.ok((await nova.buildStats()).completedBuilds >= 1);
  assert.equal((await nova.build(build)).tasks.length, 7);
  assert.equal((await nova.task(`t-${run}-0`)).executions?.[0]?.duration, 1500);
  assert.equal((await nova.execution(`e-${run}`)).response, "r\u2028s");
});

test("a list gives each row once over its pages", async () => {
  const ids = (await all(nova.tasks({ build, limit: 2, after }))).map((row) => row.id);
  assert.deepEqual(ids.sort(), Array.from({ length: 7 }, (_, n) => `t-${run}-${n}`));
  assert.deepEqual(await all(nova.builds({ status: "failed", q: run })), []);
  assert.equal((await all(nova.executions({ agent }))).length, 1);
  assert.equal((await all(nova.activity({ agent })))[0]?.details, "a\u2028b\u0085c");
  assert.equal((await all(nova.users({ tier: run }))).length, 1);
});

test("ranges and series add up", async () => {
  await nova.wait(after, 20);
  const one = await nova.agentRange(agent, range);
  assert.deepEqual([one.completedTasks, one.executions, one.p99Duration], [7, 1, 1500]);
  assert.ok(((await nova.overallRange(range)).completedTasks ?? 0) >= 7);
  const ranges = await all(nova.agentRanges(range));
  assert.equal(ranges.find((row) => row.agentName === agent)?.completedTasks, 7);
  const series = await nova.agentSeries(agent, { ...range, bucket: "1m" });
  assert.equal(series.items.reduce((sum, bucket) => sum + (bucket.completedTasks ?? 0), 0), 7);
  assert.ok((await nova.agentsSeries({ ...range, bucket: "1m" })).items.length >= 11);
  assert.ok(((await nova.buildsRange(range)).completedBuilds ?? 0) >= 1);
  assert.ok((await nova.buildsSeries(range)).items.length >= 1);
  assert.ok(Array.isArray((await nova.engagement({ from: "2026-02-01", to: "2026-02-03" })).days));
});

test("every route can be asked, typed by its path", async () => {
  const { data } = await nova.api.GET("/api/v1/search", { params: { query: { q: build } } });
  assert.equal(data?.groups.find((group) => group.kind === "builds")?.items[0]?.id, build);
});

test("problems are typed and say what to do", async () => {
  await assert.rejects(nova.agent("nobody"), (error: unknown) => {
    assert.ok(error instanceof NovaProblem);
    assert.deepEqual([error.status, error.kind, error.passes], [404, "unknown-agent", false]);
    assert.match(error.message, /GET .*\/api\/v1\/agent\/stats: 404 unknown-agent: No registered agent/);
    return true;
  });
  const bad = nova.publish([{ entity: "tasks", after: { id: "t", status: "finished" } }]);
  await assert.rejects(bad, { kind: "bad-event", status: 422 });
  const stranger = new NovaClient({ url, token: "not-a-token-of-this-api" });
  await assert.rejects(stranger.overview(), { kind: "token-unknown", status: 401 });
  await assert.rejects(stranger.follow().next(), { kind: "token-unknown" });
  const nowhere = new NovaClient({ url: "http://127.0.0.1:9" });
  await assert.rejects(nowhere.overview(), { kind: "unreachable", status: 0, passes: true });
});

test("a follower sees all, then what changes, and another goes on from its last id", async () => {
  const choice = { events: ["agent", "activity"] as const, agents: [agent] };
  let lastEventId = "";
  const seen: LiveEvent[] = [];
  for await (const event of nova.follow(choice)) {
    seen.push(event);
    lastEventId = event.id ?? lastEventId;
    if (event.event === "snapshot") break;
  }
  assert.deepEqual(
    seen.map((event) => event.event === "agent" && event.data.completedTasks).filter(Boolean),
    [7],
  );
  assert.ok(seen.some((event) => event.event === "activity" && event.data.details === "a\u2028b\u0085c"));

  await nova.publish({ entity: "tasks", after: task(8) });
  const end = new AbortController();
  for await (const event of nova.follow({ ...choice, lastEventId, signal: end.signal })) {
    assert.notEqual(event.event, "reset");
    if (event.event === "agent" && event.data.completedTasks === 8) end.abort();
  }
  assert.ok(end.signal.aborted);
});

test("a break of the connection is mended from the last id", async () => {
  const asked: (string | null)[] = [];
  const told: string[] = [];
  const answers = [
    () => new Response('retry: 1\n\nid: 1\nevent: overview\ndata: {"total'),
    () => new Response("starting", { status: 503, headers: { "Retry-After": "0" } }),
    () => new Response("retry: 1\n\n: hello\nid: 2\nevent: snapshot\r\ndata: {}\r\n\r\n"),
    () => Promise.reject(new TypeError("fetch failed")),
    () => new Response("no", { status: 401 }),
  ];
  const fetch = async (request: Request): Promise<Response> => {
    asked.push(request.headers.get("last-event-id"));
    return answers.shift()!();
  };
  const broken = new NovaClient({ url: "http://api.example", fetch });
  const got: LiveEvent[] = [];
  await assert.rejects(async () => {
    const onBreak = (problem: NovaProblem): void => void told.push(problem.kind);
    for await (const event of broken.follow({ onBreak })) got.push(event);
  }, { status: 401 });
  assert.deepEqual(got.map(({ id, event }) => [id, event]), [["2", "snapshot"]]);
  assert.deepEqual(asked, [null, null, null, "2", "2"]);
  assert.equal(told.length, 4);
});
