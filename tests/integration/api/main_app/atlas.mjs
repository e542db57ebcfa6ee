// Drives the main app's Atlas client: the steps on stdin, what each gave on stdout.
import { readFileSync } from "node:fs";
import { ConvexAtlasClient } from "main-app/src/atlas/convex-client.ts";

const steps = JSON.parse(readFileSync(0, "utf8"));
console.log = () => {};
const client = new ConvexAtlasClient();
const results = [];
for (const [method, ...args] of steps) {
  results.push((await client[method](...args)) ?? null);
}
process.stdout.write(`${JSON.stringify(results)}\n`);
