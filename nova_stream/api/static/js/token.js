// The token: kept in this browser, for all tabs of this server's address, until somebody signs out.
// One that is for a tab alone comes before it.

import { signal } from "./lib.js";

const KEPT = "nova-token";

export const token = signal(null);

/** The question for a token was closed without an answer. */
export const declined = signal(false);

/** A link's token that is not the one that is kept: its user decides. */
export const offered = signal(null);

const kept = () => sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT);

/** Take the token that is kept, else the one in the address, which is taken out of there. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    history.replaceState(history.state, "", location.pathname + location.search);
    if (!kept()) localStorage.setItem(KEPT, given);
    else if (kept() !== given) offered.value = given;
  }
  token.value = kept();
}

/** Keep a token, in this tab alone unless ``lasting``. */
export function setToken(value, lasting) {
  sessionStorage.removeItem(KEPT);
  (lasting ? localStorage : sessionStorage).setItem(KEPT, value);
  token.value = value;
  declined.value = false;
}

/** Forget the token, in all tabs. */
export function signOut() {
  sessionStorage.removeItem(KEPT);
  localStorage.removeItem(KEPT);
  token.value = null;
  declined.value = true;
}

// Another tab has signed in or out.
window.addEventListener("storage", (event) => {
  if (event.key !== KEPT && event.key !== null) return;
  token.value = kept();
  declined.value = false;
});
