// A training run's curves: uPlot draws what the hub answers, every two seconds while the
// run goes on. How they are drawn is in the address, so that a link shows the same.

/* global uPlot */
import { colour } from "./colours.js";
import { byteUnit, curveOf, inSeconds, lastOf, smoothed } from "./training_curves.js";

const HEIGHT = 220;
const LIVE_MS = 2000;
const COLOURS = ["--accent", "--ok", "--warn", "--bad", "--control"];

const CHARTS = {
  loss: { curves: [["loss", "training"], ["validation_loss", "validation"]], log: true },
  reward_margin: { curves: [["reward_margin", "training"], ["validation_margin", "validation"]] },
  reward_accuracy: { curves: [["reward_accuracy", "training"], ["validation_accuracy", "validation"]] },
  rewards: { curves: [["chosen_reward", "chosen"], ["rejected_reward", "rejected"]] },
  learning_rate: { curves: [["learning_rate", ""]] },
  gradient_norm: { curves: [["gradient_norm", ""]], log: true },
  tokens_per_second: { curves: [["tokens_per_second", ""]] },
  peak_memory: { curves: [["peak_memory", ""]], bytes: true },
};

function figure(value, unit = "", digits = 4) {
  return value == null ? "" : `${Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits })} ${unit}`.trim();
}

/** What an axis says at its ticks, with as many digits as tell them apart. */
function figures(ticks, unit) {
  const words = ticks.map((tick) => figure(tick, unit));
  return new Set(words).size === words.length ? words : ticks.map((tick) => figure(tick, unit, 6));
}

/** The kind of chart, with the unit that the runs' bytes are readable in. */
function inUnit(kind, runs) {
  if (!kind.bytes) return kind;
  const values = runs.flatMap((run) => kind.curves.flatMap(([name]) => curveOf(run, name)?.high ?? []));
  return { ...kind, ...byteUnit(values.reduce((most, value) => Math.max(most, value), 0)) };
}

/** What the legend says of a curve: its value under the pointer, or else its last. */
function legend(words) {
  return (plot, raw, series, index) => words(index == null ? lastOf(plot.data[series]) : raw);
}

/** Gives a plot other data; where it is zoomed into, its part of them stays. */
function refill(plot, data) {
  const [first, last] = [plot.data[0][0], plot.data[0].at(-1)];
  const { min, max } = plot.scales.x;
  const zoomed = first !== last && (min !== first || max !== last);
  plot.setData(data, !zoomed);
  if (zoomed) plot.setScale("x", { min, max });
}

