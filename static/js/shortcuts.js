// Keys: `?` help, `/` search, `g` then a letter for a section, `j` and `k` rows, Esc closes
// what is open: a drawer, or by its `data-escape` link a pane.
// Single keys can be switched off in the help; keys with Ctrl, Alt or ⌘ are the browser's, but
// for the one that opens the palette (palette.js).
import { closeDrawer } from "./drawer.js";
import { recall, remember } from "./storage.js";

const CHORD_TIMEOUT = 1200;

let chordUntil = 0;

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement?.closest("[data-row]"));
  const next = rows[at === -1 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
  (next.matches("a, button") ? next : next.querySelector("a, button"))?.focus();
}

const ACTIONS = {
  "?": () => document.getElementById("shortcuts").showModal(),
  "/": () => document.querySelector("[data-search]")?.focus(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  g: () => {
    chordUntil = performance.now() + CHORD_TIMEOUT;
  },
};

function leave() {
  const link = [...document.querySelectorAll("[data-escape]")].find((each) => each.checkVisibility());
  link?.click();
  return link !== undefined;
}

function onKey(event) {
  if (event.key === "Escape" && closeDrawer()) return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (recall("hub.shortcuts") === "off" || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (performance.now() < chordUntil) {
    chordUntil = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  if (event.key === "Escape" && leave()) return;
  const action = Object.hasOwn(ACTIONS, event.key) ? ACTIONS[event.key] : null;
  if (action) {
    event.preventDefault();
    action();
  }
}

export function startShortcuts() {
  document.addEventListener("keydown", onKey);
  const toggle = document.querySelector("[data-shortcuts-switch]");
  toggle.checked = recall("hub.shortcuts") !== "off";
  toggle.addEventListener("change", () => remember("hub.shortcuts", toggle.checked ? "on" : "off"));
}
