// Drives the main app's sync client: the steps on stdin, what each gave on stdout.
import { readFileSync } from "node:fs";
import { createConvexSyncClient } from "main-app/src/convex/sync.ts";

const steps = JSON.parse(readFileSync(0, "utf8"));
const client = createConvexSyncClient({ enabled: true, retryDelayMs: 100 });
const results = [];
for (const [method, ...args] of steps) {
  results.push((await client[method](...args)) ?? null);
}
console.log(JSON.stringify({ enabled: client.enabled, buildId: client.buildId, results }));
