// Tables: sorted by what the address says. A long one scrolls in a box of the window's height, and
// only those rows are in the page that can be seen.

import { elementScroll, html, observeElementOffset, observeElementRect, useLayoutEffect, useReducer, useRef, useState, Virtualizer } from "../lib.js";
import { useParameters } from "../address.js";
import { Cell } from "./common.js";

const ALL = 120; // rows up to which all are in the page
const BEYOND = 15; // rows above and below the box

/**
 * ``columns``: [{key, title, cell(row), kind, label, value(row), sorted, attributes(row)}]; the
 * first names its row. ``value`` is what a column is sorted and saved by; ``sorted``: whether its
 * title sorts; ``note`` is said below a title that does not. ``kind`` is the class of its cells, ``label`` its title on a phone (null = none).
 */
export function Table({ name, label, columns, rows, keyOf, sort = null, rowAttributes = () => ({}) }) {
  const box = useRef(null);
  const body = useRef(null);
  const { items, before, after, measure } = useVisible(rows.length, (place) => keyOf(rows[place]), box, body);
  return html`
    <div ref=${box} class="scroll ${rows.length > ALL ? "long" : ""}" role="region" aria-label=${label} tabindex="0">
      <table role="table" class="stack ${name}" aria-rowcount=${rows.length + 1}>
        <${Head} columns=${columns} sort=${sort} />
        <tbody role="rowgroup" ref=${body} onClick=${openRow}>
          ${before > 0 && html`<tr key="before" class="gap" aria-hidden="true" style=${{ height: `${before}px` }}></tr>`}
          ${items.map((place) => html`
            <tr role="row" key=${keyOf(rows[place])} data-index=${place} aria-rowindex=${place + 2} ref=${measure}
              ...${rowAttributes(rows[place])}>
              ${columns.map((column, number) => number === 0
                ? html`<th role="rowheader" scope="row" key=${column.key} class="name col-${column.key}">${column.cell(rows[place])}</th>`
                : html`<${Cell} key=${column.key} class="${column.kind || ""} col-${column.key}" label=${column.label === undefined ? column.title : column.label}
                    ...${column.attributes ? column.attributes(rows[place]) : {}}>${shown(column, rows[place])}<//>`)}
            </tr>`)}
          ${after > 0 && html`<tr key="after" class="gap" aria-hidden="true" style=${{ height: `${after}px` }}></tr>`}
        </tbody>
      </table>
    </div>`;
}

/** What a click is for by itself, and not for its row. */
const CONTROLS = "a, button, input, select, label, summary, .figure";

/** A click anywhere in a row follows the link that names it, in another tab where that is meant; who selects a text stays here. */
function openRow(event) {
  if (event.target.closest(CONTROLS) || !getSelection().isCollapsed) return;
  const { ctrlKey, metaKey, shiftKey, altKey } = event;
  const link = event.target.closest("tr")?.querySelector("th a");
  link?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey, altKey }));
}

/** A cell's content; of a long text the first lines. */
function shown(column, row) {
  const content = column.cell(row);
  return column.kind === "text" && content ? html`<div class="clamp">${content}</div>` : content;
}

/** Places of the rows that can be seen, and the heights of those above and below. */
function useVisible(count, keyOf, box, body) {
  const [, redraw] = useReducer((drawn) => drawn + 1, 0);
  const margin = useRef(0);
  const [rows] = useState(() => new Virtualizer(options()));
  function options() {
    return {
      count,
      enabled: count > ALL,
      getItemKey: keyOf,
      getScrollElement: () => box.current,
      estimateSize: () => 56,
      overscan: BEYOND,
      scrollMargin: margin.current,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      onChange: redraw,
    };
  }
  rows.setOptions(options());
  useLayoutEffect(() => rows._didMount(), []);
  useLayoutEffect(() => {
    const top = body.current.getBoundingClientRect().top - box.current.getBoundingClientRect().top + box.current.scrollTop;
    if (count > ALL && Math.abs(top - margin.current) > 1) {
      margin.current = top;
      redraw();
    }
    rows._willUpdate();
  });
  if (count <= ALL) {
    return { items: Array.from({ length: count }, (_, place) => place), before: 0, after: 0, measure: null };
  }
  const visible = rows.getVirtualItems();
  return {
    items: visible.map((item) => item.index),
    before: visible.length ? visible[0].start - margin.current : 0,
    // Without rows too: in a box of no height none can be seen, so that there would never be one.
    after: rows.getTotalSize() - (visible.length ? visible.at(-1).end - margin.current : 0),
    measure: rows.measureElement,
  };
}

function Head({ columns, sort }) {
  return html`
    <thead role="rowgroup"><tr role="row" aria-rowindex="1">
      ${columns.map((column) => html`
        <th role="columnheader" scope="col" key=${column.key} class="${column === columns[0] ? "name" : column.kind || ""} col-${column.key}"
          aria-sort=${sort && column.key === sort.key ? (sort.down ? "descending" : "ascending") : undefined}>
          ${sort && column.sorted !== false
            ? html`<button type="button" onClick=${() => sort.choose(column)}>${column.title}</button>`
            : html`<span>${column.title}${column.note && html`<small class="note">${column.note}</small>`}</span>`}
        </th>`)}
    </tr></thead>`;
}

/**
 * The order that the address names (``?sort=-totalTasks``; - = falling): ``{key, down, choose,
 * apply}``; ``apply`` gives a sorted copy of rows. A click on a column of figures has the largest
 * first.
 */
export function useSort(columns, usual) {
  const { query, change } = useParameters();
  const given = query.sort || usual;
  const down = given.startsWith("-");
  const named = columns.find((column) => column.key === given.slice(down ? 1 : 0)) || columns[0];
  const choose = (column) => {
    const falls = column === named ? !down : column.kind?.startsWith("number") || false;
    const order = `${falls ? "-" : ""}${column.key}`;
    change({ sort: order === usual ? null : order }, true);
  };
  const apply = (rows) =>
    [...rows].sort((one, other) => {
      const order = compare(named.value(one), named.value(other));
      return (down ? -order : order) || compare(columns[0].value(one), columns[0].value(other));
    });
  return { key: named.key, down, choose, apply };
}

const alphabet = new Intl.Collator("en");

function compare(one, other) {
  const [a, b] = [one ?? "", other ?? ""];
  if (typeof a === "number" && typeof b === "number") return a - b;
  return alphabet.compare(a, b);
}

/** On a phone the titles are not there: a list of orders takes their place. */
export function SortList({ columns, sort, label }) {
  const change = (event) => sort.choose(columns.find((column) => column.key === event.target.value));
  return html`
    <label class="sort-list"><span>Sorted by</span>
      <select aria-label=${label} value=${sort.key} onChange=${change}>
        ${columns.filter((column) => column.sorted !== false).map((column) => html`
          <option key=${column.key} value=${column.key}>${column.title}</option>`)}
      </select>
    </label>`;
}
