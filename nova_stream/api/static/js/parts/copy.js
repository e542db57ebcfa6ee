// Copying: to the clipboard where the browser has one for this page, else by selecting.

import { html } from "../lib.js";
import { say } from "./dialogs.js";

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without HTTPS a page has no clipboard; browsers still copy what is selected.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr-only";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("this browser does not let pages copy");
  return undefined;
}

/** A button that copies ``text``; ``what`` names it. */
export function Copy({ text, what }) {
  const act = async () => {
    try {
      await copy(text);
      say(`Copied the ${what}.`);
    } catch (error) {
      say(`The ${what} could not be copied: ${error.message}.`);
    }
  };
  return html`<button type="button" class="copy" aria-label="Copy the ${what}" onClick=${act}>Copy</button>`;
}

/** An id that can be copied. */
export function Id({ id, what = "ID" }) {
  return html`<code>${id}</code> <${Copy} text=${id} what=${what} />`;
}
