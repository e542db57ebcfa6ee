// The theme: as the system has it, light or dark. It is kept in this browser, for all tabs of this
// server's address; ``/static/theme.js`` sets it before the page is drawn.

import { effect, html, signal } from "./lib.js";

const KEPT = "nova-theme";
const THEMES = [["system", "System theme"], ["light", "Light theme"], ["dark", "Dark theme"]];

function kept() {
  const name = localStorage.getItem(KEPT);
  return name === "light" || name === "dark" ? name : "system";
}

const theme = signal(kept());

/** Whether the page is dark. */
export const dark = signal(false);

const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

// Another tab has chosen.
window.addEventListener("storage", (event) => {
  if (event.key === KEPT || event.key === null) theme.value = kept();
});

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  dark.value = theme.value === "system" ? systemDark.value : theme.value === "dark";
});

function choose(event) {
  const name = event.target.value;
  if (name === "system") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, name);
  theme.value = name;
}

/** The list to choose from. */
export function Theme() {
  return html`
    <select class="theme" aria-label="Theme" value=${theme.value} onChange=${choose}>
      ${THEMES.map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}
    </select>`;
}
