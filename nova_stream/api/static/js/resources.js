// What is asked for at intervals: each resource knows its last answer, and since when it fails.

import { ask, refusal } from "./api.js";
import { computed, effect, signal, useEffect, useMemo } from "./lib.js";
import { may, rights } from "./rights.js";
import { declined } from "./token.js";

const STATUS_LIMIT = 3000; // the server answers it within two seconds, whatever is away
const HIDDEN = 10_000; // milliseconds between two questions while nobody looks
const REMEMBERED = 40; // answers of pages that were left, for those who come back

/** Resources that somebody looks at. */
const active = new Set();
const remembered = new Map();

/**
 * Something that is asked for again and again, every ``interval`` milliseconds (0 = once).
 * ``data`` is the last answer (null before the first), ``failure`` the Failed since then, or null.
 * Nothing is asked for without its scope.
 */
class Resource {
  constructor(path, interval, scope, limit) {
    this.path = path;
    this.interval = interval;
    this.scope = scope;
    this.limit = limit;
    this.data = signal(remembered.get(path) ?? null);
    this.failure = signal(null);
    this.answeredAt = signal(null);
    this.timer = null;
    this.asked = 0;
    this.kept = 0; // the number of the newest answer so far; earlier ones come too late
  }

  wanted() {
    return may(this.scope);
  }

  /** Ask now, and from now on at the interval. */
  start() {
    active.add(this);
    clearTimeout(this.timer);
    this.refresh().then(() => this.wait());
  }

  stop() {
    active.delete(this);
    clearTimeout(this.timer);
    this.kept = this.asked += 1;
  }

  wait() {
    clearTimeout(this.timer);
    if (!this.interval || !active.has(this)) return;
    const pause = document.hidden ? Math.max(HIDDEN, this.interval) : this.interval;
    this.timer = setTimeout(() => this.start(), pause);
  }

  /** Forget what another token was shown. */
  forget() {
    this.kept = this.asked += 1;
    this.data.value = null;
    this.failure.value = null;
    this.answeredAt.value = null;
  }

  /**
   * Ask once; of two answers under way the one asked for last is kept. The first is shown until it
   * comes: where answers take longer than the pause between questions, there would be none else.
   */
  async refresh() {
    if (refusal.value || declined.value || !this.wanted()) return;
    this.asked += 1;
    const mine = this.asked;
    try {
      const answer = await ask(this.path, { limit: this.limit });
      if (mine < this.kept) return;
      this.kept = mine;
      this.data.value = answer;
      this.failure.value = null;
      this.answeredAt.value = Date.now();
      remember(this.path, answer);
    } catch (failure) {
      if (mine < this.kept) return;
      this.kept = mine;
      this.failure.value = failure;
      if (failure.status === 404) this.data.value = null;
    }
  }
}

function remember(path, answer) {
  remembered.delete(path);
  remembered.set(path, answer);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value);
}

/** The resource at ``path``, kept up to date while the component is on the page. */
export function useResource(path, interval, scope) {
  const resource = useMemo(() => new Resource(path, interval, scope), [path, interval, scope]);
  useEffect(() => {
    resource.start();
    return () => resource.stop();
  }, [resource]);
  return resource;
}

// What the top of every page tells.
export const status = new Resource("/api/v1/stream/status", 1000, "stats", STATUS_LIMIT);
export const alerts = new Resource("/api/v1/alerts?open=true&limit=100", 1000, "stats");
/** Whether the server answers, for those who may not see the stream's state. */
export const pulse = new Resource("/api/v1/token", 1000, "documents", STATUS_LIMIT);
pulse.wanted = () => may("documents") && !may("stats");

/** What the installation's settings say of rows. */
export const settings = new Resource("/api/v1/settings", 0, "stats or documents");

/** What Postgres does while it does not serve, as the server's last answer tells; else null. */
export const databaseAway = computed(() => {
  const { data, failure } = may("stats") ? status : pulse;
  const told = failure.value ? failure.value.databaseState : data.value?.databaseState;
  return told && told !== "up" ? told : null;
});

for (const resource of [status, alerts, pulse, settings]) active.add(resource);

function startAll() {
  for (const resource of active) resource.start();
}

// Another token may see other things; what it may not is gone at once.
effect(() => {
  const known = rights.value;
  queueMicrotask(() => {
    if (known !== null) startAll();
    else {
      remembered.clear();
      for (const resource of active) resource.forget();
    }
  });
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) startAll();
});
