// Native dialogs: `data-dialog-open="ID"` opens, `data-dialog-close` and a click outside close.
// The browser traps focus, answers Esc and gives focus back.

export function startDialogs() {
  for (const opener of document.querySelectorAll("[data-dialog-open]")) opener.hidden = false;
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog-open]");
    if (opener) document.getElementById(opener.dataset.dialogOpen).showModal();
    else if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog").close();
    else if (event.target instanceof HTMLDialogElement) event.target.close();
  });
}
