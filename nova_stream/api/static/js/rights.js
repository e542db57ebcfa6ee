// What the token may do, as the server says.

import { ask } from "./api.js";
import { computed, effect, signal } from "./lib.js";
import { token } from "./token.js";

const GROUPS = [["read", ["stats", "documents"]]];

/** {name, scopes, expiresAt}, or null before the server has said it. */
export const rights = signal(null);

/** Why the server has not said it yet: the Failed of the last question, or null. A refused token is asked for instead. */
const failed = signal(null);
export const unsaid = computed(() => (rights.value === null ? failed.value : null));

/** Whether the token has ``scope``, or one of several: ``stats or documents``. */
export function may(scope) {
  return rights.value !== null && scope.split(" or ").some((one) => rights.value.scopes.includes(one));
}

/** Why something of this scope is not shown or possible; null where it is, or nobody knows yet. */
export function lacking(scope) {
  if (rights.value === null || may(scope)) return null;
  return `This needs a token with the scope ${scope}; this one has ${named(rights.value.scopes)}.`;
}

/** Ask the server; throws Failed. */
export async function learn() {
  const asked = token.value;
  try {
    const answer = await ask("/api/v1/token");
    if (token.value === asked) rights.value = answer;
  } catch (failure) {
    if (token.value === asked && failure.status !== 401) failed.value = failure;
    throw failure;
  }
}

/** Scopes as a sentence has them, groups by their names. */
export function named(scopes) {
  const names = [];
  let left = scopes;
  for (const [name, group] of GROUPS) {
    if (!group.every((scope) => left.includes(scope))) continue;
    names.push(name);
    left = left.filter((scope) => !group.includes(scope));
  }
  return [...names, ...left].join(", ");
}

/** {allowed, reason}; before the server has said anything, nothing is allowed. */
export const admin = computed(() => ({ allowed: may("admin"), reason: lacking("admin") }));

let held = null;

effect(() => {
  if (token.value === held) return;
  held = token.value;
  rights.value = null;
  failed.value = null;
});
