// Passing notices: rendered by the server from Django's messages, sent with an
// htmx answer as the event `hub:toast` ({level, text}), or shown by a script.

const LIFETIME = 5000;
const AT_MOST = 3;

function arm(toast) {
  const close = toast.querySelector("[data-toast-close]");
  close.hidden = false;
  close.addEventListener("click", () => toast.remove());
  let timer = setTimeout(() => toast.remove(), LIFETIME);
  const hold = () => clearTimeout(timer);
  const release = () => {
    clearTimeout(timer);
    timer = setTimeout(() => toast.remove(), LIFETIME);
  };
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("pointerleave", release);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("focusout", release);
}

/** Shows `text` for five seconds; `action` ({label, run}) adds a button such as Undo. */
export function toast(text, level = "info", action = null) {
  const region = document.getElementById("toasts");
  const template = document.getElementById(`toast-${level}`) ?? document.getElementById("toast-info");
  const element = template.content.firstElementChild.cloneNode(true);
  element.querySelector("[data-toast-text]").textContent = text;
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--quiet button--small";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      element.remove();
      action.run();
    });
    element.querySelector("[data-toast-close]").before(button);
  }
  region.append(element);
  while (region.children.length > AT_MOST) region.firstElementChild.remove();
  arm(element);
}

export function startToasts() {
  for (const element of document.querySelectorAll("#toasts > [data-toast]")) arm(element);
  document.body.addEventListener("hub:toast", (event) => toast(event.detail.text, event.detail.level));
}
