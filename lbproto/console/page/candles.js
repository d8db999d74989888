// A candlestick chart in SVG, drawn at most once a frame; read out with the pointer or the arrow keys.

import { h, show, svg } from "./dom.js";
import { number, price, time } from "./format.js";

const WIDTH = 720;
const NARROW = 400; // on a phone, so that its words can be read
const HEIGHT = 300;
const RIGHT = 64; // prices stand there
const VOLUME = 46;
const TOP = 8;
const MOST = 120; // candles
const MOST_NARROW = 50;
const FIELDS = ["open", "high", "low", "close", "volume"];

export function candleChart() {
  let candles = [];
  let chosen = null;
  let wanted = false;
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "candles", role: "img", tabindex: "0", "aria-label": "Candles" });
  const legend = h("p", { class: "legend" });

  // Drawn for the width it has: what is hidden has none, and is drawn when it is shown.
  new ResizeObserver(want).observe(plot);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    choose(Math.floor(((event.clientX - box.left) / box.width) * (whole() / step())));
  });
  plot.addEventListener("pointerleave", () => choose(null));
  plot.addEventListener("blur", () => choose(null));
  plot.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    choose((chosen ?? visible().length) + by);
  });

  function choose(index) {
    chosen = index === null || Number.isNaN(index) ? null : Math.max(0, Math.min(visible().length - 1, index));
    want();
  }

  const isNarrow = () => plot.clientWidth < 500;
  const whole = () => (isNarrow() ? NARROW : WIDTH);
  const visible = () => candles.filter((each) => FIELDS.every((field) => Number.isFinite(each?.[field]))).slice(isNarrow() ? -MOST_NARROW : 0);
  const step = () => (whole() - RIGHT) / Math.max(visible().length, 30);

  function want() {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => {
      wanted = false;
      if (plot.clientWidth > 0) draw();
    });
  }

  function draw() {
    const good = visible();
    const edge = whole() - RIGHT;
    plot.setAttribute("viewBox", `0 0 ${whole()} ${HEIGHT}`);
    if (good.length === 0) return show(plot), show(legend, "Nothing to draw yet");
    const low = Math.min(...good.map((each) => each.low));
    const high = Math.max(...good.map((each) => each.high));
    const most = Math.max(...good.map((each) => each.volume), 1e-12);
    const bottom = HEIGHT - VOLUME - 24;
    const y = (value) => TOP + ((high - value) / (high - low || 1)) * (bottom - TOP);
    const wide = step();
    const isFine = good.length > 1 && Date.parse(good[1].timestamp) - Date.parse(good[0].timestamp) < 60_000;
    const width = Math.max(1, wide * 0.66);
    const marks = [];
    for (let line = 0; line <= 4; line++) {
      const value = low + ((high - low) * line) / 4;
      marks.push(svg("line", { class: "grid", x1: 0, x2: edge, y1: y(value), y2: y(value) }),
        svg("text", { class: "axis", x: edge + 8, y: y(value) + 4 }, price(value)));
    }
    good.forEach((each, index) => {
      const x = (index + 0.5) * wide;
      const kind = each.close >= each.open ? "up" : "down";
      const top = y(Math.max(each.open, each.close));
      const volume = (each.volume / most) * VOLUME;
      marks.push(
        svg("rect", { class: `volume ${kind}`, x: x - width / 2, y: HEIGHT - 18 - volume, width, height: volume }),
        svg("line", { class: `wick ${kind}`, x1: x, x2: x, y1: y(each.high), y2: y(each.low) }),
        svg("rect", { class: `body ${kind}`, x: x - width / 2, y: top, width, height: Math.max(1.5, y(Math.min(each.open, each.close)) - top) }));
      if (index % 20 === 0 && index < good.length - 6) marks.push(svg("text", { class: "axis", x, y: HEIGHT - 3 }, time(each.timestamp).slice(0, isFine ? 8 : 5)));
    });
    const last = good.at(-1);
    const kind = last.close >= last.open ? "up" : "down";
    marks.push(svg("line", { class: `now ${kind}`, x1: 0, x2: edge, y1: y(last.close), y2: y(last.close) }),
      svg("rect", { class: `flag ${kind}`, x: edge + 2, y: y(last.close) - 10, width: RIGHT - 2, height: 20, rx: 4 }),
      svg("text", { class: "flagtext", x: edge + 8, y: y(last.close) + 4 }, price(last.close)));
    if (chosen !== null) marks.push(svg("line", { class: "cross", x1: (chosen + 0.5) * wide, x2: (chosen + 0.5) * wide, y1: 0, y2: HEIGHT - 18 }));
    show(plot, marks);
    const told = good[chosen ?? good.length - 1] ?? last;
    plot.setAttribute("aria-label", `${good.length} candles, the last closes at ${price(last.close)}`);
    show(legend, h("span", {}, time(told.timestamp)), ...FIELDS.map((field) => h("span", {}, h("i", {}, field[0].toUpperCase()), field === "volume" ? number(told[field]) : price(told[field]))));
  }

  return {
    element: h("div", { class: "chart" }, legend, plot),
    /** All candles, the newest last. */
    set(series) {
      candles = (Array.isArray(series) ? series : []).slice(-MOST);
      chosen = null;
      want();
    },
    /** The new state of one. */
    update(candle) {
      const index = candles.findLastIndex((each) => each.timestamp === candle.timestamp);
      if (index >= 0) candles[index] = candle;
      else if (candles.length === 0 || candle.timestamp > candles.at(-1).timestamp) candles.push(candle);
      if (candles.length > MOST) candles.shift();
      want();
    },
  };
}
