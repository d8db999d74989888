// Stock socket.io-clients that count what they get while their connections are lost, again and again.
// Each connection and each loss goes out as a JSON line. After a line of input no more requests are made, and
// once a last one is answered each client prints what it has got: {client, log: [[stream, number], ...]}.
// The program ends with its input.
//
// Argument: {rooms, clients: [{url, token, transports}, ...]}.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const { rooms, clients } = JSON.parse(process.argv[2]);
const input = createInterface({ input: process.stdin }).on("close", () => process.exit(0));

clients.forEach(({ url, token, transports }, client) => {
  const print = (what) => console.log(JSON.stringify({ client, ...what }));
  const log = [];
  const inside = new Set();
  let asking;
  // Again where it has lost its connection amid that, as on a busy machine: requests are not replayed. Those
  // that have come all the same are answered twice.
  const subscribe = () =>
    rooms.filter((room) => !inside.has(room)).forEach((room) => socket.emit("subscribe", { room }));
  const socket = io(url, {
    auth: { token },
    transports,
    forceNew: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 100,
    timeout: 2000,
  });

  socket.on("connect", () => print({ happened: "connect", id: socket.id, recovered: socket.recovered }));
  socket.on("disconnect", (reason) => print({ happened: "disconnect", reason, active: socket.active }));
  socket.once("connected", subscribe);
  socket.on("session_lost", () => print({ happened: "session_lost" }));
  socket.on("recovered", ({ missed }) => {
    print({ happened: "recovered", missed });
    subscribe();
  });
  socket.on("count_from", ({ room, number }) => {
    if (inside.has(room)) return;
    inside.add(room);
    log.push([room, number - 1]);
    if (inside.size === rooms.length) {
      print({ happened: "subscribed" });
      asking = setInterval(() => socket.volatile.emit("next"), 50);
    }
  });
  socket.on("counted", ({ room, number }) => log.push([room, number]));
  socket.on("pushed", ({ number }) => log.push(["pushed", number]));
  socket.on("answered", ({ number }) => log.push(["answered", number]));

  const finish = () =>
    socket.timeout(2000).emit("next", {}, (lost) => (lost ? finish() : print({ happened: "finished", log })));
  input.on("line", () => {
    clearInterval(asking);
    finish();
  });
});
