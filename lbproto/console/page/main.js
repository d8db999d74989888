// The console: loads the contract, connects, and shows one view at a time.

import { chatView } from "./chat.js";
import { complianceView } from "./compliance.js";
import { Connection } from "./connection.js";
import { Contract } from "./contract.js";
import { creditsView } from "./credits.js";
import { h, show } from "./dom.js";
import { logView } from "./log.js";
import { marketView } from "./market.js";
import { overviewView } from "./overview.js";
import { queryView } from "./query.js";
import { referenceView } from "./reference.js";
import { roomsView } from "./rooms.js";
import { serverView } from "./server.js";
import { startTheme } from "./theme.js";

/** Each with the request that it is no use without. */
const VIEWS = [
  ["overview", "Overview", overviewView],
  ["market", "Market", marketView, "market_symbols"],
  ["query", "Query", queryView, "query"],
  ["chat", "Chat", chatView, "chat"],
  ["address", "Address", complianceView, "address_analysis"],
  ["credits", "Credits", creditsView, "credits_balance"],
  ["rooms", "Rooms", roomsView],
  ["events", "Events", referenceView],
  ["server", "Server", serverView],
  ["log", "Log", null],
];

const at = (id) => document.getElementById(id);
const load = async (name) => (await fetch(name)).json();

async function start() {
  startTheme(at("theme"));
  const [settings, document_] = await Promise.all([load("settings.json"), load("asyncapi.json")]);
  const contract = new Contract(document_);
  const connection = new Connection(settings.websocket);
  const app = { connection, contract, settings };
  at("title").textContent = contract.title === "lbproto" ? "console" : contract.title.replace(/^lbproto /, "");

  const there = VIEWS.filter(([, , , needs]) => needs === undefined || contract.has(needs));
  const elements = new Map(there.filter(([, , make]) => make).map(([name, , make]) => [name, h("div", { class: "view", id: name, "data-view": name, hidden: true }, make(app))]));
  show(at("views"), there.map(([name, title]) => h("a", { href: `#${name}`, "data-view": name }, title)));
  show(at("content"), [...elements.values()]);
  show(at("log"), logView(app));
  startRouting(elements);
  startConnecting(connection, settings);
}

function startRouting(elements) {
  const route = () => {
    const asked = location.hash.slice(1);
    const name = elements.has(asked) || asked === "log" ? asked : asked === "content" ? null : "overview";
    if (name === null) return;
    document.body.dataset.view = name;
    for (const [other, view] of elements) view.hidden = other !== name;
    for (const link of at("views").children) {
      if (link.dataset.view === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    at("views").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    scrollTo(0, 0);
  };
  addEventListener("hashchange", route);
  route();
}

function startConnecting(connection, settings) {
  const [token, enter, drop, state] = ["token", "enter", "drop", "state"].map(at);
  token.value = settings.token;
  if (settings.token) token.type = "text"; // everybody knows it
  at("connect").addEventListener("submit", (event) => {
    event.preventDefault();
    if (connection.state === "offline") connection.connect(token.value);
    else connection.disconnect();
  });
  drop.addEventListener("click", () => connection.drop());
  let note = ""; // about the session that is there
  let refusal = "";
  let met = null; // the session that was there last
  connection.onEvent(({ data }) => { note = `resumed, ${data?.missed} missed`; tell(); }, "recovered");
  connection.onEvent(() => {
    note = connection.sid === met ? "events of other nodes were lost" : "a new session: the old one was lost";
    met = connection.sid;
    tell();
  }, "session_lost");
  connection.onEvent(({ data }) => { if (connection.state === "connecting") refusal = `${data?.code}: ${data?.message}`; }, "error");
  connection.onState(() => {
    if (connection.state !== "online") note = "";
    if (connection.state === "offline") met = null;
    else met ??= connection.sid;
    if (connection.state !== "offline") refusal = "";
    tell();
  });

  function tell() {
    const online = connection.state === "online";
    state.dataset.state = connection.state;
    state.querySelector("b").textContent = online ? String(connection.userId) : connection.state;
    state.querySelector("small").textContent = note || refusal || connection.detail;
    enter.textContent = connection.state === "offline" ? "Connect" : "Disconnect";
    enter.className = connection.state === "offline" ? "primary" : "";
    token.disabled = connection.state !== "offline";
    drop.hidden = !online;
  }
}

await start();
