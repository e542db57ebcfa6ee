// The libraries, at one place: Preact for elements, htm instead of a compiler, signals for state,
// preact-iso for addresses, TanStack Virtual for long tables.

import { createElement, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(createElement);
export { render };
export { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "../vendor/preact-hooks.js";
export { batch, computed, effect, signal } from "../vendor/signals.js";
export { LocationProvider, Route, Router, useLocation } from "../vendor/preact-iso-router.js";
export { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "../vendor/virtual-core.js";
