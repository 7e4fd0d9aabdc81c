// A swap must not throw the keyboard back to the top of the page: focus goes to
// what stands in the place of the button that was pressed (`data-focus`), or to a
// pane that covers the list it was opened from.

let lost = null;

function places(key) {
  const all = document.querySelectorAll(`[data-focus="${CSS.escape(key)}"]`);
  return [...all].filter((element) => element.checkVisibility());
}

function note() {
  const key = document.activeElement?.dataset.focus;
  // The same model's button can stand in the list and in the pane: keep which one it was.
  if (key !== undefined) lost = { key, at: places(key).indexOf(document.activeElement) };
}

function restore() {
  if (lost === null || document.activeElement !== document.body) return;
  const found = places(lost.key);
  (found[lost.at] ?? found[0])?.focus();
  if (found.length > 0) lost = null;
}

function showSelected(event) {
  if (event.detail.target.id !== "pane") return;
  for (const link of document.querySelectorAll("[data-row][aria-current]")) link.removeAttribute("aria-current");
  const link = event.detail.requestConfig.elt;
  link.setAttribute("aria-current", "true");
  if (!link.checkVisibility()) document.getElementById("pane").focus();
}

export function startFocus() {
  document.body.addEventListener("htmx:beforeRequest", note);
  document.body.addEventListener("htmx:afterSettle", restore);
  document.body.addEventListener("htmx:afterSwap", showSelected);
  // Whoever moves on has not lost anything.
  document.addEventListener("pointerdown", () => {
    lost = null;
  });
}
