// The trainer's log: what is new is asked for every two seconds while the run goes on.
// Follow keeps its end in sight; the filter hides the lines that do not hold its text.
const LIVE_MS = 2000;
const MOST_LINES = 5000;

class Log {
  constructor(section) {
    this.url = section.dataset.log;
    this.box = section.querySelector(".log");
    this.text = this.box.querySelector("code");
    this.follow = section.querySelector("[data-log-follow]");
    this.filter = section.querySelector("[data-log-filter]");
    this.lines = [];
    this.read = "end";
  }

  async load() {
    const response = await fetch(`${this.url}?after=${this.read}`).catch(() => null);
    if (!response?.ok) return;
    const { text, next } = await response.json();
    this.read = next;
    if (!text) return;
    this.lines.push(...text.trimEnd().split("\n"));
    this.lines.splice(0, this.lines.length - MOST_LINES);
    this.show();
  }

  show() {
    const wanted = this.filter.value.toLowerCase();
    this.text.textContent = this.lines.filter((line) => line.toLowerCase().includes(wanted)).join("\n");
    if (this.follow.checked) this.box.scrollTop = this.box.scrollHeight;
  }

  async start() {
    this.filter.addEventListener("input", () => this.show());
    this.follow.addEventListener("change", () => this.show());
    let live = true;
    await this.load();
    setInterval(() => {
      const active = document.querySelector("#run[data-poll]") !== null;
      if ((active || live) && !document.hidden) this.load();
      live = active;
    }, LIVE_MS);
  }
}

const section = document.querySelector("[data-log]");
if (section) new Log(section).start();
