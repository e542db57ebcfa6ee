// The connection: the stream of changes, its resume, polling where there is no stream, and what
// is known about how old the numbers are.

import { eventReader } from "./sse.js";
import { ask, authorization, Failed, problem, refusal } from "./api.js";
import { batch, effect } from "./lib.js";
import { databaseAway, pulse, status } from "./resources.js";
import { learn, may, rights } from "./rights.js";
import * as state from "./state.js";
import { declined, token } from "./token.js";

const FIRST = 5000; // milliseconds in which a stream must say something
const SILENCE = 20_000; // the server sends a comment every 15 s
const SLEEP = 10_000; // milliseconds without a tick of this page's clock
const DRAW = 100; // milliseconds in which events are gathered for one drawing
const POLL = 1000;
const STEADY = 30_000; // milliseconds between reads of whole lists beside the stream

let lastId = null;
let streaming = false;
let stop = new AbortController(); // of the stream that is open

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Keep the page up to date, for ever. */
export function connect() {
  keepStream();
  keepPolling();
  keepLists();
  effect(watch);
  effect(() => {
    if (rights.value === null) queueMicrotask(state.forget);
  });
  setInterval(noticeSleep, 1000);
}

// -- the stream -------------------------------------------------------------------------------

async function keepStream() {
  for (let failures = 0; ; failures += 1) {
    await askedForToken();
    const began = Date.now();
    try {
      await listen();
    } catch (error) {
      if (!state.trouble.value) state.trouble.value = reason(error);
    }
    streaming = false;
    if (Date.now() - began > SILENCE) failures = 0;
    await pause(Math.min(5000, 250 * 2 ** failures));
  }
}

/** Drop the connection; it is opened again at once, and goes on from the last event. */
function reopen() {
  streaming = false;
  stop.abort();
}

let awakeAt = Date.now();

/** After a sleep of the machine a connection may look open for a while that is none. */
function noticeSleep() {
  const slept = Date.now() - awakeAt > SLEEP;
  awakeAt = Date.now();
  if (slept && !document.hidden) reopen();
}

async function listen() {
  await learn(); // what the token may do can have changed, too
  if (!readable()) return;
  stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), FIRST);
  const headers = { ...authorization(), Accept: "text/event-stream" };
  if (lastId === null) state.beginPicture();
  else headers["Last-Event-ID"] = lastId;
  const held = token.value;
  const release = effect(() => {
    if (token.value === held) return;
    lastId = null;
    stop.abort();
  });
  try {
    const response = await fetch("/api/v1/stream", { headers, signal: stop.signal });
    if (!response.ok) throw await problem(response);
    const gathered = new Gathering();
    const reader = eventReader(response.body, (message) => gathered.add(message));
    while (await reader()) {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENCE);
      streaming = true;
      confirm("stream");
    }
  } finally {
    release();
    clearTimeout(timer);
    stop.abort();
  }
}

/** Events that wait to be drawn together. */
class Gathering {
  constructor() {
    this.events = [];
    this.timer = null;
  }

  add({ event, id, data }) {
    this.events.push({ event, id, data: JSON.parse(data) });
    this.timer ??= setTimeout(() => this.draw(), DRAW);
  }

  draw() {
    const events = this.events.splice(0);
    this.timer = null;
    state.apply(events);
    // Half a picture cannot be gone on from: its end would never come.
    if (state.isWhole()) lastId = events.at(-1).id ?? lastId;
  }
}

// -- polling ----------------------------------------------------------------------------------

async function keepPolling() {
  await pause(FIRST / 5);
  for (;;) {
    await askedForToken();
    if (!streaming) await poll();
    await pause(POLL);
  }
}

const FIGURES = ["/api/v1/overview", "/api/v1/agents/stats?unregistered=true", "/api/v1/builds/stats"];
const DOCUMENTS = ["/api/v1/builds?limit=100", "/api/v1/activity?limit=50"];

async function poll() {
  try {
    if (rights.value === null) await learn();
    if (!readable()) return;
    const held = rights.value;
    const asked = (scope, paths) => Promise.all(may(scope) ? paths.map((path) => ask(path)) : []);
    const [[overview, agents, stats], [builds, activity]] = await Promise.all([
      asked("stats", FIGURES),
      asked("documents", DOCUMENTS),
    ]);
    if (streaming || rights.value !== held) return;
    batch(() => {
      if (overview) {
        state.overview.value = overview;
        state.buildStats.value = stats;
        state.replaceAgents(agents.items);
      }
      if (builds) {
        state.replaceBuilds(builds.items);
        state.activities.value = activity.items;
      }
      state.databaseAway.value = null;
      confirm("polling");
    });
  } catch (error) {
    if (streaming) return;
    const away = error.databaseState || databaseAway.value;
    batch(() => {
      state.databaseAway.value = away;
      state.mode.value = away ? "polling" : "lost";
      state.trouble.value = reason(error);
    });
  }
}

/** Whole lists now and then, for what the stream does not tell: builds that were deleted. */
async function keepLists() {
  for (;;) {
    await pause(STEADY);
    if (!streaming || document.hidden || !may("documents")) continue;
    try {
      state.replaceBuilds((await ask("/api/v1/builds?limit=100")).items);
    } catch {
      // the stream and polling tell it
    }
  }
}

// -- what is known ----------------------------------------------------------------------------

function confirm(mode) {
  batch(() => {
    state.mode.value = mode;
    state.trouble.value = null;
    if (!state.databaseAway.value && !databaseAway.value) state.confirmedAt.value = Date.now();
  });
}

/** An answer confirms the stream between its messages; without one the stream is opened anew. */
function watch() {
  const { answeredAt, failure: failed } = may("stats") ? status : pulse;
  const answered = answeredAt.value;
  const failure = failed.value;
  if (failure && failure.status === 0) {
    state.mode.value = "lost";
    state.trouble.value = failure.message;
    reopen();
  } else if (answered && streaming) {
    confirm("stream");
  }
}

/** Whether there is anything that is kept up to date. */
function readable() {
  return may("stats") || may("documents");
}

async function askedForToken() {
  while (refusal.value || declined.value) await pause(200);
}

function reason(error) {
  return error instanceof Failed ? error.message : "The server does not answer.";
}
