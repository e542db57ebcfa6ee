// Signing in with a token, and out again.

import { refusal } from "./api.js";
import { effect, html, signal } from "./lib.js";
import { Confirm, Modal, openDialog } from "./parts/dialogs.js";
import { named, rights } from "./rights.js";
import { declined, offered, setToken, signOut, token } from "./token.js";

const asking = signal(false);

export function askForToken() {
  if (asking.value) return;
  asking.value = true;
  openDialog(TokenDialog);
}

function TokenDialog({ close }) {
  const leave = () => {
    asking.value = false;
    close();
  };
  const dismiss = () => {
    if (refusal.value) declined.value = true;
    leave();
  };
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setToken(given.get("token").trim(), given.get("lasting") !== null);
    refusal.value = null;
    leave();
  };
  const out = () => {
    signOut();
    leave();
  };
  const held = rights.value?.name && token.value;
  return html`
    <${Modal} id="token-heading" title="Token" close=${dismiss}>
      ${held && html`
        <dl class="facts">
          <div><dt>Signed in as</dt><dd>${rights.value.name}</dd></div>
          <div><dt>Scopes</dt><dd>${rights.value.scopes.join(", ")}</dd></div>
        </dl>`}
      <form id="token-form" onSubmit=${submit}>
        <p class="note">${refusal.value?.detail || (held ? "Another token may show other things." : "This server asks for a token.")}</p>
        <label><span>Token with the scope <code>stats</code> for figures, <code>documents</code> for builds, tasks and activity, <code>admin</code> for jobs and dead letters</span>
          <input id="token" autofocus name="token" type="password" autocomplete="off" spellcheck="false" required /></label>
        <label class="check"><input type="checkbox" name="lasting" checked /> Keep it in this browser until I sign out</label>
        <div class="buttons">
          ${held && html`<button type="button" onClick=${out}>Sign out</button>`}
          <button type="submit" class="main">Show the numbers</button>
        </div>
      </form>
    <//>`;
}

effect(() => {
  if (refusal.value && !declined.value) askForToken();
});

function Offered({ given, close }) {
  return html`
    <${Confirm} title="Use the link's token?" label="Use it" close=${close} act=${async () => setToken(given, true)}>
      <p class="note">The link that was opened carries another token than the one of this browser. Whatever you do with it is done, and recorded, in the name of whoever made it. Use it only if the link is from somebody you trust.</p>
    <//>`;
}

effect(() => {
  if (!offered.value) return;
  openDialog(Offered, { given: offered.value });
  offered.value = null;
});
