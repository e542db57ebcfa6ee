// Drives npm's ConvexHttpClient: the calls on stdin, what each gave or threw on stdout.
import { readFileSync } from "node:fs";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";

const { auth, adminAuth, calls } = JSON.parse(readFileSync(0, "utf8"));
const client = new ConvexHttpClient(process.env.CONVEX_URL, { logger: false });
if (auth) client.setAuth(auth);
if (adminAuth) client.setAdminAuth(adminAuth);
const outcomes = [];
for (const [kind, path, args] of calls) {
  try {
    outcomes.push({ value: await client[kind](makeFunctionReference(path), args) });
  } catch (error) {
    outcomes.push({ error: error.message });
  }
}
console.log(JSON.stringify(outcomes));
