// Long texts of documents: as they are, with their line breaks, and copied at a click.

import { html } from "../lib.js";
import { Copy } from "./copy.js";
import { Section } from "./common.js";

/** A text with its heading; nothing where there is none. */
export function Text({ id, title, text, bad = false }) {
  if (text === null || text === undefined || text === "") return null;
  return html`
    <${Section} id=${id} title=${title} tools=${html`<${Copy} text=${text} what=${title.toLowerCase()} />`}>
      <pre class="bytes ${bad ? "failure" : ""}" tabindex="0" dir="auto" aria-label=${title}>${text}</pre>
    <//>`;
}
