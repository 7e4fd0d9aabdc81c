// What htmx should do with refusals, and where focus goes after a swap.

// A view that refuses (409) or finds mistakes (422) answers with the same part
// of the page, the reason in it.
const REFUSALS = new Set([409, 422]);

let focusedBefore = "";
let standIns = [];

function showRefusals(event) {
  if (!REFUSALS.has(event.detail.xhr.status)) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
}

// Where to go on from an element that the swap took away: what opened a form that was cancelled
// (`data-back`), or the way back from the first version, which has none before it.
function standInsOf(element) {
  const [, way, of] = element.id.match(/^(previous|next)-(\d+)$/) ?? [];
  return [element.dataset.back, of && `${way === "next" ? "previous" : "next"}-${of}`].filter(Boolean);
}

// htmx gives focus back to an element with the same id; where that is gone, the
// composer is where one goes on, though on a touch screen it would open the keyboard.
function keepFocus() {
  if (document.activeElement !== document.body || !focusedBefore) return;
  for (const id of standIns) {
    document.getElementById(id)?.focus();
    if (document.activeElement !== document.body) return;
  }
  const composer = document.getElementById("composer-content");
  if (matchMedia("(pointer: fine)").matches) composer.focus({ preventScroll: true });
}

function note(event) {
  const active = document.activeElement;
  focusedBefore = active.closest("#thread, .composer") ? active.tagName : "";
  standIns = [active, event.detail.requestConfig.elt].flatMap(standInsOf);
}

export function startSwaps() {
  // A button that is switched off while its request runs loses focus long before the swap.
  document.body.addEventListener("htmx:beforeRequest", note);
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    showRefusals(event);
    if (document.activeElement !== document.body) note(event);
  });
  document.body.addEventListener("htmx:afterSettle", keepFocus);
}
