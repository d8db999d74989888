// Every event, both ways, the newest first; filtered by words and by direction.

import { h, show } from "./dom.js";
import { clip } from "./format.js";

const KEPT = 300;
const SHOWN = 120;
const LINE = 160; // characters
const WHOLE = 20_000;

export function logView({ connection }) {
  const entries = [];
  let paused = false;
  let wanted = false;

  const words = h("input", { type: "search", placeholder: "market -live …", "aria-label": "Show events that contain these words, and none after a minus", oninput: draw });
  const direction = h("select", { "aria-label": "Direction", onchange: draw }, ...[["", "Both"], ["in", "Received"], ["out", "Sent"]].map(([value, label]) => h("option", { value }, label)));
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    draw();
  } }, "Pause");
  const clear = h("button", { type: "button", onclick: () => { entries.length = 0; draw(); } }, "Clear");
  const count = h("span", { class: "count" }, "0");
  const list = h("ol", { class: "log", tabindex: "0", "aria-label": "Events" });

  connection.onEvent((frame) => {
    const json = JSON.stringify(shown(frame)) ?? "";
    entries.push({ frame, json, at: new Date().toLocaleTimeString("en-GB"), text: `${frame.event} ${json}`.toLowerCase() });
    if (entries.length > KEPT) entries.shift();
    if (paused || wanted) return;
    wanted = true; // many events, one drawing
    setTimeout(() => { wanted = false; if (!paused) draw(); }, 150);
  });

  function draw() {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = ({ frame, text }) =>
      (!direction.value || (direction.value === "out") === Boolean(frame.sent)) &&
      asked.every((word) => (word.startsWith("-") && word.length > 1 ? !text.includes(word.slice(1)) : text.includes(word)));
    const found = entries.filter(fits);
    count.textContent = String(found.length);
    if (!paused && list.contains(document.activeElement) && list.querySelector("details[open]")) return; // it is being read
    show(list, found.slice(-SHOWN).reverse().map((entry) => (entry.element ??= line(entry))));
  }

  return h("div", { class: "logpane" },
    h("div", { class: "bar" }, h("h2", {}, "Event log "), count, pause, clear),
    h("div", { class: "bar" }, words, direction),
    list);
}

/** The token stays out of what others may see over a shoulder. */
const shown = ({ event, data }) => (event === "authenticate" ? {} : data);

function line({ frame, json, at }) {
  const details = h("details", {},
    h("summary", {},
      h("time", {}, at),
      h("span", { class: frame.sent ? "way sent" : "way" }, frame.sent ? "↑" : "↓", h("span", { class: "hidden" }, frame.sent ? " sent " : " received ")),
      h("b", { class: /error|insufficient/.test(frame.event) ? "bad" : "" }, clip(frame.event, 60)),
      h("code", {}, clip(json, LINE))));
  details.addEventListener("toggle", () => {
    if (details.children.length === 1) details.append(h("pre", { tabindex: "0" }, clip(JSON.stringify(shown(frame), null, 2), WHOLE)));
  });
  return h("li", {}, details);
}
