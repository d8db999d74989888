// socket.io, the original; `node node_socketio.mjs PORT`.
import http from "node:http";
import { accepted, candle, isOrder, require } from "./node_payload.mjs";

const { Server } = require("socket.io");
const listener = http.createServer();
const io = new Server(listener, {
  transports: ["websocket"], perMessageDeflate: false, serveClient: false,
  connectionStateRecovery: process.argv[3] === "recovery" ? {} : undefined });

io.on("connection", (socket) => {
  socket.on("sub", (room, acknowledge) => { socket.join(room); acknowledge("OK"); });
  socket.on("pub", (room, count, size) => {
    for (let i = 0; i < count; i++) io.to(room).emit("candle", candle(size));
  });
  socket.on("order", (order, acknowledge) =>
    acknowledge(isOrder(order) ? accepted(order) : { error: "not an order" }));
});
listener.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
