// How the node is, once a second while somebody looks: numbers, sessions with their queues, rooms.

import { h, panel, show, svg } from "./dom.js";
import { bytes, clip, ends, number, short } from "./format.js";

const EVERY = 1_000;
const SECONDS = 60; // of the curve

export function serverView({ connection, settings }) {
  const tiles = h("div", { class: "tiles" });
  const curve = svg("svg", { class: "curve", viewBox: `0 0 ${SECONDS} 20`, preserveAspectRatio: "none", role: "img", "aria-label": "Deliveries a second" });
  const rate = h("b", {}, "–");
  const sessions = h("tbody", {});
  const rooms = h("tbody", {});
  const status = h("p", { class: "status", role: "status" }, settings.watchable ? "Connect to watch." : "The host does not show this.");
  const rates = [];
  let before = null;
  let looking = false; // one answer at a time, however slow the server
  let element = null;

  async function look() {
    if (looking || document.hidden || !element.checkVisibility() || connection.state !== "online") return;
    looking = true;
    try {
      const answer = await fetch("state.json", { headers: { authorization: `Bearer ${encodeURI(connection.token)}` } });
      if (!answer.ok) return void (status.textContent = answer.status === 403 ? "This token may not see this." : `The server answers ${answer.status}.`);
      draw(await answer.json());
      status.textContent = "";
    } catch {
      status.textContent = "The server cannot be reached.";
    } finally {
      looking = false;
    }
  }

  function draw({ statistics, sessions: those, rooms: names }) {
    const { outboxes } = statistics;
    const figures = [
      ["Connections", number(statistics.connections)], ["Sessions", number(statistics.sessions)], ["Away", number(statistics.away)],
      ["Rooms", number(statistics.rooms)], ["Jobs", number(statistics.jobs)], ["Events queued", short(statistics.deliveries)],
      ["Frames waiting", number(outboxes.queuedFrames)], ["Bytes waiting", bytes(outboxes.queuedBytes)], ["Dropped", number(outboxes.dropped)],
      ["Conflated", short(outboxes.conflated)], ["Refused", number(statistics.refused)], ["Resumed", number(statistics.recovered)],
    ];
    show(tiles, figures.map(([name, value]) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, name))));
    const now = performance.now();
    if (before === null || now - before.at > EVERY / 2) {
      const passed = (now - before?.at) / 1000;
      const each = (statistics.deliveries - before?.deliveries) / passed;
      if (Number.isFinite(each)) rates.push(Math.max(0, each));
      before = { deliveries: statistics.deliveries, at: now };
    }
    if (rates.length > SECONDS) rates.shift();
    drawRates();
    const deepest = Math.max(1, ...those.map((each) => each.outbox.queuedBytes));
    show(sessions, those.map((each) => h("tr", {}, h("td", {}, clip(each.userId, 60)), h("td", {}, h("code", {}, ends(each.sid, 14))), h("td", {}, each.away ? "away" : "here"), h("td", { class: "figure" }, number(each.rooms)),
      h("td", {}, h("meter", { min: 0, max: deepest, value: each.outbox.queuedBytes, "aria-label": `Queue of ${clip(each.userId, 60)}` }), ` ${number(each.outbox.queuedFrames)} frames, ${bytes(each.outbox.queuedBytes)}`))));
    show(rooms, names.map((each) => h("tr", {}, h("td", {}, h("code", {}, clip(each.room, 128))), h("td", { class: "figure" }, number(each.sessions)), h("td", { class: "figure" }, number(each.away)), h("td", { class: "figure" }, number(each.keptEvents)))));
  }

  function drawRates() {
    const most = Math.max(...rates, 1);
    const points = rates.map((each, index) => `${SECONDS - rates.length + index},${19 - (each / most) * 18}`).join(" ");
    show(curve, svg("polyline", { points }));
    rate.textContent = rates.length ? number(Math.round(rates.at(-1))) : "–";
  }

  const table = (label, names, body) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))), body));
  element = h("div", {}, panel("Server", status, tiles, h("div", { class: "bar" }, h("span", {}, rate, " deliveries a second"), curve)),
    panel("Sessions and queues", table("Sessions", ["User", "Session", "Client", "Rooms", "Queue"], sessions)), panel("Rooms", table("Rooms", ["Room", "Sessions", "Away", "Events kept"], rooms)));
  if (settings.watchable) {
    setInterval(look, EVERY);
    connection.onState(look);
    addEventListener("hashchange", () => setTimeout(look));
  }
  return element;
}
