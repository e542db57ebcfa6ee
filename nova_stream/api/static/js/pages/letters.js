// Dead letters: what could not be applied.

import { toLetter, useParameters, withParameters } from "../address.js";
import { size, words } from "../format.js";
import { html } from "../lib.js";
import { Ago } from "../parts/common.js";
import { FilterChoice } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, ROWS } from "../parts/paging.js";
import { useResource } from "../resources.js";

const STATES = [["open", "Open"], ["retried", "Retried"], ["discarded", "Discarded"]];

const COLUMNS = [
  { key: "id", title: "Letter", value: (letter) => letter.id, cell: (letter) => html`<a href=${toLetter(letter.id)} aria-label="Open dead letter ${letter.id}">#${letter.id}</a>` },
  { key: "reason", title: "Reason", kind: "text", value: (letter) => `${letter.reason}: ${letter.detail}`, cell: (letter) => html`<strong>${words(letter.reason)}</strong> <span class="note">${letter.detail}</span>` },
  { key: "place", title: "Where", kind: "place", value: (letter) => `${letter.topic}/${letter.partition}/${letter.offset}`, cell: (letter) => html`<code>${letter.topic} / ${letter.partition} / ${letter.offset}</code>` },
  { key: "size", title: "Size", kind: "number", value: (letter) => letter.size, cell: (letter) => size(letter.size) },
  { key: "recordedAt", title: "Failed", kind: "number", value: (letter) => letter.recordedAt, cell: (letter) => html`<${Ago} time=${letter.recordedAt} />` },
];

export function Letters() {
  const { query } = useParameters();
  const state = query.state || "open";
  const path = withParameters("/api/v1/dead-letters", { state, limit: ROWS, cursor: query.cursor });
  const list = useResource(path, 2000, "admin");
  return html`
    <${Page} title="Dead letters">
      <div class="filters"><${FilterChoice} name="state" label="Dead letters of which state" options=${STATES} /></div>
      <${List} list=${list} what="Dead letters" none="No open dead letters." good name="letters" columns=${COLUMNS} />
    <//>`;
}
