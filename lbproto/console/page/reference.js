// The event reference: each request with a form, each event with its fields.

import { typeOf } from "./contract.js";
import { h, show } from "./dom.js";
import { clip } from "./format.js";
import { schemaForm } from "./form.js";

const ANSWERS = 50; // shown

export function referenceView({ connection, contract, settings }) {
  const words = h("input", { type: "search", placeholder: "Find an event", "aria-label": "Find an event", oninput: draw });
  const list = h("div", { class: "reference" });
  const all = [...contract.requests, ...contract.events].map((entry) => ({ entry, element: card(entry) }));

  function draw() {
    const asked = words.value.toLowerCase();
    const found = all.filter(({ entry }) => `${entry.event} ${entry.plugin} ${entry.summary}`.toLowerCase().includes(asked));
    const part = (title, isRequest) => {
      const those = found.filter(({ entry }) => entry.isRequest === isRequest);
      return those.length > 0 && [h("h2", {}, `${title} `, h("span", { class: "count" }, those.length)), ...those.map(({ element }) => element)];
    };
    show(list, [part("Requests", true), part("Events", false)].filter(Boolean).flat());
  }

  function card(entry) {
    const details = h("details", { class: "event" },
      h("summary", {},
        h("code", { class: "name" }, entry.event),
        h("span", { class: "tag" }, entry.plugin),
        entry.job && h("span", { class: "tag job" }, "job"),
        entry.price !== undefined && h("span", { class: "tag price" }, entry.price === "varies" ? "priced" : `${entry.price} credits`),
        entry.overflow && h("span", { class: "tag" }, entry.overflow),
        h("span", { class: "summary" }, entry.summary)));
    details.addEventListener("toggle", () => {
      if (details.children.length === 1) details.append(entry.isRequest ? request(entry) : fieldsOf(entry.schema));
    });
    return details;
  }

  function request(entry) {
    const form = schemaForm(contract, entry.schema);
    form.fill(settings.examples?.[entry.event]);
    const answers = h("pre", { tabindex: "0", "aria-label": `Answers to ${entry.event}`, hidden: true });
    const failed = h("p", { class: "bad", role: "alert" });
    const send = (event) => {
      event.preventDefault();
      failed.textContent = "";
      const lines = [];
      try {
        const asked = form.read();
        if (connection.state !== "online") throw new Error("Connect first");
        connection.request(entry.event, asked, (frame) => {
          if (lines.length < ANSWERS) lines.push(`${frame.event} ${clip(JSON.stringify(frame.data, null, 1), 4_000)}`);
          answers.textContent = lines.join("\n");
          answers.hidden = false;
        });
      } catch (error) {
        failed.textContent = error.message;
      }
    };
    return h("form", { class: "try", onsubmit: send },
      h("p", { class: "prose" }, clip(entry.description, 2_000)), form.element, failed,
      h("button", { class: "primary" }, `Send ${entry.event}`), answers);
  }

  function fieldsOf(schema) {
    const required = new Set(schema.required ?? []);
    const rows = Object.entries(schema.properties ?? {}).map(([name, property]) =>
      h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, property.enum ? property.enum.join(" | ") : typeOf(property)), h("td", {}, required.has(name) ? "always" : "may be left out")));
    return h("div", { class: "try" }, h("p", { class: "prose" }, clip(schema.description ?? "", 2_000)),
      rows.length > 0 && h("table", {}, h("thead", {}, h("tr", {}, ["Field", "Type", "There"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)));
  }

  draw();
  return h("div", {}, h("div", { class: "bar" }, words), list);
}
