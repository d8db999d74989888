// An account: its balance, and every movement, the newest first. All of it is pushed.

import { h, show } from "./dom.js";
import { clip, moment, number } from "./format.js";

const SHOWN = 50;

export function creditsView({ connection, contract, settings }) {
  const balance = h("output", { class: "price", "aria-label": "Balance" }, "–");
  const lifetime = h("p", { class: "quiet" }, "");
  const refused = h("p", { class: "bad", role: "status" });
  const rows = h("tbody", {});
  let entries = [];
  let version = -1;

  connection.onState(async ({ state }) => {
    if (state === "offline") version = -1;
    if (state !== "online") return;
    const [now, history] = await Promise.all([connection.request("credits_balance"), connection.request("credits_history", { limit: SHOWN })]);
    if (now?.event === "credits_balance_response") tell({ ...now.data, newBalance: now.data?.balance });
    if (Array.isArray(history?.data?.entries)) entries = history.data.entries;
    draw();
  });
  connection.onEvent(({ data }) => tell(data ?? {}), "credit_balance_updated");
  connection.onEvent(({ data }) => moved(data ?? {}, -data?.amount, data?.action), "credits_deducted");
  connection.onEvent(({ data }) => moved(data ?? {}, data?.amount, data?.reason), "credits_granted");
  connection.onEvent(({ data }) => { refused.textContent = `${clip(data?.action, 60)} costs ${number(data?.required)}, and ${number(data?.available)} are there.`; }, "insufficient_credits");

  function tell(account) {
    if (Number.isFinite(account.version) && account.version < version) return; // an older one that comes late
    version = account.version ?? version;
    balance.textContent = number(account.newBalance);
    lifetime.textContent = `${number(account.lifetimeEarned)} earned, ${number(account.lifetimeSpent)} spent`;
  }

  function moved({ newBalance, transactionId, timestamp }, amount, reason) {
    if (entries.some((each) => each.transactionId === transactionId)) return;
    entries = [{ amount, balance: newBalance, reason, transactionId, timestamp }, ...entries].slice(0, SHOWN);
    draw();
  }

  function draw() {
    show(rows, entries.slice(0, SHOWN).map((each) => h("tr", {},
      h("td", { class: "figure" }, moment(each.timestamp)), h("td", {}, clip(each.reason, 80)),
      h("td", { class: each.amount < 0 ? "figure down" : "figure up" }, `${each.amount > 0 ? "+" : ""}${number(each.amount)}`), h("td", { class: "figure" }, number(each.balance)))));
  }

  const priced = contract.requests.filter((each) => each.price !== undefined).slice(0, 8);
  const spend = priced.map((each) => h("button", { type: "button", onclick: () => {
    refused.textContent = "";
    connection.request(each.event, settings.examples?.[each.event] ?? {});
  } }, `Ask ${each.event}`));
  return h("section", { class: "panel" }, h("h2", {}, "Credits"),
    h("div", { class: "quote" }, balance, h("span", {}, "credits")), lifetime, h("div", { class: "bar" }, spend), refused,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Movements" }, h("table", {}, h("thead", {}, h("tr", {}, ["When", "What for", "Amount", "Balance"].map((name) => h("th", { scope: "col" }, name)))), rows)));
}
