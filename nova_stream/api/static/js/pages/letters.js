// Dead letters: what could not be applied.

import { toLetter } from "../address.js";
import { size, words } from "../format.js";
import { html } from "../lib.js";
import { Ago, Place } from "../parts/common.js";
import { Filter, FilterChoice } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";

const STATES = [["open", "Open"], ["retried", "Retried"], ["discarded", "Discarded"]];

const COLUMNS = [
  { key: "id", title: "Letter", value: (letter) => letter.id, cell: (letter) => html`<a href=${toLetter(letter.id)} aria-label="Open dead letter ${letter.id}">#${letter.id}</a>` },
  { key: "reason", title: "Reason", kind: "text", value: (letter) => `${letter.reason}: ${letter.detail}`, cell: (letter) => html`<strong>${words(letter.reason)}</strong> <span class="note">${letter.detail}</span>` },
  { key: "place", title: "Where", kind: "place", value: (letter) => `${letter.topic}/${letter.partition}/${letter.offset}`, cell: (letter) => html`<${Place} of=${letter} />` },
  { key: "size", title: "Size", kind: "number", value: (letter) => letter.size, cell: (letter) => size(letter.size) },
  { key: "recordedAt", title: "Failed", kind: "number", value: (letter) => letter.recordedAt, cell: (letter) => html`<${Ago} time=${letter.recordedAt} />` },
];

export function Letters() {
  const list = useList("/api/v1/dead-letters", ["state", "topic", "reason", "q"], "admin", { state: "open" });
  return html`
    <${Page} title="Dead letters">
      <div class="filters">
        <${FilterChoice} name="state" label="Dead letters of which state" options=${STATES} />
        <${Filter} label="Key or detail" />
        <${Filter} name="topic" label="Topic" />
        <${Filter} name="reason" label="Reason, as bad_status" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Dead letters" none="No open dead letters." good name="letters" columns=${COLUMNS} />
    <//>`;
}
