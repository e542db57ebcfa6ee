// The dashboard: where its parts are put together.

import { takeToken } from "./js/api.js";
import { connect } from "./js/live.js";
import { html, render } from "./js/lib.js";
import { Dialogs } from "./js/parts/dialogs.js";
import { Activity } from "./js/sections/activity.js";
import { Agents } from "./js/sections/agents.js";
import { Alerts } from "./js/sections/alerts.js";
import { Builds } from "./js/sections/builds.js";
import { BuildHistory } from "./js/sections/history.js";
import { Jobs } from "./js/sections/jobs.js";
import { DeadLetters } from "./js/sections/letters.js";
import { Overview } from "./js/sections/overview.js";
import { Stream } from "./js/sections/stream.js";
import { Trail } from "./js/sections/trail.js";
import { section, Top } from "./js/top.js";

function Page() {
  return html`
    <${Top} />
    <main>
      <${Overview} />
      <div class="pair"><${Stream} /><${Alerts} /></div>
      <div class="pair"><${Agents} /><${Activity} /></div>
      <div class="pair"><${Builds} /><${BuildHistory} /></div>
      <${Jobs} />
      <${DeadLetters} />
      <${Trail} />
    </main>
    <${Dialogs} />`;
}

/** Go to the section that the address names; its heading takes the focus. */
function goToSection() {
  if (new URLSearchParams(location.hash.slice(1)).get("token")) {
    takeToken();
    return;
  }
  const heading = document.getElementById(`${location.hash.slice(1)}-heading`);
  if (!heading) return;
  heading.closest("section").scrollIntoView();
  heading.focus({ preventScroll: true });
}

/** Mark the section that is being read. */
function followScrolling() {
  const passed = [...document.querySelectorAll("main section")].filter(
    (element) => element.getBoundingClientRect().top < 180,
  );
  section.value = passed.at(-1)?.id || "overview";
}

takeToken();
render(html`<${Page} />`, document.getElementById("page"));
connect();
goToSection();
window.addEventListener("hashchange", goToSection);
document.addEventListener("scroll", followScrolling, { passive: true });
