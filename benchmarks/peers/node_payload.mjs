// What the servers under Node send and answer; see payload.py and orders.py.
import { createRequire } from "node:module";

// Modules are where the tests have them.
export const require = createRequire(new URL("../../tests/node/", import.meta.url));

const K = { i: "1m", o: "67012.51000000", c: "67013.22000000", h: "67020.00000000",
  l: "67000.10000000", v: "12.34567000", n: 153, x: false };
let seq = 0;

const candleOf = (f) => ({ t: Number(process.hrtime.bigint()), seq: seq++, s: "BTCUSDT", k: K, f });
const fixed = JSON.stringify(candleOf("")).length + 3; // by and by `seq` has four digits

export const candle = (size) => candleOf("x".repeat(Math.max(0, size - fixed)));

export const isOrder = ({ symbol, side, qty, price }) =>
  typeof symbol === "string" && (side === "buy" || side === "sell") &&
  typeof qty === "number" && typeof price === "number";

export const accepted = ({ symbol }) =>
  ({ order_id: "A1B2C3D4", symbol, status: "accepted", filled: 0.0 });
