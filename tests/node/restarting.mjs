// Many published clients, each with a stock socket.io-client on its defaults, that live through a restart.
// Prints what happens to each, one JSON line each; `at` is in milliseconds. The program ends with its input.
//
// Argument: {url, room, clients: [[transport, ...], ...]}: for each client the transports it may use.

import { io } from "socket.io-client";

const { url, room, clients } = JSON.parse(process.argv[2]);

clients.forEach((transports, client) => {
  const print = (happened, more) => console.log(JSON.stringify({ client, happened, at: Date.now(), ...more }));
  const socket = io(url, { auth: { token: `Bearer demo-${client}` }, transports, forceNew: true });

  socket.on("connected", () => socket.emit("subscribe", { room }));
  socket.on("subscribed", () => print("subscribed", { transport: socket.io.engine.transport.name }));
  socket.on("server_draining", ({ retryAfter }) => print("server_draining", { retryAfter }));
  socket.on("disconnect", (reason) => print("disconnect", { reason, active: socket.active }));
  socket.on("connect_error", () => print("connect_error", { active: socket.active }));
  socket.io.on("reconnect_failed", () => print("reconnect_failed", { active: false }));
});

process.stdin.resume().on("close", () => process.exit(0));
