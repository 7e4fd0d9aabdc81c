// Elements with `data-poll` ask the server on htmx's timer. A hidden tab does not
// ask, nor does a part with details opened in it. An answer that says nothing new
// is not swapped in: a swap takes focus, selection and a click in progress with it.

const shown = new WeakMap();

function mayAsk(element) {
  return !document.hidden && element.querySelector("details[open]") === null;
}

/** Whether somebody's action waits for its answer, which will find its place from its button. */
function actionUnderWay() {
  return document.querySelector(".htmx-request:not([data-poll])") !== null;
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
      if (shown.get(asker) === xhr.responseText) event.detail.shouldSwap = false;
      shown.set(asker, xhr.responseText);
    } else if (target.hasAttribute("data-poll")) {
      shown.set(target, xhr.responseText);
    }
  });
  // failures.js writes there, so the next answer is news whatever it says.
  body.addEventListener("htmx:sendError", (event) => shown.delete(event.detail.elt));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-poll]")) htmx.trigger(element, "hub:visible");
  });
}
