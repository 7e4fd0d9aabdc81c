// Colours for charts. A canvas knows neither the theme's names nor light-dark(): an element
// that wears the colour tells what it is now.

/** What a CSS colour comes to, such as "var(--accent)". */
export function colour(css) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = css;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
