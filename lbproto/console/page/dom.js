// Elements of text and attributes: whatever a server sends becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: properties as `{class, value, hidden, onclick, "aria-label"}`, then children. */
export const h = (tag, properties = {}, ...children) =>
  fill(document.createElement(tag), properties, children);

/** The same in SVG. */
export const svg = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

/** Have these children and no others. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter(isThere).map(node));
  return element;
}

/** Text that may be anything. */
export function text(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A heading, and what is below it. */
export const panel = (title, ...children) => h("section", { class: "panel" }, h("h2", {}, title), ...children);

const isThere = (child) => child !== null && child !== undefined && child !== false;
const node = (child) => (child instanceof Node ? child : document.createTextNode(text(child)));

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(isThere).map(node));
  return element;
}
