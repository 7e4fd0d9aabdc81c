// Drawers: the sidebar on a phone, a page's pane on a narrow screen.
// Without JavaScript the links that open them work by `:target`.

const NARROW = { sidebar: matchMedia("(max-width: 759.98px)"), pane: matchMedia("(max-width: 1099.98px)") };

let open = null;

/** Everything but the drawer, so that focus and screen readers stay inside it. */
function outside(drawer) {
  const elements = [];
  for (let node = drawer; node !== document.body; node = node.parentElement) {
    for (const sibling of node.parentElement.children) {
      if (sibling !== node && sibling.id !== "scrim" && sibling.id !== "toasts") elements.push(sibling);
    }
  }
  return elements;
}

export function closeDrawer() {
  if (!open) return false;
  const { drawer, opener, inert } = open;
  open = null;
  for (const element of inert) element.inert = false;
  delete drawer.dataset.open;
  document.getElementById("scrim").hidden = true;
  opener.setAttribute("aria-expanded", "false");
  opener.focus();
  return true;
}

export function openDrawer(drawer, opener) {
  const inert = outside(drawer).filter((element) => !element.inert);
  for (const element of inert) element.inert = true;
  drawer.dataset.open = "";
  document.getElementById("scrim").hidden = false;
  opener.setAttribute("aria-expanded", "true");
  open = { drawer, opener, inert };
  // A hidden element takes no focus; by the next frame it is visible.
  requestAnimationFrame(() => {
    drawer.querySelector("a[href], button:not([disabled]):not([hidden]), input, select, textarea")?.focus();
  });
}

export function startDrawers() {
  for (const opener of document.querySelectorAll("[data-drawer-open]")) {
    opener.setAttribute("role", "button");
    opener.setAttribute("aria-expanded", "false");
    opener.setAttribute("aria-controls", opener.dataset.drawerOpen);
  }
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-drawer-open]");
    if (opener) {
      event.preventDefault();
      openDrawer(document.getElementById(opener.dataset.drawerOpen), opener);
    } else if (event.target.closest("[data-drawer-close]") || event.target.id === "scrim") {
      event.preventDefault();
      closeDrawer();
    }
  });
  // A window that grows shows the drawer in its place again.
  for (const query of Object.values(NARROW)) {
    query.addEventListener("change", () => {
      if (!query.matches) closeDrawer();
    });
  }
}
