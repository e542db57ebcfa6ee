// Searching: pages, agents and jobs at once, everything else as the server finds it.

import { PAGES, toAgent, toBuild, toExecution, toJob, toTask, toUser, withParameters } from "./address.js";
import { ask } from "./api.js";
import { html, signal, useEffect, useLocation, useRef, useState } from "./lib.js";
import { Modal, openDialog } from "./parts/dialogs.js";
import { may, unsaid } from "./rights.js";
import { agents } from "./state.js";

const PAUSE = 120; // milliseconds after the last key
const SHOWN = 6; // agents

const open = signal(false);

export function openSearch() {
  if (open.value) return;
  open.value = true;
  openDialog(Search);
}

/** Where a hit of each kind, and all of them, are looked at. */
const KINDS = {
  agents: [(hit) => toAgent(hit.name ?? hit.id), "/agents"],
  builds: [(hit) => toBuild(hit.id), "/builds"],
  tasks: [(hit) => toTask(hit.id), "/tasks"],
  executions: [(hit) => toExecution(hit.id), "/executions"],
  users: [(hit) => toUser(hit.id), "/users"],
  jobs: [(hit) => toJob(hit.id), "/jobs"],
};

/** The rows of a group of hits, and one that leads to all of them. */
function rowsOf({ kind, items, more }, words) {
  const [address, list] = KINDS[kind];
  const rows = items.map((hit) => {
    const title = kind === "jobs" ? hit.id : hit.name || hit.id;
    const note = [title === hit.id ? hit.name : hit.id, hit.agent, hit.status].filter((part) => part && part !== title);
    return { address: address(hit), title, note: note.join(" · "), kind: kind.slice(0, -1) };
  });
  return more ? [...rows, { address: withParameters(list, { q: words }), title: `All ${kind} with “${words}”`, kind: "list" }] : rows;
}

/** What this page knows without asking. */
function known(words) {
  const fits = (text) => text.toLowerCase().includes(words.toLowerCase());
  const pages = PAGES.filter(([, title]) => fits(title)).map(([address, title]) => ({ address, title, kind: "page" }));
  const names = [...new Set([...(agents.value || new Map()).values()].map((agent) => agent.agentName))];
  const found = names.filter(fits).sort((one, other) => one.length - other.length).slice(0, SHOWN);
  return [...pages, ...found.map((name) => ({ address: toAgent(name), title: name || "(no agent)", kind: "agent" }))];
}

/** What the server finds, or null while it is being asked; ``failure`` says why not. */
function useFound(words) {
  const [found, setFound] = useState({ words: "", groups: [] });
  useEffect(() => {
    if (!words || !(may("stats") || may("documents"))) return undefined;
    const left = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await ask(withParameters("/api/v1/search", { q: words }), { signal: left.signal });
        setFound({ words, groups: answer.groups });
      } catch (failure) {
        if (!left.signal.aborted) setFound({ words, groups: [], failure: failure.reason });
      }
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [words]);
  return found.words === words ? found : { groups: [], failure: unsaid.value?.reason, waiting: Boolean(words) };
}

function Search({ close }) {
  const { route } = useLocation();
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const { groups, failure, waiting } = useFound(words);
  const mine = known(words);
  const taken = new Set(mine.map((one) => one.address));
  const rows = [...mine, ...groups.flatMap((group) => rowsOf(group, words)).filter((one) => !taken.has(one.address))];
  const chosen = Math.min(at, rows.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const leave = () => {
    open.value = false;
    close();
  };
  const go = (row) => {
    leave();
    setTimeout(() => route(row.address));
  };
  const press = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      setAt((chosen + by + rows.length) % Math.max(1, rows.length));
    } else if (event.key === "Enter" && rows[chosen]) {
      event.preventDefault();
      go(rows[chosen]);
    } else if (event.key === "Escape") {
      event.preventDefault(); // which would empty the field first
      leave();
    }
  };
  return html`
    <${Modal} id="search-heading" class="search" title="Search" close=${leave}>
      <input type="search" autofocus autocomplete="off" spellcheck="false" role="combobox" aria-expanded="true"
        aria-controls="found" aria-activedescendant=${rows[chosen] ? `found-${chosen}` : undefined}
        aria-label="Agents, builds, tasks, executions, users, jobs: by ID or words"
        placeholder="Agents, builds, tasks, executions, users, jobs: by ID or words"
        onInput=${(event) => { setWords(event.target.value.trim()); setAt(0); }} onKeyDown=${press} />
      <ul id="found" role="listbox" aria-label="What was found" ref=${list}>
        ${rows.map((row, place) => html`
          <li key=${row.address} id="found-${place}" role="option" aria-selected=${String(place === chosen)}
            onClick=${() => go(row)} onMouseMove=${() => setAt(place)}>
            <span class="found-title">${row.title}</span>${row.note && html`<span class="note">${row.note}</span>`}<span class="tag">${row.kind}</span>
          </li>`)}
      </ul>
      <p class="note" role="status">${failure || (waiting ? "Searching…" : rows.length ? "Arrows choose, Enter opens." : "Nothing was found.")}</p>
    <//>`;
}
