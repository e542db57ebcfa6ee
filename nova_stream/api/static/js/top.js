// The top of the page: the connection's state, the way to the sections, and the token.

import { declined, offered, refusal, setToken, token } from "./api.js";
import { integer, plural, roughly, silence, when } from "./format.js";
import { computed, effect, html, signal, useEffect } from "./lib.js";
import { Confirm, Modal, openDialog } from "./parts/dialogs.js";
import { alerts, status } from "./resources.js";
import { may, named, rights } from "./rights.js";
import * as state from "./state.js";

const OLD = 4000; // milliseconds after which shown numbers are called old

const LINKS = [
  ["overview", "Overview"], ["stream", "Stream"], ["alerts", "Alerts"], ["agents", "Agents"],
  ["activity", "Activity"], ["builds", "Builds"], ["jobs", "Jobs"], ["dead-letters", "Dead letters"], ["trail", "Trail"],
];

/** {name, text, banner}: what is known of the numbers on the page. */
export const standing = computed(() => {
  const age = state.age.value;
  const old = age === null ? "There are no numbers yet." : `The numbers below are ${roughly(age)} old.`;
  if (declined.value) {
    return { name: "waiting", text: "Waiting for a token", banner: "This server asks for a token. Give one with the button Token." };
  }
  if (refusal.value) return { name: "waiting", text: "Waiting for a token", banner: "" };
  if (rights.value && !may("stats") && !may("documents")) {
    return {
      name: "waiting",
      text: "No figures to show",
      banner: `The token ${rights.value.name} has the scope ${named(rights.value.scopes)}. Figures need stats, builds and activity documents.`,
    };
  }
  if (state.mode.value === "lost") {
    return { name: "lost", text: "Connection lost", banner: `${state.trouble.value} ${old} Trying again by itself.` };
  }
  const database = status.failure.value?.databaseState || status.data.value?.databaseState;
  if (state.databaseAway.value || (database && database !== "up")) {
    const does = silence(database);
    return { name: "old", text: `Postgres ${does}`, banner: `Postgres ${does}. ${old} The page goes on by itself when Postgres is back.` };
  }
  if (age === null) return { name: "waiting", text: "Connecting…", banner: "" };
  if (age > OLD) return { name: "old", text: `${roughly(age)} old`, banner: age > 2 * OLD ? `Nothing has come from the server for a while. ${old}` : "" };
  const stream = streamTrouble(status.data.value);
  if (stream) return stream;
  const behind = stalled.value;
  if (behind !== null) {
    return { name: "old", text: "Stream stands still", banner: `${plural(behind, "event")} wait in Kafka and none is applied: see the workers' logs.` };
  }
  return { name: "live", text: state.mode.value === "polling" ? "Live, by polling" : "Live", banner: "" };
});

/** Kafka or the last worker is gone: the numbers are right, and hold nothing newer. */
function streamTrouble(now) {
  if (!now) return null;
  const until = now.lastAppliedAt ? `The numbers below hold all changes until ${when(now.lastAppliedAt, state.now.value)}.` : "";
  if (now.kafkaUp === false) {
    const does = silence(now.kafkaState);
    return { name: "old", text: `Kafka ${does}`, banner: `Kafka ${does}. ${until} Later ones are counted when Kafka is back.` };
  }
  if (now.workers === 0) {
    const behind = stalled.value;
    const banner = behind === null
      ? `No worker runs. ${until} Later ones wait in Kafka: start a worker (nova-stream worker).`
      : `${plural(behind, "event")} wait in Kafka and none is applied: no worker runs.`;
    return { name: "old", text: "No worker runs", banner };
  }
  return null;
}

/** Events that wait while none is applied, once that has been so for a while; else null. */
const stalled = signal(null);
const STANDING = 10; // answers, one a second
let still = 0;

effect(() => {
  const answer = status.data.value;
  still = answer && answer.lag > 0 && answer.throughput === 0 ? still + 1 : 0;
  stalled.value = still >= STANDING ? answer.lag : null;
});

effect(() => {
  const { name, text } = standing.value;
  const open = alerts.data.value?.items.length || 0;
  document.title = `${open ? `(${open}) ` : ""}nova-stream${name === "live" ? "" : ` – ${text}`}`;
  document.body.dataset.state = name;
});

function Banner() {
  const { banner, name } = standing.value;
  // The alert is its first words: said once by screen readers, not every second with a new age.
  return html`
    <div role="alert" class="sr-only">${banner && standing.value.text}</div>
    <p class="banner" data-state=${name} hidden=${!banner}>${banner}</p>`;
}

function TokenDialog({ close }) {
  const detail = refusal.value?.detail;
  const submit = (event) => {
    event.preventDefault();
    setToken(new FormData(event.currentTarget).get("token").trim());
    close();
  };
  const leave = () => {
    if (refusal.value) declined.value = true;
    close();
  };
  return html`
    <${Modal} id="token-heading" title="Token" close=${leave}>
      <form id="token-form" onSubmit=${submit}>
        <p class="note">${detail || "This server asks for a token. It is kept in this tab only, until it is closed."}</p>
        <label><span>Token with the scope <code>stats</code> for figures, <code>documents</code> for builds and activity, <code>admin</code> for jobs and dead letters</span>
          <input id="token" autofocus name="token" type="password" autocomplete="off" spellcheck="false" required /></label>
        <div class="buttons"><button type="submit" class="main">Show the numbers</button></div>
      </form>
    <//>`;
}

let asking = false;

function askForToken() {
  if (asking) return;
  asking = true;
  openDialog(Asked);
}

function Asked({ close }) {
  useEffect(() => () => {
    asking = false;
  }, []);
  return html`<${TokenDialog} close=${close} />`;
}

effect(() => {
  if (refusal.value && !declined.value) askForToken();
});

function Offered({ given, close }) {
  return html`
    <${Confirm} title="Use the link's token?" label="Use it" close=${close} act=${async () => setToken(given)}>
      <p class="note">The link that was opened carries another token than the one of this tab. Whatever you do with it is done, and told, in the name of whoever made it. Use it only if the link is from somebody you trust.</p>
    <//>`;
}

effect(() => {
  if (!offered.value) return;
  openDialog(Offered, { given: offered.value });
  offered.value = null;
});

export const section = signal("overview");

function Link({ id, text }) {
  const open = alerts.data.value?.items.length;
  const letters = status.data.value?.openDeadLetters;
  const count = id === "alerts" ? open : id === "dead-letters" ? letters : 0;
  return html`
    <li><a href="#${id}" aria-current=${section.value === id ? "true" : undefined}>${text}
      ${count ? html` <span class="count">${integer(count)}<span class="sr-only"> open</span></span>` : ""}</a></li>`;
}

export function Top() {
  const { name, text } = standing.value;
  return html`
    <header class="top">
      <div class="bar">
        <h1><img src="/static/icon.svg" alt="" width="28" height="28" />nova-stream</h1>
        <p class="state" id="state" data-state=${name} role="status">
          <span class="dot" aria-hidden="true"></span><span id="state-text">${text}</span></p>
        <div class="end">
          ${(token.value || declined.value) && html`<button type="button" title=${rights.value?.name ? `${rights.value.name}: ${named(rights.value.scopes)}` : undefined} onClick=${askForToken}>Token</button>`}
        </div>
      </div>
      <nav aria-label="Sections"><ul>
        ${LINKS.map(([id, title]) => html`<${Link} key=${id} id=${id} text=${title} />`)}
        <li class="out"><a href="/docs">API</a></li>
      </ul></nav>
    </header>
    <${Banner} />`;
}
