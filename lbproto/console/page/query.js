// A query: a job with progress, rows as they are made, and an end one can bring about.

import { h } from "./dom.js";
import { clip, number } from "./format.js";
import { resultTable } from "./table.js";

export function queryView({ connection, settings }) {
  const table = resultTable();
  const sql = h("textarea", { id: "sql", rows: 5, spellcheck: "false", class: "code", value: settings.examples?.query?.sql ?? "SELECT 1 AS one" });
  const run = h("button", { class: "primary" }, "Run");
  const cancel = h("button", { type: "button", disabled: true, onclick: () => connection.request("cancel", { id: running }) }, "Cancel");
  const bar = h("progress", { max: 100, value: 0, "aria-label": "Progress" });
  const status = h("p", { class: "status", role: "status" }, "A SELECT over the application's tables; Ctrl+Enter runs it.");
  let running = null;
  let turn = 0;

  function start(event) {
    event.preventDefault();
    if (connection.state !== "online") return void (status.textContent = "Connect first.");
    const asked = ++turn;
    table.clear();
    bar.value = 0;
    status.textContent = "Asked…";
    connection.request("query", { sql: sql.value }, (frame) => asked === turn && take(frame)).then((answer) => answer === null && end("The session is over."));
  }

  function take({ event, data = {} }) {
    if (event === "query_started") {
      running = data.queryId;
      cancel.disabled = false;
      status.textContent = Number.isFinite(data.estimatedMs) ? `Running, about ${number(data.estimatedMs)} ms` : "Running";
    } else if (event === "query_progress") {
      if (Number.isFinite(data.pct)) bar.value = data.pct;
      status.textContent = `${number(data.rowsProcessed)} rows read`;
    } else if (event === "query_response") {
      table.add(data.rows, data.schema);
      status.textContent = `${number(table.received)} rows`;
    } else if (event === "query_completed") {
      bar.value = 100;
      end(`${number(data.totalRows)} rows in ${number(data.durationMs)} ms${data.truncated ? ", cut off there" : ""}`);
    } else if (event.endsWith("error")) {
      end(`${clip(data.code, 40)}: ${clip(data.message, 500)}`);
    } else if (event === "insufficient_credits") {
      end(`It costs ${number(data.required)} credits, and you have ${number(data.available)}.`);
    }
  }

  function end(words) {
    running = null;
    cancel.disabled = true;
    status.textContent = words;
  }

  sql.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
  });
  const slow = h("button", { type: "button", onclick: () => { sql.value = "SELECT count(*) AS n FROM range(400000) a, range(400000) b WHERE a.range * b.range % 7 = 3"; } }, "A slow one");
  return h("section", { class: "panel" }, h("h2", {}, "Query"),
    h("form", { onsubmit: start }, h("label", { for: "sql" }, "SQL"), sql, h("div", { class: "bar" }, run, cancel, slow, bar)),
    status, table.element);
}
