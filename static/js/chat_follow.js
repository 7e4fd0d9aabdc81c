// Follows a running answer: its events become text, and its end the stored message.
import { dressCode } from "./chat_code.js";
import { keepUp, settle } from "./chat_scroll.js";

const following = new Map();

function describe({ phase, done, total }) {
  if (phase === "loading") return "Loading the model";
  if (phase === "reading") return `Reading prompt ${done.toLocaleString("en")} / ${total.toLocaleString("en")}`;
  return "Waiting for the engine";
}

class Follower {
  constructor(turn) {
    this.turn = turn;
    this.live = turn.querySelector("[data-live]");
    this.progress = turn.querySelector("[data-progress]");
    this.lost = turn.querySelector("[data-lost]");
    this.open = null;
    this.source = new EventSource(turn.dataset.follow);
    this.source.addEventListener("open", () => (this.lost.hidden = true));
    this.source.addEventListener("error", () => this.lose());
    this.source.addEventListener("progress", (event) => this.advance(JSON.parse(event.data)));
    this.source.addEventListener("blocks", (event) => this.write(JSON.parse(event.data)));
    this.source.addEventListener("end", () => this.finish());
  }

  // The browser connects again by itself, except after an answer that says no.
  lose() {
    const isOver = this.source.readyState === EventSource.CLOSED;
    if (isOver) this.lost.textContent = "This answer can no longer be followed. Reload the page.";
    this.lost.hidden = false;
  }

  advance(progress) {
    this.turn.querySelector("[data-progress-text]").textContent = describe(progress);
    const bar = this.turn.querySelector("[data-progress-bar]");
    if (progress.phase === "reading" && progress.total) {
      bar.max = progress.total;
      bar.value = progress.done;
    }
    this.progress.hidden = false; // an answer that goes on has text already
    keepUp();
  }

  // Both parts come rendered and sanitised. Closed blocks are left alone from
  // then on, so what a reader selects in them stays selected.
  write({ closed, open }) {
    if (!this.open) {
      this.open = document.createElement("div");
      this.open.className = "turn__open";
      this.live.replaceChildren(this.open);
    }
    this.progress.hidden = true;
    this.open.insertAdjacentHTML("beforebegin", closed);
    this.open.innerHTML = open;
    dressCode(this.live);
    keepUp();
  }

  async finish() {
    this.close();
    const said = document.getElementById("chat-said");
    const { id, dataset } = this.turn;
    // Stop answers with all messages: where it was quicker, this one is no longer on the page.
    this.turn.addEventListener("htmx:beforeSwap", (event) => {
      event.detail.shouldSwap &&= this.turn.isConnected;
    });
    await htmx.ajax("GET", dataset.finished, { target: this.turn, swap: "outerHTML" });
    const failure = document.querySelector(`#${id} .error-panel__title`);
    said.textContent = failure ? failure.textContent : "The answer is complete.";
    keepUp();
  }

  close() {
    this.source.close();
    following.delete(this.turn);
  }
}

function attach() {
  for (const [turn, follower] of following) {
    if (!turn.isConnected) follower.close();
  }
  for (const turn of document.querySelectorAll("[data-follow]")) {
    if (!following.has(turn)) following.set(turn, new Follower(turn));
  }
}

export function startFollowing() {
  attach();
  document.body.addEventListener("htmx:afterSettle", () => {
    attach();
    settle();
  });
}
