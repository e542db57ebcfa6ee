// The audit trail: who did what, and what was refused.

import { integer, NOTHING } from "../format.js";
import { html } from "../lib.js";
import { Ago, Badge } from "../parts/common.js";
import { Filter, FilterChoice } from "../parts/filter.js";
import { Page } from "../parts/page.js";
import { List, useList } from "../parts/paging.js";
import { RangePicker } from "../parts/range.js";

const SHOWN = [["all", "All"], ["true", "Refused"]];

const COLUMNS = [
  { key: "action", title: "Action", value: (line) => line.action, cell: (line) => html`<code>${line.action}</code>` },
  { key: "object", title: "On", kind: "text", value: (line) => line.object, cell: (line) => line.object ?? "" },
  { key: "token", title: "Token", kind: "text", value: (line) => line.token, cell: (line) => line.token ?? NOTHING },
  { key: "address", title: "From", kind: "text", value: (line) => line.address, cell: (line) => html`<code>${line.address ?? NOTHING}</code>` },
  { key: "outcome", title: "Outcome", value: (line) => line.outcome, cell: (line) => html`<${Badge} name=${line.refused ? "failed" : line.outcome} text=${line.outcome} />` },
  { key: "requests", title: "Times", kind: "number", value: (line) => line.requests, cell: (line) => integer(line.requests) },
  { key: "until", title: "Last", kind: "number", value: (line) => line.until, cell: (line) => html`<${Ago} time=${line.until} />` },
];

export function Trail() {
  const list = useList("/api/v1/trail", ["refused", "token", "q"], "admin");
  return html`
    <${Page} title="Audit trail">
      <div class="filters">
        <${FilterChoice} name="refused" label="Which lines of the trail" options=${SHOWN} />
        <${Filter} label="Action, object or outcome" />
        <${Filter} name="token" label="Token (name)" />
        <${RangePicker} />
      </div>
      <${List} list=${list} what="Lines of the trail" none="Nothing was done yet." name="trail" columns=${COLUMNS} />
    <//>`;
}
