// The shell's scripts. Pages work without them; each module adds one comfort.
import { startCopy } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startDrawers } from "./drawer.js";
import { startFailures } from "./failures.js";
import { startFocus } from "./focus.js";
import { startPalette } from "./palette.js";
import { startPolling } from "./polling.js";
import { startShortcuts } from "./shortcuts.js";
import { startThemeSwitch } from "./theme_switch.js";
import { startToasts } from "./toasts.js";

startThemeSwitch();
startToasts();
startDialogs();
startDrawers();
startShortcuts();
startPalette();
startFocus();
startPolling();
startFailures();
startCopy();
