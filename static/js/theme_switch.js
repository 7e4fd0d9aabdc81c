// The button at the sidebar's foot: system, light, dark. theme.js applies the choice on load.
import { recall, remember } from "./storage.js";

const THEMES = ["system", "light", "dark"];

function apply(button, theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  button.querySelector("[data-theme-name]").textContent = theme;
  button.title = `Theme: ${theme}`;
  for (const icon of button.querySelectorAll("[data-for]")) icon.hidden = icon.dataset.for !== theme;
}

export function startThemeSwitch() {
  const button = document.querySelector("[data-theme-switch]");
  let theme = THEMES.includes(recall("hub.theme")) ? recall("hub.theme") : "system";
  apply(button, theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("hub.theme", theme);
    apply(button, theme);
  });
}
