// Drives the main app's bridge: the steps on stdin; what it cannot write it tells on stderr.
import { readFileSync } from "node:fs";
import { getConvexBridge } from "main-app/src/convex/bridge.ts";

const steps = JSON.parse(readFileSync(0, "utf8"));
const bridge = getConvexBridge({ retryDelayMs: 100, enableQueue: true });
for (const [method, ...args] of steps) {
  await bridge[method](...args);
}
console.log(JSON.stringify({ queued: bridge.queueLength }));
