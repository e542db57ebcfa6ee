// What the token may do: whoever may read dead letters has the scope admin.

import { computed } from "./lib.js";
import { letters } from "./resources.js";

/** {allowed, reason}; before the server has said anything, nothing is allowed. */
export const admin = computed(() => {
  const failure = letters.failure.value;
  if (failure && failure.status === 403) return { allowed: false, reason: failure.message };
  return { allowed: letters.data.value !== null, reason: null };
});
