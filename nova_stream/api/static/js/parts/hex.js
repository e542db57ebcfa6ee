// Bytes as they are: offset, hexadecimal, and what of it can be read.

import { html } from "../lib.js";
import { size } from "../format.js";

const WIDE = 16;
const SHOWN = 16 * 1024;

export function decoded(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function line(bytes, start) {
  const part = [...bytes.subarray(start, start + WIDE)];
  const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
  return `${start.toString(16).padStart(6, "0")}  ${hex.padEnd(WIDE * 3 - 1)}  ${text}`;
}

export function HexView({ bytes }) {
  const lines = [];
  for (let start = 0; start < Math.min(bytes.length, SHOWN); start += WIDE) lines.push(line(bytes, start));
  return html`
    <pre class="bytes" tabindex="0" aria-label="Value as hexadecimal bytes">${lines.join("\n")}</pre>
    ${bytes.length > SHOWN && html`<p class="note">The first ${size(SHOWN)} of ${size(bytes.length)}.</p>`}`;
}
