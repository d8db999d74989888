// The published client (docs: Connecting), with a stock socket.io-client, up to live candles.
// Prints what it sees, one JSON line each. Arguments: address, token, and io()'s options as JSON;
// "parser": "msgpack" among them stands for socket.io-msgpack-parser.

import { io } from "socket.io-client";
import msgpack from "socket.io-msgpack-parser";

const [address, TOKEN, given = "{}"] = process.argv.slice(2);
const options = JSON.parse(given);
if (options.parser === "msgpack") options.parser = msgpack;

const print = (event, data) => console.log(JSON.stringify({ event, data }));

const socket = io(address, { auth: { token: "Bearer " + TOKEN }, transports: ["websocket"], ...options });

socket.io.on("open", () => print("open", { transport: transport() }));
socket.on("connect_error", (error) => print("connect_error", { message: error.message, data: error.data }));
socket.on("disconnect", (reason) => print("disconnect", { reason }));

socket.on("connected", ({ userId, sid, timestamp }) => {
  print("connected", { userId, sid, timestamp, id: socket.id });
  socket.emit("subscribe", { room: "market:ETH-USDT" });
});
socket.on("subscribed", (data) => print("subscribed", data));
socket.on("market_chart_initial_data", (data) => print("market_chart_initial_data", data));

let updates = 0;
socket.on("market_chart_live_update", (data) => {
  print("market_chart_live_update", data);
  updates += 1;
  if (updates === 2) ask();
});

function ask() {
  socket.emit("request_market_data", { symbol: "ETH-USDT", resolution: "1m" }, (answer) => {
    print("ack", answer);
    socket.emit("unsubscribe", { room: "market:ETH-USDT" });
  });
}
socket.on("market_data_response", (data) => print("market_data_response", data));
socket.on("unsubscribed", async (data) => {
  print("unsubscribed", data);
  await upgraded();
  print("last", { transport: transport() });
  socket.disconnect();
});

function transport() {
  return socket.io.engine.transport.name;
}

// Where polling may give way to a websocket, wait until it has.
function upgraded() {
  const { engine } = socket.io;
  const expected = options.transports?.length > 1 && engine.transport.name === "polling";
  return expected ? new Promise((resolve) => engine.once("upgrade", resolve)) : undefined;
}
