// Who paid an address and whom it paid, as a graph: payers to the left, payees to the right.

import { show, svg } from "./dom.js";
import { clip, ends } from "./format.js";

const WIDTH = 720;
const ROW = 34;
const LEAST = 220;
const MOST = 12; // a side
const NODE = 190;

/** Neighbours are `{address, label, severity, direction, count}`; `choose` gets an address. */
export function drawGraph(element, centre, neighbours, choose) {
  const sides = { incoming: [], outgoing: [] };
  for (const each of neighbours) sides[each.direction === "outgoing" ? "outgoing" : "incoming"].push(each);
  const rows = Math.max(...Object.values(sides).map((side) => Math.min(side.length, MOST)), 1);
  const height = Math.max(LEAST, rows * ROW + 20);
  const middle = { x: WIDTH / 2, y: height / 2 };
  const marks = [];
  for (const [name, side] of Object.entries(sides)) {
    const x = name === "incoming" ? NODE / 2 + 4 : WIDTH - NODE / 2 - 4;
    const shown = side.slice(0, MOST);
    const first = height / 2 - ((shown.length - 1) * ROW) / 2;
    shown.forEach((each, index) => {
      const y = first + index * ROW;
      const from = name === "incoming" ? x + NODE / 2 : middle.x + 62;
      const to = name === "incoming" ? middle.x - 62 : x - NODE / 2;
      const [startY, endY] = name === "incoming" ? [y, middle.y] : [middle.y, y];
      const bend = (from + to) / 2;
      marks.unshift(svg("path", { class: `edge ${level(each.severity)}`, d: `M${from} ${startY} C${bend} ${startY} ${bend} ${endY} ${to} ${endY}`, "stroke-width": Math.min(6, 1.2 + Math.log2(1 + each.count)) }));
      marks.push(node(each, x, y, choose));
    });
    if (side.length > MOST) marks.push(svg("text", { class: "axis", x: x - 40, y: height - 2 }, `and ${side.length - MOST} more`));
  }
  marks.push(svg("g", { class: "centre" },
    svg("rect", { x: middle.x - 62, y: middle.y - 22, width: 124, height: 44, rx: 22 }),
    svg("text", { x: middle.x, y: middle.y + 4, "text-anchor": "middle" }, centre.label ? clip(centre.label, 16) : ends(centre.address, 15))));
  element.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  element.setAttribute("aria-label", `${sides.incoming.length} payers, ${sides.outgoing.length} payees`);
  show(element, marks);
}

function node(each, x, y, choose) {
  const group = svg("g", { class: `node ${level(each.severity)}`, tabindex: 0, role: "button", "aria-description": clip(each.address, 128) },
    svg("rect", { x: x - NODE / 2, y: y - 13, width: NODE, height: 26, rx: 13 }),
    svg("text", { x, y: y + 4, "text-anchor": "middle" }, clip(each.label ?? ends(each.address, 20), 24)));
  group.addEventListener("click", () => choose(each.address));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(each.address);
  });
  return group;
}

const LEVELS = new Set(["critical", "high", "medium", "low", "info"]);
const level = (severity) => (LEVELS.has(severity) ? severity : "plain");
