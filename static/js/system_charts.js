// The System page's charts: uPlot draws what the hub has kept, anew every ten seconds.
// A band behind a line goes from the lowest to the highest value of each span.

/* global uPlot */
import { colour } from "./colours.js";

const EVERY = 10000;
const HEIGHT = 180;
/** The first five are those of the page's memory bar: weights, KV, cache, jobs, other. */
const SERIES = ["--accent", "--ok", "--warn", "--fg", "--control", "--bad", "--muted"];
const DAY = 86400;

const UNITS = {
  bytes(value) {
    const names = ["B", "KB", "MB", "GB", "TB"];
    let at = 0;
    let rest = value;
    while (rest >= 1024 && at < names.length - 1) {
      rest /= 1024;
      at += 1;
    }
    return `${rest.toLocaleString("en", { maximumSignificantDigits: 3 })} ${names[at]}`;
  },
  percent: (value) => `${Math.round(value)} %`,
  seconds: (value) => `${value.toLocaleString("en", { maximumSignificantDigits: 3 })} s`,
  number: (value) => value.toLocaleString("en", { maximumSignificantDigits: 3 }),
};

/** The least that a chart reaches up to: a few bytes fill none. */
const LEAST = { bytes: 2 ** 20 };

const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** The lowest and highest values of a span: edges of a band, and no lines of their own. */
const EDGE = { label: "edge", class: "chart__edge", stroke: "transparent", points: { show: false } };

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** A series' colour, thinned: over the page, or over nothing where lines lie one over another. */
function fill(line, over) {
  return colour(`color-mix(in srgb, ${tone(line)} ${over ? 35 : 15}%, ${over || "transparent"})`);
}

function tone(line) {
  return `var(${SERIES[line.tone % SERIES.length]})`;
}

/** What the legend says of a line: its value under the pointer, or else its last. */
function words(line, index, say) {
  const value = index == null ? line?.mean.findLast((each) => each != null) : line?.mean[index];
  return value == null ? "" : say(value);
}

/** Columns for uPlot: the last lines first where they are stacked, so that all stay visible. */
function columns(chart, at) {
  if (!chart.stacked) {
    const rows = [at];
    for (const line of chart.lines) rows.push(line.mean, line.low ?? line.mean, line.high ?? line.mean);
    return rows;
  }
  let below = at.map(() => 0);
  const sums = chart.lines.map((line) => {
    below = below.map((value, index) => value + (line.mean[index] ?? 0));
    const known = at.map((_, index) => chart.lines.some((each) => each.mean[index] != null));
    return below.map((value, index) => (known[index] ? value : null));
  });
  return [at, ...sums.reverse()];
}

function seriesOf(chart, say) {
  const dated = [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }];
  const known = chart.lines.map((line) => ({
    line,
    stroke: colour(tone(line)),
    fill: fill(line, "var(--surface)"),
  }));
  const legendOf = (line) => (plot, raw, series, index) =>
    words((plot.lines ?? chart.lines).find((each) => each.label === line.label), index, say);
  if (chart.stacked) {
    return [
      ...dated,
      ...known.toReversed().map(({ line, stroke, fill }) => ({
        label: line.label,
        stroke,
        fill,
        width: 1,
        points: { show: false },
        value: legendOf(line),
      })),
    ];
  }
  const drawn = known.flatMap(({ line, stroke }) => [
    {
      label: line.label,
      stroke,
      width: 1.5,
      points: { show: line.mean.filter((value) => value != null).length < 40, size: 4 },
      value: legendOf(line),
    },
    EDGE,
    EDGE,
  ]);
  return [...dated, ...drawn];
}

function bandsOf(chart) {
  if (chart.stacked) return [];
  return chart.lines.map((line, index) => ({
    series: [3 * index + 3, 3 * index + 2],
    fill: fill(line),
  }));
}

function draw(place, chart, at) {
  const say = UNITS[chart.unit];
  const grid = { stroke: colour("var(--hairline)"), width: 1 };
  const axis = { stroke: colour("var(--muted)"), font: "11px system-ui", grid, ticks: grid };
  const long = at.at(-1) - at[0] > 2 * DAY;
  place.replaceChildren();
  const plot = new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      scales: { y: { range: (_, least, most) => [0, Math.max(most * 1.1, LEAST[chart.unit] ?? 0) || 1] } },
      series: seriesOf(chart, say),
      bands: bandsOf(chart),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      cursor: { drag: { x: false, y: false } },
      legend: { show: true, live: true },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => (long ? date : time).format(tick * 1000)) },
        {
          ...axis,
          size: 68,
          values: (_, ticks) => ticks.map(say),
          ...(chart.unit === "bytes" ? { incrs: BINARY } : {}),
        },
      ],
    },
    columns(chart, at),
    place,
  );
  plot.lines = chart.lines;
  return plot;
}

class Charts {
  constructor(section) {
    this.section = section;
    this.plots = new Map();
  }

  async load() {
    if (document.hidden) return;
    const response = await fetch(this.section.dataset.history).catch(() => null);
    if (!response?.ok) return;
    this.show(await response.json());
  }

  show(told) {
    this.told = told;
    for (const place of this.section.querySelectorAll("[data-chart]")) {
      const chart = told.charts[place.dataset.chart];
      const card = place.closest("figure");
      card.hidden = !chart;
      if (!chart) continue;
      const known = this.plots.get(place);
      const labels = chart.lines.map((line) => line.label).join("\n");
      if (known && known.labels === labels && known.banded === JSON.stringify(chart.lines.map((line) => !line.low))) {
        known.plot.lines = chart.lines;
        known.plot.setData(columns(chart, told.at));
        continue;
      }
      known?.plot.destroy();
      const plot = draw(place, chart, told.at);
      this.plots.set(place, { plot, labels, banded: JSON.stringify(chart.lines.map((line) => !line.low)) });
    }
    this.section.dataset.drawn = String(told.at.at(-1));
  }

  redraw() {
    for (const { plot } of this.plots.values()) plot.destroy();
    this.plots.clear();
    if (this.told) this.show(this.told);
  }

  start() {
    this.load();
    setInterval(() => this.load(), EVERY);
    document.addEventListener("visibilitychange", () => this.load());
    new ResizeObserver(() => {
      for (const [place, { plot }] of this.plots) plot.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(this.section);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }
}

const section = document.querySelector("[data-history]");
if (section) new Charts(section).start();
