// A form made from a JSON Schema: a field for each property, of the kind its type asks for.

import { typeOf } from "./contract.js";
import { h } from "./dom.js";

let made = 0;

/** `{element, read, fill}`; `read` throws where a field holds no JSON of its type. */
export function schemaForm(contract, schema) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    field(name, contract.resolve(property), required.has(name)));
  return {
    element: h("div", { class: "fields" }, fields.length ? fields.map((each) => each.element) : h("p", { class: "quiet" }, "It takes nothing.")),
    read: () => Object.fromEntries(fields.map((each) => [each.name, each.read()]).filter(([, value]) => value !== undefined)),
    fill: (payload) => fields.forEach((each) => payload?.[each.name] !== undefined && each.fill(payload[each.name])),
  };
}

function field(name, schema, required) {
  const id = `field-${++made}`;
  const kind = kindOf(schema);
  const control = controlOf(kind, schema, id, required);
  const note = notes(schema);
  return {
    name,
    element: h("div", { class: "field" },
      h("label", { for: id }, name, required && h("span", { class: "required" }, " required")),
      control,
      note && h("small", {}, note)),
    fill: (value) => { control.value = typeof value === "string" ? value : JSON.stringify(value); },
    read() {
      const value = control.value;
      if (value === "") return required && kind === "string" ? "" : undefined;
      if (kind === "string" || kind === "choice") return value;
      if (kind === "number") return Number(value);
      if (kind === "boolean") return value === "true";
      try {
        return JSON.parse(value);
      } catch {
        if (kind === "either" && !/^\s*[[{]/.test(value)) return value;
        throw new SyntaxError(`${name} is to be JSON`);
      }
    },
  };
}

function kindOf(schema) {
  const types = (schema.anyOf ?? [schema]).filter((each) => each.type !== "null");
  const [first] = types;
  if (first?.enum) return "choice";
  if (types.length === 1 && first.type === "string") return "string";
  if (types.length === 1 && (first.type === "integer" || first.type === "number")) return "number";
  if (types.length === 1 && first.type === "boolean") return "boolean";
  return types.some((each) => each.type === "string") ? "either" : "json";
}

function controlOf(kind, schema, id, required) {
  const placeholder = schema.default === undefined || schema.default === null ? undefined : JSON.stringify(schema.default);
  if (kind === "choice" || kind === "boolean") {
    const values = kind === "boolean" ? ["true", "false"] : (schema.anyOf?.find((each) => each.enum) ?? schema).enum;
    return h("select", { id, required }, h("option", { value: "" }, placeholder ?? ""), values.map((value) => h("option", { value }, value)));
  }
  const whole = schema.anyOf?.[0] ?? schema;
  if (kind === "number") return h("input", { id, required, placeholder, type: "number", step: whole.type === "integer" ? 1 : "any", min: whole.minimum, max: whole.maximum });
  const long = kind === "json" || (kind === "string" && (whole.maxLength === undefined || whole.maxLength > 512));
  return h(long ? "textarea" : "input", { id, required, placeholder, rows: long ? 2 : undefined, maxlength: whole.maxLength, spellcheck: "false", autocomplete: "off" });
}

function notes(schema) {
  const bounds = [
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
  ].filter(Boolean);
  return [typeOf(schema), ...bounds, schema.description].filter(Boolean).join(", ");
}
