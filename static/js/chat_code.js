// Copying: whole messages as the Markdown they were written in, and code blocks.
import { toast } from "./toasts.js";

function head(pre) {
  const bar = document.createElement("div");
  bar.className = "code__head";
  const language = document.createElement("span");
  language.textContent = pre.dataset.language || "text";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button--quiet button--small";
  button.textContent = "Copy";
  button.dataset.copyCode = "";
  bar.append(language, button);
  return bar;
}

/** Puts the language and a copy button over every code block in `root`. */
export function dressCode(root) {
  for (const pre of root.querySelectorAll("pre:not(.code > pre)")) {
    const frame = document.createElement("div");
    frame.className = "code";
    pre.replaceWith(frame);
    frame.append(head(pre), pre);
  }
}

function dress() {
  for (const button of document.querySelectorAll("[data-copy-turn][hidden]")) button.hidden = false;
  for (const prose of document.querySelectorAll(".prose")) dressCode(prose);
}

// Said by the button and not by a toast, which would lie over the composer.
async function copyFrom(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    toast("The browser does not allow copying here. Select the text instead.", "warning");
    return;
  }
  button.dataset.copied = "";
  document.getElementById("chat-said").textContent = "Copied.";
  setTimeout(() => delete button.dataset.copied, 1500);
}

function copy(event) {
  const button = event.target.closest("[data-copy-turn], [data-copy-code]");
  if (!button) return;
  const source = button.hasAttribute("data-copy-turn")
    ? button.closest(".turn").querySelector("[data-raw]").content
    : button.closest(".code").querySelector("code");
  copyFrom(button, source.textContent);
}

export function startCodeBlocks() {
  dress();
  document.body.addEventListener("htmx:afterSettle", dress);
  document.addEventListener("click", copy);
}
