// What is asked for at intervals: each resource knows its last answer, and since when it fails.

import { ask, declined, refusal } from "./api.js";
import { effect, signal } from "./lib.js";
import { may, rights } from "./rights.js";

const HIDDEN = 10_000; // milliseconds between two questions while nobody looks

/**
 * Something that is asked for again and again. ``data`` is the last answer (null before the
 * first), ``failure`` the Failed since then, or null. Nothing is asked for without its scope.
 */
export class Resource {
  constructor(path, interval, scope) {
    this.path = path;
    this.interval = interval;
    this.scope = scope;
    this.data = signal(null);
    this.failure = signal(null);
    this.answeredAt = signal(null);
    this.timer = null;
    this.asked = 0;
  }

  wanted() {
    return may(this.scope);
  }

  /** Ask now, and from now on at the interval. */
  start() {
    clearTimeout(this.timer);
    this.refresh().then(() => this.wait());
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  wait() {
    clearTimeout(this.timer);
    const pause = document.hidden ? Math.max(HIDDEN, this.interval) : this.interval;
    this.timer = setTimeout(() => this.start(), pause);
  }

  /** Forget what another token was shown. */
  forget() {
    this.asked += 1;
    this.data.value = null;
    this.failure.value = null;
    this.answeredAt.value = null;
  }

  /** Ask once; of two answers under way the one asked for last is kept. */
  async refresh() {
    if (refusal.value || declined.value || !this.wanted()) return;
    this.asked += 1;
    const mine = this.asked;
    try {
      const answer = await ask(typeof this.path === "function" ? this.path() : this.path);
      if (mine !== this.asked) return;
      this.data.value = answer;
      this.failure.value = null;
      this.answeredAt.value = Date.now();
    } catch (failure) {
      if (mine === this.asked) this.failure.value = failure;
    }
  }
}

/** What is asked for of builds' history and of dead letters. */
export const historyDays = signal("7");
export const letterState = signal("open");
export const trailShown = signal("all");

export const status = new Resource("/api/v1/stream/status", 1000, "stats");
export const jobs = new Resource("/api/v1/jobs", 1000, "stats");
export const alerts = new Resource("/api/v1/alerts?open=true&limit=100", 1000, "stats");
export const agentHistory = new Resource("/api/v1/agents/history?hours=12&buckets=24", 20_000, "stats");

export const buildHistory = new Resource(() => `/api/v1/builds/history?days=${historyDays.value}`, 5000, "stats");
export const letters = new Resource(
  () => `/api/v1/dead-letters?limit=100&state=${letterState.value}`,
  2000,
  "admin",
);
export const trail = new Resource(
  () => `/api/v1/trail?limit=50${trailShown.value === "refused" ? "&refused=true" : ""}`,
  5000,
  "admin",
);
/** Whether the server answers, for those who may not see the stream's state. */
export const pulse = new Resource("/api/v1/token", 2000, "documents");
pulse.wanted = () => may("documents") && !may("stats");

const ALL = [status, jobs, alerts, agentHistory, buildHistory, letters, trail, pulse];

export function startResources() {
  for (const resource of ALL) resource.start();
}

// Another token may see other things; what it may not is gone at once.
effect(() => {
  const known = rights.value;
  queueMicrotask(() => {
    if (known === null) for (const resource of ALL) resource.forget();
    else startResources();
  });
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) startResources();
});