function clock(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

class Charts {
  constructor(section) {
    this.section = section;
    this.form = section.querySelector("form");
    this.runs = new Map();
    this.plots = new Map();
  }

  get settings() {
    const { smoothing, log, axis } = this.form.elements;
    return { smoothing: Number(smoothing.value), log: log.checked, byTime: axis.value === "time" };
  }

  get urls() {
    const others = [...this.form.querySelectorAll("[data-chart-url]:checked")].map((box) => box.dataset.chartUrl);
    return [this.section.dataset.charts, ...others];
  }

  /** Asks for the runs that are shown; what fails is tried again the next time. */
  async load(urls = this.urls) {
    const answers = await Promise.all(urls.map(async (url) => {
      const response = await fetch(url).catch(() => null);
      return [url, response?.ok ? await response.json() : this.runs.get(url)];
    }));
    for (const [url, run] of answers) if (run) this.runs.set(url, run);
    this.draw();
  }

  draw() {
    const runs = this.urls.map((url) => this.runs.get(url)).filter(Boolean);
    for (const place of this.section.querySelectorAll("[data-chart]")) this.drawOne(place, runs);
    this.section.querySelector("[data-charts-empty]").hidden = this.plots.size > 0;
  }

  drawOne(place, runs) {
    const kind = inUnit(CHARTS[place.dataset.chart], runs);
    const { series, bands, data } = this.lines(kind, runs);
    const known = this.plots.get(place);
    // A plot that only has more to show stays as it is, under the pointer and at the part that is looked at.
    const { log, byTime } = this.settings;
    const look = JSON.stringify([series, log, byTime, kind.unit, colour("var(--muted)"), colour("var(--hairline)")]);
    if (known?.look === look) return refill(known, data);
    known?.destroy();
    this.plots.delete(place);
    place.hidden = data.length < 2;
    if (place.hidden) return;
    const target = place.querySelector(".curve__plot");
    const plot = new uPlot(this.options(kind, series, bands, target.clientWidth), data, target);
    plot.look = look;
    this.plots.set(place, plot);
  }

  /** The chart's series for uPlot: of each curve its mean and, where it is thinned, its spread. */
  lines(kind, runs) {
    const { smoothing, byTime } = this.settings;
    const series = [];
    const bands = [];
    const tables = [];
    runs.forEach((run, at) => {
      for (const [name, label] of kind.curves) {
        const curve = curveOf(run, name, kind.scale);
        if (!curve) continue;
        const x = byTime ? inSeconds(run, curve.step) : curve.step;
        // One run has a colour for each curve; several have one each, and the second curve is dashed.
        const several = runs.length > 1;
        const number = several ? at : series.filter((each) => !each.class).length;
        const stroke = colour(`var(${COLOURS[number % COLOURS.length]})`);
        const dash = several && kind.curves[0][0] !== name ? [6, 4] : undefined;
        const title = [at || runs.length > 1 ? run.name : "", label].filter(Boolean).join(", ") || "value";
        const value = legend((raw) => figure(raw, kind.unit));
        series.push({ label: title, stroke, dash, width: 2, spanGaps: true, value, points: { show: curve.step.length < 60, size: 5, fill: stroke } });
        const columns = [x, smoothed(curve.mean, smoothing)];
        if (curve.low.some((low, index) => low !== curve.high[index])) {
          const edge = { class: "curve-edge", label: "", stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
          const top = series.push({ ...edge }, { ...edge }) - 1;
          bands.push({ series: [top, top + 1], fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.18)") });
          columns.push(curve.high, curve.low);
        }
        tables.push(columns);
      }
    });
    return { series, bands, data: tables.length ? uPlot.join(tables) : [] };
  }

  options(kind, series, bands, width) {
    const { log, byTime } = this.settings;
    const grid = { stroke: colour("var(--hairline)"), width: 1 };
    const axis = { stroke: colour("var(--muted)"), font: "11px system-ui", grid, ticks: grid };
    const count = (value) => (value == null ? "" : byTime ? clock(value) : value.toLocaleString("en"));
    return {
      width,
      height: HEIGHT,
      scales: { x: { time: false }, y: { distr: log && kind.log ? 3 : 1 } },
      series: [{ label: byTime ? "Time" : "Step", value: legend(count) }, ...series],
      bands,
      axes: [
        { ...axis, values: (plot, ticks) => ticks.map(count) },
        { ...axis, size: 80, values: (plot, ticks) => figures(ticks, kind.unit) },
      ],
    };
  }

  resize() {
    for (const plot of this.plots.values()) {
      plot.setSize({ width: plot.root.parentElement.clientWidth, height: HEIGHT });
    }
  }

  remember() {
    const chosen = new URLSearchParams(new FormData(this.form));
    for (const [name, usual] of [["smoothing", "0"], ["axis", "steps"]]) {
      if (chosen.get(name) === usual) chosen.delete(name);
    }
    const query = chosen.toString();
    history.replaceState(history.state, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  }

  start() {
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      this.form.querySelector("output").textContent = this.settings.smoothing.toFixed(2);
      this.remember();
      if (event.target.name === "with" && event.target.checked) this.load([event.target.dataset.chartUrl]);
      else this.draw();
    });
    new ResizeObserver(() => this.resize()).observe(this.section);
    const redraw = () => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.follow();
  }

  async follow() {
    let live = true;
    await this.load();
    setInterval(() => {
      const active = document.querySelector("#run[data-poll]") !== null;
      // Once more after the end: the last figures come with it.
      if ((active || live) && !document.hidden) this.load();
      live = active;
    }, LIVE_MS);
  }
}

const section = document.querySelector("[data-charts]");
if (section) new Charts(section).start();
