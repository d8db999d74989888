// The plain WebSocket protocol, lbproto.v1.json: requests, answers, and a session that is resumed.

import { Listeners } from "./listeners.js";

const PROTOCOL = "lbproto.v1.json";
const FINAL = new Set([1000, 1002, 1007, 1008, 1009, 4401, 4409]); // not to come back after
const DROPPED = 4000; // to the server this is a lost connection, no goodbye
const FIRST_DELAY = 300;
const LAST_DELAY = 10_000;
const REMEMBERED = 200; // requests, of which the last answer is not known

export class Connection {
  /** "offline", "connecting", "online" or "waiting"; with `detail`, a line for people. */
  state = "offline";
  detail = "";
  userId = null;
  sid = null;
  token = "";
  #url;
  #socket = null;
  #pid = null;
  #offset = null;
  #attempts = 0;
  #retry = null;
  #ids = 0;
  #waiting = new Map();
  #events = new Listeners();
  #states = new Listeners();

  constructor(path) {
    this.#url = new URL(path, location.href);
    this.#url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  }

  /** Come in anew; a session that there was is over. */
  connect(token) {
    this.disconnect();
    this.token = token;
    this.#open();
  }

  /** Leave: the session is over. */
  disconnect() {
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = this.#pid = this.#offset = this.userId = this.sid = null;
    this.#attempts = 0;
    socket?.close(1000);
    this.#settleAll();
    this.#become("offline", "");
  }

  /** Lose the connection, as a network does: the session waits, and is resumed. */
  drop() {
    this.#socket?.close(DROPPED, "dropped by hand");
  }

  /** Called with each `{event, data, re, sent}`, also with those that are sent. */
  onEvent(listener, name = "*") {
    this.#events.add(name, listener);
  }

  /** Called whenever `state` changes. */
  onState(listener) {
    this.#states.add("*", listener);
  }

  /**
   * Ask something. `each` gets every event that answers, in order.
   * Resolves to the first of them, an acknowledgement too, and to null where none comes any more.
   */
  request(event, data = {}, each = () => {}) {
    if (this.state !== "online") return Promise.resolve(null);
    const id = ++this.#ids;
    this.#send({ event, data, id });
    if (this.#waiting.size >= REMEMBERED) {
      const [oldest, { resolve }] = this.#waiting.entries().next().value;
      resolve(null);
      this.#waiting.delete(oldest);
    }
    return new Promise((resolve) => this.#waiting.set(id, { resolve, each }));
  }

  #open() {
    this.#become("connecting", "");
    const socket = (this.#socket = new WebSocket(this.#url, [PROTOCOL]));
    socket.addEventListener("open", () => {
      const resume = this.#pid && { pid: this.#pid, ...(this.#offset && { offset: this.#offset }) };
      socket.send(JSON.stringify({ event: "authenticate", data: { token: this.token, ...resume } }));
    });
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#take(data));
    socket.addEventListener("close", (closed) => socket === this.#socket && this.#closed(closed));
  }

  #take(message) {
    const frame = JSON.parse(message);
    if (typeof frame.offset === "string") this.#offset = frame.offset;
    if (frame.event === "connected" && this.state === "connecting") this.#connected(frame.data);
    if (Number.isInteger(frame.id)) this.#send({ event: "ack", re: frame.id, data: null });
    this.#told(frame);
    const waiting = this.#waiting.get(frame.re);
    waiting?.resolve(frame);
    waiting?.each(frame);
  }

  #connected({ userId, sid, pid }) {
    if (this.#pid !== pid) {
      this.#offset = null;
      this.#settleAll();
    }
    [this.userId, this.sid, this.#pid] = [userId, sid, pid ?? null];
    this.#attempts = 0;
    this.#become("online", "");
  }

  #closed({ code, reason }) {
    this.#socket = null;
    const why = reason ? `${code} ${reason}` : String(code);
    if (FINAL.has(code)) {
      this.#pid = this.#offset = null;
      this.#settleAll();
      this.#become("offline", `closed: ${why}`);
      return;
    }
    const longest = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** this.#attempts++);
    this.#retry = setTimeout(() => this.#open(), longest * (0.5 + Math.random() / 2)); // not all at once
    this.#become("waiting", `lost (${why}), coming back`);
  }

  #send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(frame));
    if (frame.event !== "ack") this.#told({ ...frame, sent: true });
  }

  #told(frame) {
    if (!frame.sent) this.#events.tell(frame.event, frame);
    this.#events.tell("*", frame);
  }

  #settleAll() {
    for (const { resolve } of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }

  #become(state, detail) {
    [this.state, this.detail] = [state, detail];
    this.#states.tell("*", this);
  }
}
