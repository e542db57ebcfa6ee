// What a figure of an agent is made of: its rows, and the event that last changed it.

import { ask } from "../api.js";
import { duration, integer, NOTHING, percent } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { Ago, Badge, Choice, When } from "../parts/common.js";
import { Modal } from "../parts/dialogs.js";

const FIGURES = [
  ["totalTasks", "Tasks"],
  ["completedTasks", "Done"],
  ["failedTasks", "Failed"],
  ["successRate", "Success"],
  ["avgDuration", "Avg duration"],
  ["lastActive", "Last active"],
];

function written(figure, value) {
  if (value === null || value === undefined) return NOTHING;
  if (figure === "successRate") return percent(value);
  if (figure === "avgDuration") return duration(value);
  return typeof value === "number" ? integer(value) : value;
}

/** The answer for a figure, and a function that adds the next page. */
function useExplanation(agent, figure) {
  const [found, setFound] = useState({ figure: null });
  const path = (cursor) => {
    const query = new URLSearchParams({ figure, limit: "100", ...(cursor && { cursor }) });
    if (!agent.registered) query.set("unregistered", "true");
    return `/api/v1/agent/explain?name=${encodeURIComponent(agent.agentName)}&${query}`;
  };
  useEffect(() => {
    let current = true;
    const keep = (value) => current && setFound({ figure, ...value });
    ask(path(null)).then((answer) => keep({ answer }), (failure) => keep({ failure }));
    return () => {
      current = false;
    };
  }, [figure]);
  const more = async () => {
    try {
      const next = await ask(path(found.answer.nextCursor));
      setFound({ figure, answer: { ...next, items: [...found.answer.items, ...next.items] } });
    } catch (failure) {
      setFound({ ...found, failure });
    }
  };
  return [found.figure === figure ? found : {}, more];
}

function LastChange({ change }) {
  if (!change) return html`<p class="note">No event is known to have changed it.</p>`;
  return html`
    <dl class="facts">
      <div><dt>Last changed</dt><dd><${When} time=${change.changedAt} />, <${Ago} time=${change.changedAt} /></dd></div>
      <div><dt>By the event at</dt>
        <dd><code>${change.topic} / ${change.partition} / ${change.offset}</code></dd></div>
      <div><dt>Of</dt><dd><code>${change.entityId}</code></dd></div>
    </dl>`;
}

function Rows({ items }) {
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="Rows">
      <table class="plain-table">
        <thead><tr>
          <th scope="col">Row</th><th scope="col">Status</th><th scope="col" class="number">Duration</th>
          <th scope="col" class="number">Time</th><th scope="col" class="number">Event</th>
        </tr></thead>
        <tbody>
          ${items.map((row) => html`
            <tr key="${row.kind}/${row.id}" data-row=${row.kind}>
              <th scope="row">${row.kind} <code>${row.id}</code>${row.title && html`<span class="role">${row.title}</span>`}</th>
              <td>${row.status ? html`<${Badge} name=${row.status} />` : ""}</td>
              <td class="number">${row.duration === null || row.duration === undefined ? "" : duration(row.duration)}</td>
              <td class="number"><${When} time=${row.timestamp || row.createdAt} /></td>
              <td class="number"><code title="${row.event.topic}, partition ${row.event.partition}, offset ${row.event.offset}">${row.event.partition} / ${row.event.offset}</code></td>
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

export function Explain({ agent, figure: first, close }) {
  const [figure, setFigure] = useState(first);
  const [{ answer, failure }, more] = useExplanation(agent, figure);
  return html`
    <${Modal} id="explain-heading" class="sheet" title=${agent.agentName || "(no agent)"} close=${close}>
      <${Choice} label="Figure" options=${FIGURES} value=${figure} onChoose=${setFigure} />
      ${failure && html`<p class="failure" role="alert">${failure.message}</p>`}
      ${!answer && !failure && html`<p class="note" aria-busy="true">Asking…</p>`}
      ${answer && html`
        <p class="big" data-figure=${answer.figure}>${written(answer.figure, answer.value)}</p>
        <p class="note">${answer.formula}</p>
        <p class="note">${Object.entries(answer.rows).map(([name, count]) => `${name} ${integer(count)}`).join(", ")}</p>
        <${LastChange} change=${answer.lastChange} />
        ${answer.items.length > 0
          ? html`<${Rows} items=${answer.items} />`
          : html`<p class="note">It is made of no rows.</p>`}
        ${answer.nextCursor && html`<button type="button" onClick=${more}>Show more rows</button>`}`}
    <//>`;
}
