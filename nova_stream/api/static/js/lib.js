// The libraries, at one place: Preact for elements, htm instead of a compiler, signals for state.

import { createElement, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(createElement);
export { render };
export { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-hooks.js";
export { batch, computed, effect, signal } from "../vendor/signals.js";
