// ws, what most servers under Node stand on; `node node_ws.mjs PORT`.
import { accepted, candle, isOrder, require } from "./node_payload.mjs";

const { WebSocket, WebSocketServer } = require("ws");
const rooms = new Map();
const server = new WebSocketServer({
  port: Number(process.argv[2]), host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });

function subscribe(socket, room) {
  if (!rooms.has(room)) rooms.set(room, new Set());
  rooms.get(room).add(socket);
  socket.send("OK");
}

function publish(room, count, size) {
  for (let i = 0; i < count; i++) {
    const data = Buffer.from(JSON.stringify(candle(size)));
    for (const member of rooms.get(room) ?? [])
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary: false });
  }
}

function answer(socket, { id, params }) {
  const result = isOrder(params) ? accepted(params) : { error: "not an order" };
  socket.send(JSON.stringify({ id, result }));
}

server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const asked = data.toString();
    if (asked[0] === "{") return answer(socket, JSON.parse(asked));
    const [verb, room, count, size] = asked.split(" ");
    if (verb === "S") subscribe(socket, room);
    else publish(room, Number(count), Number(size));
  });
  socket.on("close", () => { for (const members of rooms.values()) members.delete(socket); });
});
