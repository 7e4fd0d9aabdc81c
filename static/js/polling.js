// Elements with `data-poll` ask the server on htmx's timer. A hidden tab does not ask, nor does
// a part that is being read. An answer that says nothing new is not swapped in: a swap takes
// focus, selection and a click in progress with it.

const shown = new WeakMap();
const sideways = new WeakMap();

/** Details are open in it, words of it are selected, or its newest line is scrolled out of sight. */
function isRead(element) {
  const selection = document.getSelection();
  return (
    element.querySelector("details[open]") !== null ||
    (!selection.isCollapsed && element.contains(selection.anchorNode)) ||
    [...element.querySelectorAll("[data-newest-first]")].some((lines) => lines.scrollTop > 0)
  );
}

function mayAsk(element) {
  return !document.hidden && !isRead(element);
}

/** Whether somebody's action waits for its answer, which will find its place from its button. */
function actionUnderWay() {
  return document.querySelector(".htmx-request:not([data-poll])") !== null;
}

function tables(part) {
  return [...part.querySelectorAll(".table-scroll")];
}

export function startPolling() {
  const body = document.body;
  body.addEventListener("htmx:beforeRequest", (event) => {
    const { elt } = event.detail;
    if (elt.hasAttribute("data-poll") && !mayAsk(elt)) event.preventDefault();
  });
  body.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, target, xhr } = event.detail;
    const asker = requestConfig.elt;
    if (asker.hasAttribute("data-poll")) {
      if (actionUnderWay()) {
        event.detail.shouldSwap = false;
        return;
      }
      if (shown.get(asker) === xhr.responseText) {
        event.detail.shouldSwap = false;
        return;
      }
      shown.set(asker, xhr.responseText);
      sideways.set(target, tables(target).map((table) => table.scrollLeft));
    } else if (target.hasAttribute("data-poll")) {
      shown.set(target, xhr.responseText);
    }
  });
  // What somebody scrolled to at the side of a wide table stays there.
  body.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
    const kept = sideways.get(target) ?? [];
    sideways.delete(target);
    const after = tables(target);
    for (const [nth, left] of kept.entries()) after[nth]?.scrollTo({ left });
  });
  // failures.js writes there, so the next answer is news whatever it says.
  body.addEventListener("htmx:sendError", (event) => shown.delete(event.detail.elt));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-poll]")) htmx.trigger(element, "hub:visible");
  });
}
