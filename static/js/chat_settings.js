// A slider and its number box show the same value.

function pair(slider) {
  const [range, number] = slider.querySelectorAll("input");
  range.hidden = false;
  range.addEventListener("input", () => (number.value = range.value));
  number.addEventListener("input", () => (range.value = number.value));
}

// A mended field loses its complaint; the server complains again where it has to.
function forgetError(event) {
  const field = event.target.closest("#settings .field");
  for (const error of field?.querySelectorAll(".field__error") ?? []) error.remove();
  field?.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
}

export function startSettings() {
  const pairAll = () => {
    for (const slider of document.querySelectorAll("[data-slider]:has([hidden])")) pair(slider);
  };
  pairAll();
  document.body.addEventListener("htmx:afterSettle", pairAll);
  document.addEventListener("input", forgetError);
}
