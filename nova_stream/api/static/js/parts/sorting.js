// Tables that can be sorted by the keyboard as well.

import { html, useState } from "../lib.js";

/** ``[sort, choose, sorted]``: the order, a column's click, and a sorted copy of rows. */
export function useSort(key, down = false) {
  const [sort, setSort] = useState({ key, down });
  const choose = (column) =>
    setSort((old) => ({ key: column.key, down: old.key === column.key ? !old.down : Boolean(column.number) }));
  const sorted = (rows, columns, name) => {
    const value = columns.find((column) => column.key === sort.key).value || ((row) => row[sort.key]);
    return [...rows].sort((one, other) => {
      const order = compare(value(one), value(other));
      return (sort.down ? -order : order) || compare(name(one), name(other));
    });
  };
  return [sort, choose, sorted];
}

function compare(one, other) {
  const [a, b] = [one ?? "", other ?? ""];
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en");
}

export function Head({ columns, sort, choose }) {
  return html`
    <thead role="rowgroup"><tr role="row">
      ${columns.map((column) => html`
        <th role="columnheader" scope="col" key=${column.key} class=${column.number ? "number" : ""}
          aria-sort=${column.key === sort.key ? (sort.down ? "descending" : "ascending") : undefined}>
          ${column.plain
            ? html`<span>${column.title}</span>`
            : html`<button type="button" onClick=${() => choose(column)}>${column.title}</button>`}
        </th>`)}
    </tr></thead>`;
}

/** On a phone the titles are not there: a list of orders takes their place. */
export function SortList({ columns, sort, choose, label }) {
  const change = (event) => choose(columns.find((column) => column.key === event.target.value));
  return html`
    <label class="sort-list"><span>Sorted by</span>
      <select aria-label=${label} value=${sort.key} onChange=${change}>
        ${columns.filter((column) => !column.plain).map((column) => html`
          <option key=${column.key} value=${column.key}>${column.title}</option>`)}
      </select>
    </label>`;
}
