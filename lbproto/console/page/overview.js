// What this server is, at a glance: before one connects, and then live.

import { candleChart } from "./candles.js";
import { h, show } from "./dom.js";
import { clip, number, price } from "./format.js";

const DESTINATIONS = { market: "market", query: "query", chat: "chat", compliance: "address", credits: "credits" };
const WORDS = {
  market: "Candles that move as trades come in",
  query: "SQL over your tables, rows as they are made",
  chat: "Questions in plain words, answers as they are written",
  compliance: "How risky an address is, with the evidence",
  credits: "Balances and every movement, pushed",
  system: "Rooms, presence, sessions that survive a lost connection",
};
const BARS = 40;
const plural = ({ length }, name) => `${length} ${name}${length === 1 ? "" : "s"}`;

export function overviewView({ connection, contract }) {
  const chart = candleChart();
  const last = h("output", { class: "price", "aria-label": "Last price" }, "–");
  const market = h("a", { class: "panel live", href: "#market", hidden: true }, h("h2", {}, "Live"), last);
  const counters = ["Received", "A second", "Sent"].map((name) => ({ name, element: h("b", {}, "0") }));
  const pulse = h("div", { class: "pulse", "aria-hidden": "true" }, Array.from({ length: BARS }, () => h("i", {})));
  const balance = h("b", {}, "–");
  const who = h("p", { class: "lead" }, "Connect above: everything below is one WebSocket.");
  const about = (data) => `${data?.symbol} ${data?.resolution}`;
  let shown = null;
  let received = 0;
  let sent = 0;
  let before = 0;

  connection.onEvent((frame) => (frame.sent ? sent++ : received++));
  setInterval(() => {
    if (document.hidden) return;
    const now = received - before;
    before = received;
    [received, now, sent].forEach((value, index) => { counters[index].element.textContent = number(value); });
    pulse.append(pulse.firstChild);
    pulse.lastChild.style.height = `${Math.min(100, 6 + now * 5)}%`;
  }, 1_000);
  connection.onState(({ state, userId }) => {
    who.textContent = state === "online" ? `You are ${clip(userId, 60)}. Everything below is one WebSocket.` : "Connect above: everything below is one WebSocket.";
  });
  connection.onEvent(({ data }) => {
    shown = about(data);
    chart.set(data?.series);
    market.hidden = false;
  }, "market_chart_initial_data");
  connection.onEvent(({ data }) => {
    if (about(data) !== shown) return; // of another room
    chart.update(data);
    last.textContent = price(data?.close);
  }, "market_chart_live_update");
  connection.onEvent(({ data }) => { balance.textContent = number(data?.newBalance); }, "credit_balance_updated");
  connection.onEvent(({ data }) => { balance.textContent = number(data?.balance); }, "credits_balance_response");

  const events = (plugin) => [...contract.requests, ...contract.events].filter((each) => each.plugin === plugin);
  const cards = contract.plugins.map((plugin) => h("a", { class: "panel card", href: `#${DESTINATIONS[plugin] ?? "events"}` },
    h("h3", {}, plugin), h("p", {}, WORDS[plugin] ?? clip(events(plugin)[0]?.summary, 100)),
    h("small", {}, [plural(events(plugin).filter((each) => each.isRequest), "request"), plural(events(plugin).filter((each) => !each.isRequest), "event")].join(", "))));

  const element = h("div", {},
    h("div", { class: "hero" },
      h("p", { class: "big" }, "Typed events, in real time."),
      who,
      h("p", { class: "facts" }, [[contract.requests.length, "requests"], [contract.events.length, "events"], [contract.rooms.length, "kinds of rooms"]].map(([count, name]) => h("span", {}, h("b", {}, count), ` ${name}`)), h("span", {}, "validated, priced, limited, resumable"))),
    h("div", { class: "tiles" }, counters.map((each) => h("div", { class: "tile" }, each.element, h("span", {}, each.name))), contract.has("credits_balance") && h("div", { class: "tile" }, balance, h("span", {}, "Credits")), h("div", { class: "tile wide" }, pulse)),
    market, h("div", { class: "cards" }, cards));
  show(market, h("div", { class: "quote" }, h("h2", {}, "Live"), last), chart.element);
  return element;
}
