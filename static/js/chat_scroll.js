// The messages follow what is written, but only for who reads the end of them.

const NEAR = 48;

let box;
let jump;
let following = true;

function isAtEnd() {
  return box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
}

function showJump() {
  jump.hidden = following || box.scrollHeight <= box.clientHeight;
}

export function scrollToEnd() {
  following = true;
  box.scrollTop = box.scrollHeight;
  showJump();
}

/** Call after the messages have grown. */
export function keepUp() {
  if (following) box.scrollTop = box.scrollHeight;
  showJump();
}

/** Call after messages were swapped: what asks for an answer comes into view first. */
export function settle() {
  const asking = document.querySelector("#thread [autofocus]");
  if (!asking) {
    keepUp();
    return;
  }
  following = false;
  asking.closest("form").scrollIntoView({ block: "nearest" });
  showJump();
}

export function startScroll() {
  box = document.getElementById("chat-scroll");
  jump = document.getElementById("jump");
  let lastTop = 0;
  box.addEventListener("scroll", () => {
    // Growth alone never stops the following; only a reader's moving up does.
    if (isAtEnd()) following = true;
    else if (box.scrollTop < lastTop) following = false;
    lastTop = box.scrollTop;
    showJump();
  });
  jump.addEventListener("click", () => {
    scrollToEnd();
    document.getElementById("composer-content").focus({ preventScroll: true });
  });
  new ResizeObserver(keepUp).observe(box);
  scrollToEnd();
  settle();
}
