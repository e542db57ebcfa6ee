// Lists that come a page at a time: the place in the list stands in the address.

import { useParameters, withParameters } from "../address.js";
import { integer } from "../format.js";
import { html, useMemo } from "../lib.js";
import { rangeOf } from "./range.js";
import { Instead, Stale } from "./page.js";
import { Save } from "./save.js";
import { Table } from "./table.js";
import { useResource } from "../resources.js";

export const ROWS = 100; // rows a page
const FIRST = 1000; // milliseconds between two looks at the newest rows
const LATER = 5000; // and at others

/**
 * The page of the list at ``path`` that the address names, with those of its parameters that the
 * list is filtered by; ``usual`` are the values of those that the address does not name, with
 * ``since`` for the time.
 */
export function useList(path, filters, scope, usual = {}) {
  const { query } = useParameters();
  const given = Object.fromEntries(filters.map((name) => [name, query[name] ?? usual[name]]));
  const range = useMemo(() => rangeOf(query, usual.since), [query.since, query.from, query.to]);
  const cursor = query.cursor;
  return useResource(withParameters(path, { ...given, ...range, limit: ROWS, cursor }), cursor ? LATER : FIRST, scope);
}

/**
 * The list that ``useList`` gave, as a table with its pages; ``none`` says that there are no rows,
 * ``what`` names them.
 */
export function List({ list, what, none, good = false, name, columns, sort = null, keyOf = (row) => row.id, rowAttributes = undefined }) {
  const { query } = useParameters();
  const answer = list.data.value;
  if (!answer) return html`<${Instead} resource=${list} what=${what} />`;
  return html`
    <div class="list">
      <${Stale} resource=${list} />
      ${answer.items.length === 0
        ? html`<p class="empty ${good ? "fine" : ""}">${answer.nextCursor ? "Nothing here fits these filters; the next page looks further back." : isFiltered(query) ? `No ${what.toLowerCase()} with these filters.` : none}</p>`
        : html`<${Table} name=${name} label=${what} columns=${columns} rows=${answer.items} keyOf=${keyOf} sort=${sort} rowAttributes=${rowAttributes} />`}
      <${Pager} answer=${answer} rows=${answer.items} name=${name} columns=${columns} />
    </div>`;
}

/** Whether an address asks for some rows only. */
export function isFiltered(query) {
  return Object.keys(query).some((key) => key !== "cursor");
}

/** Links to the pages before and after; with ``columns``, what is seen can be saved. */
export function Pager({ answer, rows, name, columns = null }) {
  const { query, changed } = useParameters();
  const save = columns && rows.length > 0 && html`<${Save} name=${name} columns=${columns} rows=${rows} />`;
  if (!query.cursor && !answer.nextCursor) {
    return html`<div class="pager"><p class="note">${integer(rows.length)} in all</p>${save}</div>`;
  }
  return html`
    <nav class="pager" aria-label="Pages of the list">
      ${query.cursor && html`<a class="button" href=${changed({ cursor: null })}>First page</a>`}
      ${answer.prevCursor && html`<a class="button" rel="prev" href=${changed({ cursor: answer.prevCursor })}>Previous</a>`}
      ${answer.nextCursor
        ? html`<a class="button" rel="next" href=${changed({ cursor: answer.nextCursor })}>Next</a>`
        : html`<span class="note">This is the last page.</span>`}
      ${save}
    </nav>`;
}
