// A stock socket.io-client that a test drives: commands come in on standard input, one JSON line each,
// and everything that happens goes out on standard output. The program ends with its input.
//
// Argument: {url, options}; "parser": "msgpack" among the options stands for socket.io-msgpack-parser.
// Commands: {emit, args, ack}, {disconnect: true}, {connect: true}, {auth: {...}}.
// Bytes are {"$base64": "..."}, both ways.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import msgpack from "socket.io-msgpack-parser";

const { url, options } = JSON.parse(process.argv[2]);
if (options.parser === "msgpack") options.parser = msgpack;

const socket = io(url, options);

const print = (what) => console.log(JSON.stringify(pack(what)));

function pack(value) {
  if (value instanceof Uint8Array) return { $base64: Buffer.from(value).toString("base64") };
  if (value instanceof ArrayBuffer) return pack(new Uint8Array(value));
  if (Array.isArray(value)) return value.map(pack);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item)]));
}

function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== "object") return value;
  if (value.$base64 !== undefined) return Buffer.from(value.$base64, "base64");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
}

socket.io.on("open", () => {
  const { engine } = socket.io;
  print({ happened: "open", transport: engine.transport.name });
  engine.on("upgrade", (transport) => print({ happened: "upgrade", transport: transport.name }));
});
socket.on("connect", () => print({ happened: "connect", id: socket.id, recovered: socket.recovered }));
socket.on("disconnect", (reason) => print({ happened: "disconnect", reason, active: socket.active }));
socket.on("connect_error", ({ message, data }) =>
  print({ happened: "connect_error", message, data, active: socket.active }),
);
socket.io.on("ping", () => print({ happened: "ping" }));
socket.io.on("reconnect_attempt", (attempt) => print({ happened: "reconnect_attempt", attempt }));
socket.io.on("reconnect", () => print({ happened: "reconnect" }));
socket.onAny((event, ...args) => print({ event, args }));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    if (command.disconnect) socket.disconnect();
    if (command.connect) socket.connect();
    if (command.auth) socket.auth = command.auth;
    if (command.emit === undefined) return;
    const args = unpack(command.args ?? []);
    if (command.ack === undefined) socket.emit(command.emit, ...args);
    else socket.emit(command.emit, ...args, (...answer) => print({ ack: command.ack, args: answer }));
  })
  .on("close", () => {
    socket.disconnect();
    process.exit(0);
  });
