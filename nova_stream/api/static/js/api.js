// Asking the server. The token is kept in this tab alone, and goes only into the header.

import { signal } from "./lib.js";

const LIMIT = 6000; // milliseconds for one answer
const KEPT = "nova-token";

export const token = signal(null);

/** What the server says of the token: null (fine), or {detail} while it wants another one. */
export const refusal = signal(null);

/** The question for a token was closed without an answer. */
export const declined = signal(false);

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
}

export function authorization() {
  return token.value ? { Authorization: `Bearer ${token.value}` } : {};
}

/** A link's token that is not the one this tab has: its user decides. */
export const offered = signal(null);

/** Take the token that this tab has, else the one in the address, which is taken out of there. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  const kept = sessionStorage.getItem(KEPT);
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    if (!kept) sessionStorage.setItem(KEPT, given);
    else if (kept !== given) offered.value = given;
  }
  token.value = sessionStorage.getItem(KEPT);
}

export function setToken(value) {
  sessionStorage.setItem(KEPT, value);
  token.value = value;
  declined.value = false;
  refusal.value = null;
}

/** The answer's JSON. Throws Failed; a refused token is asked for anew. */
export async function ask(path, { method = "GET", body = undefined, signal = undefined } = {}) {
  const headers = authorization();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(LIMIT);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
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
