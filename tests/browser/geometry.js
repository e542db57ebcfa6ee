// What overlaps, is cut off or too wide in this page; evaluated there by geometry.py.
() => {
  const wrong = [];
  const width = document.documentElement.clientWidth;
  const name = (element) => `${element.tagName} ${element.className} "${(element.textContent || "").trim().slice(0, 40)}"`;
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".sr-only, .skip, [aria-hidden=true]");
  if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} wide in ${width}`);
  const scrolls = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (at !== document.documentElement && ["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return at;
    }
    return null;
  };
  const controls = [...document.querySelectorAll("button, a[href], input, select, summary")].filter(seen);
  /** The parts of a control that can be seen: its lines, without what boxes around it hide. */
  const partsOf = (control) => {
    let parts = [...control.getClientRects()];
    for (let at = control.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowY === "visible") continue;
      const edge = at.getBoundingClientRect();
      parts = parts.filter((part) => part.bottom <= edge.bottom + 1 && part.top >= edge.top - 1);
    }
    return parts;
  };
  const parts = controls.map(partsOf);
  const overlap = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  controls.forEach((control, number) => {
    if (!parts[number].length) return;
    const place = control.getBoundingClientRect();
    const frame = scrolls(control);
    const reach = frame ? frame.scrollWidth - frame.clientWidth : 0;
    if (!reach && (place.left < -1 || place.right > width + 1)) wrong.push(`outside of the window: ${name(control)}`);
    for (let at = control.parentElement; at && at !== document.body; at = at.parentElement) {
      const clips = getComputedStyle(at).overflowX;
      const edge = at.getBoundingClientRect();
      if (["hidden", "clip"].includes(clips) && (place.left < edge.left - 1 || place.right > edge.right + 1)) wrong.push(`cut off by ${name(at)}: ${name(control)}`);
    }
    for (let other = number + 1; other < controls.length; other += 1) {
      if (control.contains(controls[other]) || !!control.closest("header") !== !!controls[other].closest("header")) continue;
      if (parts[number].some((one) => parts[other].some((two) => overlap(one, two)))) wrong.push(`overlap: ${name(control)} and ${name(controls[other])}`);
    }
  });
  for (const cell of document.querySelectorAll("td, th, dd, h1, h2, p, .badge")) {
    if (!seen(cell) || getComputedStyle(cell).textOverflow === "ellipsis") continue;
    if (cell.scrollWidth > cell.clientWidth + 1 && cell.clientWidth && getComputedStyle(cell).display !== "inline") {
      wrong.push(`wider than its place (${cell.scrollWidth} in ${cell.clientWidth}): ${name(cell)}`);
    }
  }
  return [...new Set(wrong)];
}
