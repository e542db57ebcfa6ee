// What happens, as it happens.

import { words } from "../format.js";
import { html } from "../lib.js";
import { Ago, Empty, Section } from "../parts/common.js";
import { lacking } from "../rights.js";
import { activities } from "../state.js";

const TONES = { task_completed: "good", task_failed: "bad", task_started: "busy" };
const SHOWN = 60;

export function Activity() {
  const reason = lacking("documents");
  const rows = reason ? null : activities.value;
  return html`
    <${Section} id="activity" title="Activity" class="aside">
      ${rows === null && html`<${Empty}>${reason || "Waiting for activity…"}<//>`}
      ${rows !== null && rows.length === 0 && html`<${Empty}>Nothing has happened yet.<//>`}
      ${rows !== null && rows.length > 0 && html`
        <ol class="feed" tabindex="0" aria-labelledby="activity-heading">
          ${rows.slice(0, SHOWN).map((row) => html`
            <li key=${row.id} data-tone=${TONES[row.eventType] || ""}>
              <p><strong>${row.agentName || "(no agent)"}</strong> <span class="kind">${words(row.eventType)}</span>
                <span class="note at"><${Ago} time=${row.timestamp} /></span></p>
              ${row.details && html`<p class="note details">${row.details}</p>`}
            </li>`)}
        </ol>`}
    <//>`;
}
