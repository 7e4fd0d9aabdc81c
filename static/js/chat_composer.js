// The box one writes in: it grows, Ctrl or ⌘ with Enter sends, Esc stops.
import { scrollToEnd } from "./chat_scroll.js";

const growsByItself = CSS.supports("field-sizing", "content");

function grow(textarea) {
  if (growsByItself) return;
  textarea.rows = 1;
  const { lineHeight, paddingTop, paddingBottom } = getComputedStyle(textarea);
  const text = textarea.scrollHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
  textarea.rows = Math.max(1, Math.min(16, Math.round(text / parseFloat(lineHeight))));
}

function sendWithKeys(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  const form = event.target.closest("[data-submit-with-enter]");
  if (!form) return;
  event.preventDefault();
  const isAnswering = form.id === "composer" && document.querySelector("[data-stop]");
  if (!isAnswering) form.requestSubmit();
}

function stopWithEscape(event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], [data-open]")) return;
  const cancel = document.querySelector("#thread [data-escape]");
  (cancel ?? document.querySelector("[data-stop]"))?.click();
}

function fillIn(event) {
  const example = event.target.closest("[data-example]");
  if (!example) return;
  event.preventDefault();
  const textarea = document.getElementById("composer-content");
  textarea.value = example.textContent;
  grow(textarea);
  textarea.focus();
}

function afterRequest(event) {
  const { elt, xhr } = event.detail;
  if (elt.id !== "composer" || xhr.status !== 200) return;
  const textarea = document.getElementById("composer-content");
  textarea.value = "";
  grow(textarea);
  scrollToEnd();
}

// Without htmx the button says that the message is on its way.
function beBusy(event) {
  if (event.target.id !== "composer" || event.target.hasAttribute("hx-post")) return;
  document.querySelector("[data-send]")?.setAttribute("aria-busy", "true");
}

export function startComposer() {
  const textarea = document.getElementById("composer-content");
  grow(textarea);
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-grow]")) grow(event.target);
  });
  document.addEventListener("keydown", sendWithKeys);
  document.addEventListener("keydown", stopWithEscape);
  document.addEventListener("click", fillIn);
  document.addEventListener("submit", beBusy);
  document.body.addEventListener("htmx:afterRequest", afterRequest);
  if (!matchMedia("(pointer: fine)").matches) return;
  textarea.focus({ preventScroll: true });
  // An address that names a message takes focus to that once the page is there; it takes none.
  addEventListener("load", () => {
    if (document.activeElement === document.body) textarea.focus({ preventScroll: true });
  });
}
