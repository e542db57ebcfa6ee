// How sure the numbers on the page are: one sentence for each thing that can be wrong.

import { refusal } from "./api.js";
import { plural, roughly, silence, when } from "./format.js";
import { computed, effect, html, signal } from "./lib.js";
import { databaseAway, status } from "./resources.js";
import { may, named, rights } from "./rights.js";
import * as state from "./state.js";
import { declined } from "./token.js";

const OLD = 4000; // milliseconds after which shown numbers are called old

/** {name, text, banner}: what is known of the numbers on the page. */
export const standing = computed(() => {
  const age = state.age.value;
  const old = age === null ? "There are no numbers yet." : `The numbers below are ${roughly(age)} old.`;
  if (declined.value) {
    return { name: "waiting", text: "Waiting for a token", banner: "This server asks for a token. Sign in with the button at the top." };
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
  const database = databaseAway.value || state.databaseAway.value;
  if (database) {
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

/** Whether nothing is applied at the moment, as far as is known. */
export const halted = computed(() => {
  const now = status.data.value;
  return Boolean(now) && (now.kafkaUp === false || now.workers === 0 || stalled.value !== null);
});

effect(() => {
  const answer = status.data.value;
  still = answer && answer.lag > 0 && answer.throughput === 0 ? still + 1 : 0;
  stalled.value = still >= STANDING ? answer.lag : null;
});

export function Banner() {
  const { banner, name } = standing.value;
  // The alert is its first words: said once by screen readers, not every second with a new age.
  return html`
    <div role="alert" class="sr-only">${banner && standing.value.text}</div>
    <p class="banner" data-state=${name} hidden=${!banner}>${banner}</p>`;
}
