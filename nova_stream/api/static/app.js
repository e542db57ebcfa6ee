// The dashboard: its addresses, and where its parts are put together.

import { html, LocationProvider, render, Route, Router } from "./js/lib.js";
import { Keyboard } from "./js/keyboard.js";
import { connect } from "./js/live.js";
import { Activity } from "./js/pages/activity.js";
import { Agent } from "./js/pages/agent.js";
import { Agents } from "./js/pages/agents.js";
import { Alerts } from "./js/pages/alerts.js";
import { Build } from "./js/pages/build.js";
import { Builds } from "./js/pages/builds.js";
import { Engagement } from "./js/pages/engagement.js";
import { Execution } from "./js/pages/execution.js";
import { Executions } from "./js/pages/executions.js";
import { Job } from "./js/pages/job.js";
import { Jobs } from "./js/pages/jobs.js";
import { Letter } from "./js/pages/letter.js";
import { Letters } from "./js/pages/letters.js";
import { Overview } from "./js/pages/overview.js";
import { Run } from "./js/pages/run.js";
import { Runs } from "./js/pages/runs.js";
import { Stream } from "./js/pages/stream.js";
import { Task } from "./js/pages/task.js";
import { Tasks } from "./js/pages/tasks.js";
import { Trail } from "./js/pages/trail.js";
import { User, Users } from "./js/pages/users.js";
import { Dialogs } from "./js/parts/dialogs.js";
import { Missing } from "./js/parts/page.js";
import { takeToken } from "./js/token.js";
import { Footer, Top } from "./js/top.js";

/** Of one entity there are two addresses: a path, and a query for ids that no path can hold. */
const ROUTES = [
  ["/", Overview],
  ["/agents", Agents], ["/agents/:name", Agent], ["/agent", Agent],
  ["/builds", Builds], ["/builds/:id", Build], ["/build", Build],
  ["/tasks", Tasks], ["/tasks/:id", Task], ["/task", Task],
  ["/executions", Executions], ["/executions/:id", Execution], ["/execution", Execution],
  ["/users", Users], ["/users/:id", User], ["/user", User],
  ["/engagement", Engagement],
  ["/activity", Activity],
  ["/jobs", Jobs], ["/jobs/:name", Job], ["/jobs/:name/runs/:id", Run], ["/runs", Runs],
  ["/dead-letters", Letters], ["/dead-letters/:id", Letter],
  ["/alerts", Alerts],
  ["/stream", Stream],
  ["/trail", Trail],
];

/** What the server answers itself, or another page does. */
const OURS = /^\/(?!docs|static\/|api\/|openapi)/;

/** A new page begins at its heading, for those who cannot see that it is another one. */
function announce() {
  document.querySelector("main h1")?.focus({ preventScroll: true });
}

function Application() {
  return html`
    <${LocationProvider} scope=${OURS}>
      <${Top} />
      <main id="main">
        <${Router} onRouteChange=${announce}>
          ${ROUTES.map(([path, page]) => html`<${Route} key=${path} path=${path} component=${page} />`)}
          <${Route} key="missing" default component=${Missing} />
        <//>
      </main>
      <${Footer} />
      <${Keyboard} />
      <${Dialogs} />
    <//>`;
}

/** Whether the router can read the address: an escape in it may stand for no text. */
function readable() {
  try {
    decodeURIComponent(location.pathname);
    return true;
  } catch {
    return false;
  }
}

takeToken();
if (!readable()) history.replaceState(null, "", "/not-found");
render(html`<${Application} />`, document.getElementById("page"));
connect();
window.addEventListener("hashchange", takeToken);
