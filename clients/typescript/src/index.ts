export { NovaClient, type After, type Change, type NovaOptions, type Range, type Schemas } from "./client.js";
export type { FollowOptions, LiveData, LiveEvent } from "./follow.js";
export { NovaProblem } from "./problem.js";
export type { paths } from "./schema.js";
