// Runs before the first paint, so that a pinned theme never flashes.
// No module: modules wait for the document.
{
  let theme = null;
  try {
    theme = localStorage.getItem("hub.theme");
  } catch {
    // Storage is blocked; the system's theme stands.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
