// The palette: Ctrl or ⌘ with K opens it, arrows move among what it found, Enter goes there.
import { closeDrawer } from "./drawer.js";

let dialog;
let box;
let isToFollow = false;

const links = () => [...dialog.querySelectorAll("a")];

function isOpener({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  return key.toLowerCase() === "k" && (ctrlKey || metaKey) && !shiftKey && !altKey;
}

function open() {
  closeDrawer();
  box.value = "";
  isToFollow = false;
  dialog.showModal();
  htmx.trigger(box, "palette:open");
}

function toggle(event) {
  if (!isOpener(event) || event.isComposing) return;
  const shown = document.querySelector("dialog[open]");
  if (shown && shown !== dialog) return;
  event.preventDefault();
  if (shown) dialog.close();
  else open();
}

/** Go to the first place, once what is shown was found by what is typed. */
function follow() {
  const found = document.getElementById("palette-found");
  isToFollow = found.dataset.words !== box.value.trim();
  if (!isToFollow) links()[0]?.click();
}

function move(step) {
  const stops = [box, ...links()];
  const at = stops.indexOf(document.activeElement);
  stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus();
}

function onKey(event) {
  if (event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target === box) {
    event.preventDefault();
    follow();
  } else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
    box.focus(); // who types on goes on typing there
  }
}

export function startPalette() {
  dialog = document.getElementById("palette");
  box = document.getElementById("palette-words");
  document.addEventListener("keydown", toggle);
  dialog.addEventListener("keydown", onKey);
  dialog.addEventListener("htmx:afterSettle", () => {
    if (isToFollow) follow();
  });
}
