// The playground's scripts. Links and forms work without them; these follow a
// running answer, keep its end in view, and spare the page load.
import { startAttaching } from "./chat_attach.js";
import { startCodeBlocks } from "./chat_code.js";
import { startComposer } from "./chat_composer.js";
import { startFollowing } from "./chat_follow.js";
import { startScroll } from "./chat_scroll.js";
import { startSettings } from "./chat_settings.js";
import { startSwaps } from "./chat_swaps.js";

startSwaps();
startScroll();
startComposer();
startAttaching();
startFollowing();
startCodeBlocks();
startSettings();
