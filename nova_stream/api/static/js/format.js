// How numbers, times and bytes are written, everywhere alike.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const yearTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export const NOTHING = "–";

export function integer(value) {
  return value === null || value === undefined ? NOTHING : whole.format(value);
}

export function percent(value) {
  return value === null || value === undefined ? NOTHING : `${hundredths.format(value)} %`;
}

export function perSecond(value) {
  if (value === null || value === undefined) return NOTHING;
  return value < 10 ? tenths.format(value) : whole.format(value);
}

/** Milliseconds as people say them: 340 ms, 2.0 s, 4 min 10 s, 3 h 5 min, 2 d 4 h. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return NOTHING;
  if (milliseconds < 999.5) return `${whole.format(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${tenth.format(milliseconds / 1000)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

/** A span with one unit, which does not change its length at every second. */
export function roughly(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  const days = Math.floor(seconds / 86_400);
  return days < 730 ? `${days} days` : `${whole.format(Math.floor(days / 365.25))} years`;
}

/** How far back from ``now`` (epoch milliseconds) a time is. */
export function ago(time, now) {
  if (!time) return "never";
  const passed = now - Date.parse(time);
  return passed < 1000 ? "now" : `${roughly(passed)} ago`;
}

export function until(time, now) {
  if (!time) return NOTHING;
  const left = Date.parse(time) - now;
  return left < 1000 ? "now" : `in ${roughly(left)}`;
}

/** Times of the day of ``now`` as a clock shows them, others with their day, and their year where it may be another one; in the reader's own time zone. */
export function when(time, now) {
  if (!time) return NOTHING;
  const at = new Date(time);
  const passed = Math.abs(now - at);
  if (at.toDateString() === new Date(now).toDateString()) return clockTime.format(at);
  return (now && passed > 300 * 86_400_000 ? yearTime : dayTime).format(at);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "null";
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${tenths.format(bytes / 1024)} kB`;
  return `${tenths.format(bytes / 1024 / 1024)} MB`;
}

export function plural(count, one, many = `${one}s`) {
  return `${whole.format(count)} ${count === 1 ? one : many}`;
}

const LENGTHS = { m: ["a minute", "minutes"], h: ["an hour", "hours"], d: ["a day", "days"] };

/** How often something comes, by the length of its buckets: ``1m`` one a minute, ``15m`` one every 15 minutes. */
export function oneEach(bucket) {
  const count = parseInt(bucket, 10);
  const [one, many] = LENGTHS[bucket.at(-1)];
  return count === 1 ? `one ${one}` : `one every ${count} ${many}`;
}

/** The length of buckets in words: ``1m`` is a minute, ``15m`` 15 minutes. */
export function lengthOf(bucket) {
  const count = parseInt(bucket, 10);
  const [one, many] = LENGTHS[bucket.at(-1)];
  return count === 1 ? one.replace(/^an? /, "") : `${count} ${many}`;
}

const AWAY = { refusing: "refuses connections", unresolved: "has an unknown host name" };

/** What a server that is away does: ``silent``, ``refusing`` or ``unresolved``, in words. */
export function silence(what) {
  return AWAY[what] ?? "does not answer";
}

/** ``skipped_overlap`` as words. */
export function words(name) {
  return name ? name.replaceAll("_", " ") : NOTHING;
}
