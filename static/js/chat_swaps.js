// What htmx should do with refusals, and where focus goes after a swap.

// A view that refuses (409) or finds mistakes (422) answers with the same part
// of the page, the reason in it.
const REFUSALS = new Set([409, 422]);

let focusedBefore = "";

function showRefusals(event) {
  if (!REFUSALS.has(event.detail.xhr.status)) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
}

// htmx gives focus back to an element with the same id; where that is gone, the
// composer is where one goes on, though on a touch screen it would open the keyboard.
function keepFocus() {
  if (document.activeElement !== document.body || !focusedBefore) return;
  const composer = document.getElementById("composer-content");
  if (matchMedia("(pointer: fine)").matches) composer.focus({ preventScroll: true });
}

export function startSwaps() {
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    showRefusals(event);
    const active = document.activeElement;
    focusedBefore = active.closest("#thread, .composer") ? active.tagName : "";
  });
  document.body.addEventListener("htmx:afterSettle", keepFocus);
}
