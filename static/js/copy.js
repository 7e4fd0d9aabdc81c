// `data-copy="ID"`: copies that element's text. The button says so for a moment.
import { toast } from "./toasts.js";

export async function copyText(text, what = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    toast(what, "success");
  } catch {
    toast("The browser does not allow copying here. Select the text instead.", "warning");
  }
}

function reveal(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

export function startCopy() {
  reveal(document);
  document.body.addEventListener("htmx:load", (event) => reveal(event.detail.elt));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copyText(document.getElementById(button.dataset.copy).textContent.trim());
  });
}
