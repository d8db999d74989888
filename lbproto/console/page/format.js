// Numbers and times for people; whatever is not a number or time is shown as it is.

import { text } from "./dom.js";

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const number = (value) => (Number.isFinite(value) ? grouped.format(value) : text(value));

export const short = (value) => (Number.isFinite(value) ? compact.format(value) : text(value));

export const price = (value) =>
  Number.isFinite(value) ? value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : text(value);

export const bytes = (value) => (Number.isFinite(value) ? `${compact.format(value)} B` : text(value));

export function time(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? text(value) : date.toLocaleTimeString("en-GB");
}

export function moment(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? text(value) : `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB")}`;
}

/** The beginning of something long. */
export function clip(value, length) {
  const whole = text(value);
  return whole.length > length ? `${whole.slice(0, length)}…` : whole;
}

/** Both ends of an id. */
export function ends(value, length = 18) {
  const whole = text(value);
  return whole.length > length ? `${whole.slice(0, length - 6)}…${whole.slice(-5)}` : whole;
}
