// Asking the server. The token goes only into the header.

import { silence } from "./format.js";
import { effect, signal } from "./lib.js";
import { token } from "./token.js";

const LIMIT = 6000; // milliseconds for one answer, where nothing else is said

/** What the server says of the token: null (fine), or {detail} while it wants another one. */
export const refusal = signal(null);

// What was said of one token holds for no other.
effect(() => {
  token.value;
  refusal.value = null;
});

/**
 * An answer that is a problem; ``status`` 0 = the server did not answer. ``databaseState`` is what
 * Postgres did where that was why.
 */
export class Failed extends Error {
  constructor(status, detail, databaseState) {
    super(detail);
    this.status = status;
    this.databaseState = databaseState;
  }

  /** Why nothing was read, in the banner's words where it tells the same. */
  get reason() {
    return this.databaseState ? `Postgres ${silence(this.databaseState)}.` : this.message;
  }
}

export function authorization() {
  return token.value ? { Authorization: `Bearer ${token.value}` } : {};
}

/** The answer's JSON. Throws Failed; a refused token is asked for anew. */
export async function ask(path, { method = "GET", body = undefined, signal = undefined, limit = LIMIT } = {}) {
  const headers = authorization();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const late = AbortSignal.timeout(limit);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
  } catch {
    throw new Failed(0, "The server does not answer.");
  }
  if (!response.ok) throw await problem(response);
  try {
    return await response.json();
  } catch {
    throw new Failed(0, "The server's answer was cut off.");
  }
}

/** The Failed that an answer is. */
export async function problem(response) {
  const told = await response.json().catch(() => ({}));
  const detail = told.detail || `The server answered with status ${response.status}.`;
  if (response.status === 401) refusal.value = { detail: token.value ? detail : null };
  return new Failed(response.status, detail, told.databaseState);
}
