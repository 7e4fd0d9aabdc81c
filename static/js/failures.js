// What a page says when the server cannot be reached or answers with an error.
// Failures that a view foresees come as normal answers and are not seen here.

const REFUSALS = {
  401: "You are signed out. Reload the page to sign in.",
  403: "The page is too old for this action. Reload it and try again.",
  404: "What this is about is no longer here; it may have been deleted in another tab. Reload the page.",
  507: "Nothing was stored: the disk of the data folder is full or can't be written to. Make room, then try again.",
};
const UNREACHABLE = "The hub does not answer. Start it with mlx-hub up; the page goes on by itself.";

function noteBeside(element, text, kind) {
  const note = document.createElement("p");
  note.className = "error-note";
  note.setAttribute("role", "alert");
  note.dataset.failure = kind;
  note.textContent = text;
  element.parentElement.querySelector(":scope > [data-failure]")?.remove();
  element.after(note);
}

function showUnreachable() {
  const item = document.createElement("span");
  item.className = "statusbar__item tone-bad";
  item.setAttribute("role", "alert");
  item.textContent = UNREACHABLE;
  const bar = document.getElementById("statusbar");
  if (!bar.querySelector("[role=alert]")) bar.replaceChildren(item);
}

export function startFailures() {
  document.body.addEventListener("htmx:sendError", (event) => {
    showUnreachable();
    const element = event.detail.elt;
    if (!element.hasAttribute("data-poll")) noteBeside(element, "The hub did not answer. Try again.", "unreachable");
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    for (const note of document.querySelectorAll('[data-failure="unreachable"]')) note.remove();
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    const { elt, xhr } = event.detail;
    if (elt.hasAttribute("data-poll")) return;
    const text = xhr.getResponseHeader("X-Refused") ?? REFUSALS[xhr.status] ?? `The hub answered with an error (${xhr.status}). See its log, then try again.`;
    noteBeside(elt, text, "refused");
  });
}
