// What is seen, as a file: CSV (RFC 4180) for spreadsheets, JSON for programs.

import { html } from "../lib.js";

/** What a spreadsheet would run as a formula. */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(columns, rows) {
  const lines = [columns.map((column) => cell(column.key)), ...rows.map((row) => columns.map((column) => cell(column.value(row))))];
  return lines.map((line) => `${line.join(",")}\r\n`).join("");
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Buttons that save ``rows``: the columns as CSV, the whole rows as JSON. */
export function Save({ name, columns, rows }) {
  const told = columns.filter((column) => column.value);
  return html`
    <div class="save" role="group" aria-label="Save these ${rows.length} rows">
      <button type="button" onClick=${() => save(`${name}.csv`, "text/csv", csv(told, rows))}>CSV</button>
      <button type="button" onClick=${() => save(`${name}.json`, "application/json", JSON.stringify(rows, null, 2))}>JSON</button>
    </div>`;
}
