// A market's candles, live: a room that begins with a chart, and then sends what changes.

import { candleChart } from "./candles.js";
import { h, show, text } from "./dom.js";
import { price } from "./format.js";

const FIRST = "1s"; // moves at once

export function marketView({ connection }) {
  const chart = candleChart();
  const symbol = h("select", { "aria-label": "Symbol", onchange: join });
  const resolution = h("select", { "aria-label": "Resolution", onchange: join });
  const label = h("p", { class: "quiet" }, "Connect to see live candles.");
  const last = h("output", { class: "price", "aria-label": "Price" }, "–");
  const change = h("span", { class: "change" });
  const status = h("span", { class: "tag" }, "waiting");
  const count = h("span", { class: "quiet" }, "");
  let room = null;
  let joined = null; // the session that is in it
  let open = null;
  let updates = 0;

  connection.onState(async ({ state, sid }) => {
    if (state !== "online") {
      status.textContent = state;
      return;
    }
    if (sid !== joined) room = null; // a new session is in no room yet
    joined = sid;
    status.textContent = room === null ? "waiting" : "live";
    const answer = room === null ? await connection.request("market_symbols") : null;
    if (answer?.event !== "market_symbols_response" || sid !== connection.sid) return;
    const { symbols = [], resolutions = [], label: what } = answer.data ?? {};
    show(symbol, symbols.map((each) => h("option", { value: each.symbol }, each.symbol)));
    show(resolution, resolutions.map((each) => h("option", { value: each }, each)));
    if (resolutions.includes(FIRST)) resolution.value = FIRST;
    label.textContent = text(what);
    join();
  });

  function join() {
    if (!symbol.value) return;
    if (room !== null) connection.request("unsubscribe", { room });
    room = `market:${symbol.value}:${resolution.value}`;
    updates = 0;
    connection.request("subscribe", { room });
  }

  const isShown = (data) => data?.symbol === symbol.value && data?.resolution === resolution.value;

  connection.onEvent(({ data }) => {
    if (!isShown(data)) return;
    chart.set(data.series);
    open = data.series?.[0]?.open;
    tell(data.series?.at(-1)?.close);
    status.textContent = data.live === false ? "standing still" : "live";
  }, "market_chart_initial_data");

  connection.onEvent(({ data }) => {
    if (!isShown(data)) return;
    chart.update(data);
    tell(data.close);
    count.textContent = `${++updates} updates`;
  }, "market_chart_live_update");

  connection.onEvent(({ data }) => { label.textContent = text(data?.message); }, "market_data_error");

  function tell(close) {
    last.textContent = price(close);
    const percent = Math.round((close / open - 1) * 10_000) / 100 || 0; // and no "-0.00"
    change.textContent = Number.isFinite(close / open) ? `${percent >= 0 ? "+" : ""}${percent.toFixed(2)} %` : "";
    change.className = percent >= 0 ? "change up" : "change down";
  }

  return h("section", { class: "panel market" },
    h("div", { class: "bar" }, h("h2", {}, "Market"), symbol, resolution, status, count),
    h("div", { class: "quote" }, last, change), chart.element, label);
}
