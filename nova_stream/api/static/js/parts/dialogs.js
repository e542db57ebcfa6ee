// Dialogs, one above the other, and the line that says what an action did.

import { html, signal, useLayoutEffect, useRef, useState } from "../lib.js";

const stack = signal([]);
const notice = signal(null);
let noticeTimer = null;
let number = 0;

/** Show ``view``, a component that gets ``close``. */
export function openDialog(view, props = {}) {
  number += 1;
  stack.value = [...stack.value, { key: number, view, props }];
}

export const dialogOpen = () => stack.value.length > 0;

function closeDialog(key) {
  stack.value = stack.value.filter((shown) => shown.key !== key);
}

/** Says what an action did, for a while, or until somebody goes on: it lies above the page's rows. */
export function say(text) {
  clearTimeout(noticeTimer);
  notice.value = text;
  noticeTimer = setTimeout(unsay, 8000);
}

function unsay() {
  clearTimeout(noticeTimer);
  notice.value = null;
}

for (const goesOn of ["pointerdown", "wheel", "keydown"]) addEventListener(goesOn, unsay, { capture: true, passive: true });

export function Dialogs() {
  return html`
    ${stack.value.map(({ key, view: View, props }) => html`
      <${View} key=${key} ...${props} close=${() => closeDialog(key)} />`)}
    <p class="notice" role="status" data-shown=${String(notice.value !== null)}>${notice.value}</p>`;
}

/** A dialog; the browser keeps the focus inside, and gives it back at the end. */
export function Modal({ id, title, class: kind = "", close, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  const besides = (event) => {
    if (event.target === element.current) close();
  };
  return html`
    <dialog ref=${element} class=${kind} aria-labelledby=${id} onClose=${close} onClick=${besides}>
      <div class="dialog">
        <div class="dialog-top">
          <h2 id=${id}>${title}</h2>
          <button type="button" class="plain" aria-label="Close" onClick=${close}>✕</button>
        </div>
        ${children}
      </div>
    </dialog>`;
}

/**
 * Asks before something is done. ``act`` does it; when it fails, its reason stands in the dialog.
 * What it returns, if anything, is called once the dialog is gone and has given the focus back.
 */
export function Confirm({ title, label, danger = false, act, close, children }) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setBusy(true);
    setFailure(null);
    try {
      const next = await act(given);
      close();
      if (next) setTimeout(next);
    } catch (error) {
      setFailure(error.message);
      setBusy(false);
    }
  };
  return html`
    <${Modal} id="confirm-heading" title=${title} close=${close}>
      <form onSubmit=${submit}>
        ${children}
        ${failure && html`<p class="failure" role="alert">${failure}</p>`}
        <div class="buttons">
          <button type="button" autofocus onClick=${close}>Cancel</button>
          <button type="submit" class=${danger ? "danger" : "main"} disabled=${busy}>${label}</button>
        </div>
      </form>
    <//>`;
}
