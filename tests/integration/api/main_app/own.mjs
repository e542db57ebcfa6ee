// Runs the main app's own functions on documents in memory: what each step gives, and each
// function's arguments as its validators say them.
import { readFileSync } from "node:fs";
import * as activity from "main-app/convex/activity.ts";
import * as atlas from "main-app/convex/atlas.ts";
import * as dashboard from "main-app/convex/dashboard.ts";
import * as realtime from "main-app/convex/realtime.ts";

const MODULES = { activity, atlas, dashboard, realtime };
// The indexes whose order is not that of creation.
const ORDERED = { by_timestamp: "timestamp", by_user_and_time: "timestamp" };
const tables = {};
let made = 0;

const q = {
  field: (name) => (document) => document[name],
  eq: (get, value) => (document) => get(document) === value,
  gte: (get, value) => (document) => get(document) >= value,
};

class Query {
  constructor(rows) {
    this.rows = rows;
  }
  withIndex(name, narrow) {
    const wanted = [];
    const range = { eq: (field, value) => (wanted.push([field, value]), range) };
    narrow?.(range);
    const found = this.rows.filter((row) => wanted.every(([field, value]) => row[field] === value));
    const key = ORDERED[name] ?? "_creationTime";
    return new Query(found.sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0)));
  }
  filter(makes) {
    return new Query(this.rows.filter(makes(q)));
  }
  order(direction) {
    return new Query(direction === "desc" ? this.rows.toReversed() : this.rows);
  }
  async take(count) {
    return structuredClone(this.rows.slice(0, count));
  }
  async collect() {
    return this.take(this.rows.length);
  }
  async first() {
    return (await this.take(1))[0] ?? null;
  }
}

const given = (document) =>
  Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
const found = (id) =>
  Object.values(tables)
    .flat()
    .find((row) => row._id === id);

const db = {
  query: (table) => new Query([...(tables[table] ?? [])]),
  get: async (id) => structuredClone(found(id) ?? null),
  insert: async (table, document) => {
    made += 1;
    const row = { ...given(document), _id: `${table}-${made}`, _creationTime: made };
    (tables[table] ??= []).push(row);
    return row._id;
  },
  patch: async (id, fields) => {
    const row = found(id);
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined) delete row[name];
      else row[name] = value;
    }
  },
};

const outcomes = [];
// {"step": 3, "field": "buildId"} stands for what an earlier step gave.
const resolved = (value) => {
  if (value === null || typeof value !== "object") return value;
  if ("step" in value) {
    const outcome = outcomes[value.step].value;
    return value.field ? outcome[value.field] : outcome;
  }
  return Array.isArray(value)
    ? value.map(resolved)
    : Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolved(item)]));
};

const { documents, steps } = JSON.parse(readFileSync(0, "utf8"));
for (const [table, document] of documents) await db.insert(table, document);
for (const [path, args] of steps) {
  const [module, name] = path.split(":");
  try {
    const value = await MODULES[module][name]._handler({ db }, resolved(args));
    outcomes.push({ value: value === undefined ? null : JSON.parse(JSON.stringify(value)) });
  } catch (error) {
    outcomes.push({ error: error.message });
  }
}
const validators = {};
for (const [module, functions] of Object.entries(MODULES)) {
  for (const [name, registered] of Object.entries(functions)) {
    const kind = registered.isQuery ? "query" : "mutation";
    validators[`${module}:${name}`] = [kind, JSON.parse(registered.exportArgs())];
  }
}
console.log(JSON.stringify({ outcomes, validators }));
