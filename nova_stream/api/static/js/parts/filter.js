// Fields that filter a list; what they say stands in the address.

import { useParameters } from "../address.js";
import { html, useEffect, useRef } from "../lib.js";
import { Choice } from "./common.js";

const PAUSE = 250; // milliseconds after the last key

/** A field for words, or for what ``name`` says. */
export function Filter({ name = "q", label }) {
  const { query, change } = useParameters();
  const field = useRef(null);
  const timer = useRef(null);
  const given = query[name] || "";
  useEffect(() => {
    if (document.activeElement !== field.current) field.current.value = given;
  }, [given]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const input = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change({ [name]: field.current.value.trim() || null, cursor: null }, true), PAUSE);
  };
  return html`
    <label class="filter"><span>${label}</span>
      <input type="search" ref=${field} name=${name} defaultValue=${given} autocomplete="off" spellcheck="false" onInput=${input} /></label>`;
}

/** A list of which one, or all, is chosen; for more than fit beside one another. */
export function FilterList({ name, label, options, all = "All" }) {
  const { query, change } = useParameters();
  return html`
    <label class="filter"><span>${label}</span>
      <select value=${query[name] || ""} onChange=${(event) => change({ [name]: event.target.value || null, cursor: null })}>
        <option value="">${all}</option>
        ${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select></label>`;
}

/** Buttons of which one is chosen: the one that the parameter ``name`` says, else the first. */
export function FilterChoice({ name, label, options }) {
  const { query, change } = useParameters();
  const usual = options[0][0];
  return html`
    <${Choice} label=${label} options=${options} value=${query[name] || usual}
      onChoose=${(chosen) => change({ [name]: chosen === usual ? null : chosen, cursor: null })} />`;
}
