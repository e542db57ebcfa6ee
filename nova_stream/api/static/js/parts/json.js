// JSON as it is, in which the entities that it names are links.

import { toBuild, toTask } from "../address.js";
import { html } from "../lib.js";

/** Under which names ids stand, and where each is looked at. */
const NAMED = { builds: toBuild, tasks: toTask };

const INDENT = "  ";

/** ``value``, a line for each of its parts; ids in lists that are named so lead to their pages. */
export function Json({ value, label }) {
  return html`<pre class="bytes" tabindex="0" aria-label=${label}>${written(value, "", null)}</pre>`;
}

/** The text, or its parts; ``address`` makes links of texts. */
function written(value, indent, address) {
  if (Array.isArray(value)) return enclosed("[", "]", indent, value.map((one) => written(one, indent + INDENT, address)));
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([name, one]) => [`${JSON.stringify(name)}: `, written(one, indent + INDENT, Array.isArray(one) ? NAMED[name] : null)]);
    return enclosed("{", "}", indent, parts);
  }
  const text = JSON.stringify(value);
  return address && typeof value === "string" ? html`<a href=${address(value)}>${text}</a>` : text;
}

function enclosed(open, close, indent, parts) {
  if (parts.length === 0) return open + close;
  return [open, ...parts.map((part, place) => [`${place ? "," : ""}\n${indent}${INDENT}`, part]), `\n${indent}${close}`];
}
