// What overlaps, is cut off, covered or too wide in this page, or in the dialog that is open;
// evaluated there by geometry.py.
() => {
  const place = document.querySelector("dialog[open]") || document;
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
  const controls = [...place.querySelectorAll("button, a[href], input, select, summary")].filter(seen);
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
  /** What lies over the middle of a control that is in the window. */
  const over = (control) => {
    const { left, right, top, bottom } = control.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return null;
    const found = document.elementFromPoint(x, y);
    return found && !control.contains(found) && !found.contains(control) ? found : null;
  };
  const overlap = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  controls.forEach((control, number) => {
    const box = control.getBoundingClientRect();
    for (let at = control.parentElement; at && at !== document.body; at = at.parentElement) {
      const { overflowX, overflowY, webkitLineClamp } = getComputedStyle(at);
      if (["auto", "scroll"].includes(overflowY)) break;
      const edge = at.getBoundingClientRect();
      // The text of a link wraps there; spaces at the ends of its lines may hang out.
      const hangs = webkitLineClamp !== "none" && getComputedStyle(control).display === "inline" && getComputedStyle(at).overflowWrap === "anywhere";
      const beside = ["hidden", "clip"].includes(overflowX) && !hangs && (box.left < edge.left - 1 || box.right > edge.right + 1);
      const below = ["hidden", "clip"].includes(overflowY) && webkitLineClamp === "none" && (box.top < edge.top - 1 || box.bottom > edge.bottom + 1);
      if (beside || below) wrong.push(`cut off by ${name(at)}: ${name(control)}`);
    }
    if (!parts[number].length) return;
    const frame = scrolls(control);
    const reach = frame ? frame.scrollWidth - frame.clientWidth : 0;
    if (!reach && (box.left < -1 || box.right > width + 1)) wrong.push(`outside of the window: ${name(control)}`);
    const cover = parts[number].length === 1 && parts[number][0].height === box.height && !reach ? over(control) : null;
    if (cover) wrong.push(`covered by ${name(cover)}: ${name(control)}`);
    for (let other = number + 1; other < controls.length; other += 1) {
      if (control.contains(controls[other]) || !!control.closest("header") !== !!controls[other].closest("header")) continue;
      if (parts[number].some((one) => parts[other].some((two) => overlap(one, two)))) wrong.push(`overlap: ${name(control)} and ${name(controls[other])}`);
    }
  });
  for (const cell of place.querySelectorAll("td, th, dt, dd, h1, h2, p, li, label, button, a.button, .badge, .tag, .count")) {
    if (!seen(cell) || getComputedStyle(cell).textOverflow === "ellipsis") continue;
    const counts = cell.clientWidth || cell.matches("td, th");
    if (cell.scrollWidth > cell.clientWidth + 1 && counts && getComputedStyle(cell).display !== "inline") {
      wrong.push(`wider than its place (${cell.scrollWidth} in ${cell.clientWidth}): ${name(cell)}`);
    }
  }
  return [...new Set(wrong)];
}
