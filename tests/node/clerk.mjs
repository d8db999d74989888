// The client of examples/clerk.mjs, beside this file, with a Clerk whose tokens come from a test's issuer. What happens
// goes out as JSON lines. A line of input changes who is signed in: {user: id}, or {}. The program ends with its input.
//
// Argument: {url, issuer}.

import { createInterface } from "node:readline";
import { connect } from "./example.mjs";

const { url, issuer } = JSON.parse(process.argv[2]);
const print = (what) => console.log(JSON.stringify(what));
console.warn = ({ message }) => print({ happened: "warning", message });

const clerk = {
  listeners: [],
  addListener(listener) {
    this.listeners.push(listener);
    listener(this);
  },
  sign(id) {
    this.user = id ? { id } : null;
    this.session = id ? { getToken: (options) => getToken(id, options) } : null;
    this.listeners.forEach((listener) => listener(this));
  },
};

async function getToken(id, options = {}) {
  print({ happened: "token", ...options });
  const answer = await fetch(`${issuer}/token/${id}`);
  if (!answer.ok) throw new Error("no token");
  return answer.text();
}

const socket = connect(url, clerk);
socket.on("connect", () => print({ happened: "connect", id: socket.id, recovered: socket.recovered }));
socket.on("disconnect", (reason) => print({ happened: "disconnect", reason }));
socket.on("connect_error", ({ data }) => print({ happened: "connect_error", data }));
socket.onAny((event, ...args) => print({ event, args }));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { user, ...command } = JSON.parse(line);
    if (command.emit === undefined) clerk.sign(user);
    else socket.emit(command.emit, ...command.args, (...args) => print({ ack: command.ack, args }));
  })
  .on("close", () => process.exit(0));
