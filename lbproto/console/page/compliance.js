// An address: its score, the signals that the score is made of, and whom it dealt with.

import { h, show, svg, text } from "./dom.js";
import { clip, ends, number } from "./format.js";
import { drawGraph } from "./graph.js";

const SIDES = { in: "incoming", out: "outgoing", self: "incoming" };

export function complianceView({ connection, settings }) {
  const example = settings.examples?.address_analysis ?? {};
  const chain = h("input", { id: "chain", required: true, maxlength: 40, value: example.chain ?? "ethereum", autocomplete: "off" });
  const address = h("input", { id: "address-field", required: true, maxlength: 128, value: example.address ?? "", class: "code", autocomplete: "off", spellcheck: "false" });
  const bar = h("progress", { max: 100, value: 0, "aria-label": "Progress" });
  const status = h("p", { class: "status", role: "status" }, "How risky an address is, and why.");
  const score = h("div", { class: "score" });
  const graph = svg("svg", { class: "graph", role: "group", "aria-label": "Graph", viewBox: "0 0 720 220" });
  const signals = h("div", {});
  let found = { clusters: [], signals: [] };
  let payments = [];
  let turn = 0;

  function start(event) {
    event?.preventDefault();
    if (connection.state !== "online") return void (status.textContent = "Connect first.");
    const asked = ++turn;
    const about = { chain: chain.value, address: address.value };
    [found, payments] = [{ clusters: [], signals: [] }, []];
    bar.value = 0;
    show(score);
    show(signals);
    draw();
    connection.request("address_analysis", about, (frame) => asked === turn && take(frame));
    connection.request("address_transactions", { ...about, limit: 100 }, (frame) => {
      if (asked !== turn || !Array.isArray(frame.data?.transactions)) return;
      payments = frame.data.transactions;
      draw();
    });
  }

  function take({ event, data = {} }) {
    if (event === "address_analysis_progress") {
      if (Number.isFinite(data.pct)) bar.value = data.pct;
      status.textContent = text(data.stage);
    } else if (event === "address_analysis_response") {
      found = { clusters: list(data.clusters), signals: list(data.signals) };
      show(score, h("b", { class: `level ${clip(data.riskLevel, 20).replace(/\W/g, "")}` }, number(data.riskScore)), h("span", {}, clip(data.riskLevel, 40), h("small", {}, "risk, of 100")));
      drawSignals();
      draw();
    } else if (event === "address_analysis_completed") {
      bar.value = 100;
      status.textContent = `Done in ${number(data.durationMs)} ms; every point has its evidence.`;
    } else if (event.endsWith("error")) {
      status.textContent = `${clip(data.code, 40)}: ${clip(data.message, 500)}`;
    }
  }

  function drawSignals() {
    show(signals, found.signals.length === 0 ? h("p", { class: "quiet" }, "The data give no ground to judge by.") : h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Signals" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Signal", "Points", "Side", "Hops", "Share", "Evidence"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.signals.slice(0, 100).map((each) => h("tr", {},
        h("td", {}, h("b", {}, clip(each.code, 60))), h("td", { class: "figure" }, number(each.contribution)), h("td", {}, clip(each.direction, 20)),
        h("td", { class: "figure" }, number(each.hops)), h("td", { class: "figure" }, `${number(each.pct)} %`), h("td", { class: "sentence" }, clip(list(each.evidence)[0]?.source, 160))))))));
  }

  function draw() {
    const known = new Map(found.clusters.map((each) => [each.clusterId, each.label]));
    const neighbours = new Map();
    const add = (one, direction, more = {}) => {
      const key = `${direction} ${one}`;
      const before = neighbours.get(key) ?? { address: text(one), direction, count: 0, label: known.get(one) ?? null };
      neighbours.set(key, { ...before, ...more, count: before.count + 1 });
    };
    for (const signal of found.signals) for (const proof of list(signal.evidence)) if (signal.direction !== "self") add(proof.address, signal.direction, { severity: signal.severity, label: known.get(proof.address) ?? clip(signal.code, 40) });
    for (const payment of payments) for (const other of list(payment.counterparties)) add(other, SIDES[payment.direction] ?? "incoming");
    drawGraph(graph, { address: address.value, label: known.get(address.value) }, [...neighbours.values()], (chosen) => {
      address.value = chosen;
      start();
    });
  }

  return h("section", { class: "panel" }, h("h2", {}, "Address"),
    h("form", { onsubmit: start, class: "row" }, h("div", { class: "field" }, h("label", { for: "chain" }, "Chain"), chain), h("div", { class: "field wide" }, h("label", { for: "address-field" }, "Address"), address), h("button", { class: "primary" }, "Analyse")),
    h("div", { class: "bar" }, score, h("div", { class: "grow" }, bar, status)), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Graph of payments" }, graph), signals);
}

const list = (value) => (Array.isArray(value) ? value : []);
