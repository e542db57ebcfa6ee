// The start page: asks for the numbers every second, shows them, and says plainly when they are
// old. Numbers come from the API alone; nothing is kept but the token, in this tab.

const INTERVAL = 1000;
const LIMIT = 6000; // milliseconds for one answer
const OLD = 4000; // milliseconds after which shown numbers are called old

const byId = (id) => document.getElementById(id);
const integer = new Intl.NumberFormat("en");
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const state = {
  token: null,
  agents: [],
  sort: { key: "agentName", down: false },
  shownAt: null, // when the numbers on the page were answered
  problem: null, // why there are no newer ones
  declined: false, // the question for a token was closed without an answer
};

// -- words ------------------------------------------------------------------------------------

function duration(milliseconds) {
  if (milliseconds < 1000) return `${integer.format(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${decimal.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${integer.format(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

function ago(time) {
  if (!time) return "never";
  const seconds = Math.floor((Date.now() - Date.parse(time)) / 1000);
  if (seconds < 0) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${integer.format(Math.floor(seconds / 86400))} days ago`;
}

// -- asking -----------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(path) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  const response = await fetch(path, { headers, signal: AbortSignal.timeout(LIMIT) });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  const detail = problem.detail || `The server answered with status ${response.status}.`;
  throw response.status === 401 || response.status === 403 ? new Refused(detail) : new Error(detail);
}

async function refresh() {
  try {
    const [overview, agents, builds] = await Promise.all([
      ask("/api/v1/overview"),
      ask("/api/v1/agents/stats?unregistered=true"),
      ask("/api/v1/builds/stats"),
    ]);
    state.agents = agents.items;
    state.shownAt = Date.now();
    state.problem = null;
    showOverview(overview, builds);
    showAgents();
  } catch (error) {
    if (error instanceof Refused) return askForToken(error.message);
    state.problem = error.name === "TypeError" || error.name === "TimeoutError"
      ? "The server does not answer."
      : error.message;
  }
  return undefined;
}

async function poll() {
  if (!document.hidden && !byId("token-dialog").open && !state.declined) await refresh();
  showState();
  setTimeout(poll, INTERVAL);
}

// -- showing ----------------------------------------------------------------------------------

function put(element, text, flash = true) {
  if (element.textContent === text) return;
  const first = element.textContent === "" || element.textContent === "–";
  element.textContent = text;
  if (flash && !first) {
    element.classList.remove("changed");
    void element.offsetWidth; // starts the animation anew
    element.classList.add("changed");
  }
}

function showOverview(overview, builds) {
  const others = state.agents.filter((agent) => !agent.registered).length;
  const failed = state.agents.reduce((sum, agent) => sum + agent.failedTasks, 0);
  put(byId("agents"), integer.format(overview.totalAgents));
  put(byId("agents-note"), others ? `and ${others} unregistered` : "registered", false);
  put(byId("active-tasks"), integer.format(overview.activeTasks));
  put(byId("completed-tasks"), integer.format(overview.completedTasks));
  put(byId("task-note"), `${integer.format(failed)} failed`, false);
  put(byId("builds"), integer.format(overview.totalBuilds));
  put(byId("builds-note"), `${integer.format(builds.runningBuilds)} running, ${integer.format(overview.failedBuilds)} failed`, false);
  put(byId("build-rate"), overview.totalBuilds ? `${percent.format(overview.successRate)} %` : "–");
  put(byId("build-note"), builds.avgDurationMs ? `${duration(builds.avgDurationMs)} on average` : "no completed build", false);
}

const COLUMNS = [
  { key: "agentName", text: (agent) => agent.agentName || "(no agent)" },
  { key: "role", text: (agent) => agent.role || "", kind: "role" },
  { key: "currentStatus", text: (agent) => agent.currentStatus, kind: "status" },
  { key: "totalTasks", label: "Tasks", text: (agent) => integer.format(agent.totalTasks), kind: "number" },
  { key: "completedTasks", label: "Done", text: (agent) => integer.format(agent.completedTasks), kind: "number" },
  { key: "failedTasks", label: "Failed", text: (agent) => integer.format(agent.failedTasks), kind: "number failed" },
  { key: "successRate", label: "Success", text: (agent) => agent.totalTasks ? `${percent.format(agent.successRate)} %` : "–", kind: "number" },
  { key: "avgDuration", label: "Avg duration", text: (agent) => agent.avgDuration ? duration(agent.avgDuration) : "–", kind: "number" },
  { key: "lastActive", label: "Last active", text: (agent) => ago(agent.lastActive), kind: "number", quiet: true },
];

const rows = new Map();

