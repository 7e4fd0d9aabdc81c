// The history chart: uPlot draws what the page's JSON holds, in the theme's colours.
// The table beside it has the same numbers.

/* global uPlot */
import { colour } from "./colours.js";

const HEIGHT = 220;
const SERIES = ["--accent", "--ok", "--warn", "--bad", "--control"];

const DAY = 86400;
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });

/** Ticks as the page writes times, in UTC: midnight as its day. */
function times(plot, ticks) {
  return ticks.map((tick) => (tick % DAY === 0 ? DATE : TIME).format(tick * 1000));
}

function axis(unit) {
  const grid = { stroke: colour("var(--hairline)"), width: 1 };
  return {
    stroke: colour("var(--muted)"),
    font: "11px system-ui",
    grid,
    ticks: grid,
    ...(unit !== undefined
      ? { size: 72, values: (plot, ticks) => ticks.map((tick) => `${tick.toLocaleString("en")} ${unit}`.trim()) }
      : { values: times }),
  };
}

function drawTarget(target) {
  return (plot) => {
    const y = Math.round(plot.valToPos(target, "y", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("var(--fg)");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  };
}

function draw(place) {
  const { unit, target, servers, data } = JSON.parse(document.getElementById(place.dataset.history).textContent);
  const value = (plot, raw) => (raw == null ? "" : `${raw.toLocaleString("en", { maximumSignificantDigits: 4 })} ${unit}`);
  const series = servers.map((label, at) => {
    const stroke = colour(`var(${SERIES[at % SERIES.length]})`);
    return { label, stroke, width: 2, spanGaps: true, points: { show: true, size: 6, fill: stroke }, value };
  });
  place.replaceChildren();
  return new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      scales: { y: { range: (plot, least, most) => [0, Math.max(most, target ?? 0) * 1.1 || 1] } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      series: [{ label: "When", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...series],
      axes: [axis(), axis(unit)],
      hooks: target == null ? {} : { draw: [drawTarget(target)] },
    },
    data,
    place,
  );
}

const place = document.querySelector("[data-history]");
if (place) {
  let plot = draw(place);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  const redraw = () => {
    plot.destroy();
    plot = draw(place);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
