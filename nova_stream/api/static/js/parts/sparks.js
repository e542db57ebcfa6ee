// Small pictures of the last hours, drawn as SVG; their text says the same.

import { html } from "../lib.js";

const WIDTH = 120;
const HEIGHT = 24;

/** Bars of ``parts`` [{good, bad}], oldest first. */
export function Bars({ parts, label }) {
  const top = Math.max(1, ...parts.map((part) => part.good + part.bad));
  const step = WIDTH / Math.max(1, parts.length);
  const height = (count) => (count ? Math.max(1.5, (count / top) * HEIGHT) : 0);
  return html`
    <svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${label}
      preserveAspectRatio="none">
      <title>${label}</title>
      <line class="ground" x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
      ${parts.map((part, place) => {
        const [good, bad] = [height(part.good), height(part.bad)];
        const x = place * step + 0.5;
        return html`
          ${good > 0 && html`<rect class="good" x=${x} y=${HEIGHT - good} width=${step - 1} height=${good} />`}
          ${bad > 0 && html`<rect class="bad" x=${x} y=${Math.max(0, HEIGHT - good - bad)} width=${step - 1} height=${bad} />`}`;
      })}
    </svg>`;
}

/** A line through ``values`` (null = not known), oldest first, always ``length`` places wide. */
export function Line({ values, length, label }) {
  const known = values.filter((value) => value !== null);
  const top = Math.max(1, ...known);
  const start = length - values.length;
  const points = values
    .map((value, place) => [((start + place) / (length - 1)) * WIDTH, value])
    .filter(([, value]) => value !== null)
    .map(([x, value]) => `${x.toFixed(1)},${(HEIGHT - 1.5 - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
  return html`
    <svg class="spark wide" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${label}
      preserveAspectRatio="none">
      <title>${label}</title>
      <polyline points=${points.join(" ")} />
    </svg>`;
}