function makeRow(agent) {
  const row = document.createElement("tr");
  row.setAttribute("role", "row");
  for (const column of COLUMNS) {
    const name = column.key === "agentName";
    const cell = document.createElement(name ? "th" : "td");
    cell.setAttribute("role", name ? "rowheader" : "cell");
    if (name) cell.scope = "row";
    if (column.kind) cell.className = column.kind;
    if (column.label) cell.dataset.label = column.label;
    cell.append(document.createElement("span"));
    if (name && !agent.registered) {
      const tag = document.createElement("span");
      tag.className = "tag";
      tag.textContent = "unregistered";
      tag.title = "Tasks or executions name it; no agent of this name is registered";
      cell.append(tag);
    }
    row.append(cell);
  }
  return row;
}

function fillRow(row, agent) {
  COLUMNS.forEach((column, place) => {
    const cell = row.children[place];
    put(cell.firstChild, column.text(agent), !column.quiet);
    cell.toggleAttribute("data-zero", agent[column.key] === 0);
    if (column.kind === "status") cell.dataset.status = agent.currentStatus;
    if (column.key === "lastActive") cell.title = agent.lastActive || "";
  });
}

function showAgents() {
  const { key, down } = state.sort;
  const compare = (one, other) => {
    const [a, b] = [one[key] ?? "", other[key] ?? ""];
    const order = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en");
    return (down ? -order : order) || one.agentName.localeCompare(other.agentName, "en");
  };
  const body = byId("rows");
  const wanted = [];
  for (const agent of [...state.agents].sort(compare)) {
    const id = `${agent.registered}/${agent.agentId}/${agent.agentName}`;
    if (!rows.has(id)) rows.set(id, makeRow(agent));
    fillRow(rows.get(id), agent);
    wanted.push(id);
  }
  for (const [id, row] of rows) {
    if (!wanted.includes(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  wanted.forEach((id, place) => {
    const row = rows.get(id);
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
  });
  byId("empty").hidden = wanted.length > 0;
  document.querySelector("table").hidden = wanted.length === 0;
}

function showState() {
  const age = state.shownAt === null ? null : Date.now() - state.shownAt;
  let [name, text, banner] = ["live", "Live", ""];
  if (state.declined) {
    [name, text] = ["waiting", "Waiting for a token"];
    banner = "This server asks for a token. Load the page again to give one.";
  } else if (state.problem !== null) {
    [name, text] = ["lost", "Connection lost"];
    banner = age === null
      ? `${state.problem} Trying again every second.`
      : `${state.problem} The numbers below are ${duration(Math.floor(age / 1000) * 1000)} old. Trying again every second.`;
  } else if (age === null) {
    [name, text] = ["waiting", byId("token-dialog").open ? "Waiting for a token" : "Connecting…"];
  } else if (age > OLD) {
    [name, text] = ["old", `${duration(Math.floor(age / 1000) * 1000)} old`];
  }
  byId("state").dataset.state = name;
  document.body.dataset.state = name;
  put(byId("state-text"), text, false);
  const element = byId("banner");
  element.hidden = banner === "";
  // Said once by screen readers, not every second with a new age.
  element.setAttribute("aria-live", element.textContent === "" ? "assertive" : "off");
  put(element, banner, false);
  showLastChange();
}

function showLastChange() {
  const newest = state.agents.map((agent) => agent.cachedAt || "").reduce((a, b) => (a > b ? a : b), "");
  put(byId("change"), newest ? `Newest change ${ago(newest)}` : "", false);
}

// -- the token --------------------------------------------------------------------------------

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("nova-token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  state.token = sessionStorage.getItem("nova-token");
}

function askForToken(detail) {
  const dialog = byId("token-dialog");
  if (state.token) byId("token-text").textContent = detail;
  if (!dialog.open) dialog.showModal();
}

byId("token-dialog").addEventListener("cancel", () => {
  state.declined = true;
  showState();
});

byId("token-form").addEventListener("submit", () => {
  state.token = byId("token").value.trim();
  sessionStorage.setItem("nova-token", state.token);
  byId("token").value = "";
  refresh().then(showState);
});

// -- sorting ----------------------------------------------------------------------------------

for (const header of document.querySelectorAll("thead th")) {
  header.querySelector("button").addEventListener("click", () => {
    const { key } = header.dataset;
    const numeric = header.classList.contains("number");
    const down = state.sort.key === key ? !state.sort.down : numeric;
    state.sort = { key, down };
    showSorting();
    showAgents();
  });
}

function showSorting() {
  for (const header of document.querySelectorAll("thead th")) {
    if (header.dataset.key === state.sort.key) {
      header.setAttribute("aria-sort", state.sort.down ? "descending" : "ascending");
    } else {
      header.removeAttribute("aria-sort");
    }
  }
}

document.querySelector("table").setAttribute("role", "table");
byId("rows").setAttribute("role", "rowgroup");
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh().then(showState);
});
window.addEventListener("hashchange", () => {
  takeToken();
  refresh().then(showState);
});
takeToken();
showSorting();
poll();
