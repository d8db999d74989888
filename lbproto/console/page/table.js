// Rows as they come, a page of them shown at a time.

import { h, show } from "./dom.js";
import { clip, number } from "./format.js";

const KEPT = 10_000; // rows; more are counted only
const PAGE = 50;
const CELL = 300; // characters
const COLUMNS = 64;

export function resultTable() {
  let columns = [];
  let rows = [];
  let received = 0;
  let page = 0;
  const element = h("div", { class: "result" });

  function draw() {
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    const turn = (by) => h("button", { type: "button", disabled: page + by < 0 || page + by >= pages, onclick: () => { page += by; draw(); } }, by < 0 ? "Previous" : "Next");
    show(element,
      columns.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows" }, h("table", {},
        h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, clip(column?.name, 60), h("small", {}, clip(column?.type, 30)))))),
        h("tbody", {}, rows.slice(page * PAGE, (page + 1) * PAGE).map((row) => h("tr", {}, columns.map((column) => cell(row?.[column?.name]))))))),
      rows.length > PAGE && h("div", { class: "bar" }, turn(-1), h("span", {}, `${page + 1} of ${pages}`), turn(1)),
      received > KEPT && h("p", { class: "quiet" }, `The first ${number(KEPT)} of ${number(received)} rows are kept.`));
  }

  return {
    element,
    clear() {
      [columns, rows, received, page] = [[], [], 0, 0];
      draw();
    },
    add(more, schema) {
      if (Array.isArray(schema)) columns = schema.slice(0, COLUMNS);
      if (Array.isArray(more)) {
        received += more.length;
        rows.push(...more.slice(0, KEPT - rows.length));
      }
      draw();
    },
    get received() {
      return received;
    },
  };
}

const cell = (value) => h("td", { class: /^-?\d+(\.\d+)?$/.test(value) ? "figure" : "" }, clip(value, CELL));
