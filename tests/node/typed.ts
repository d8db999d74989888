// What a program in TypeScript does with the module that `lbproto schema` writes, and what the
// compiler does not let it do. Argument: the demo's address. Prints one JSON line for each step, and
// for each event that is sent or heard.

import { io, type Socket } from "socket.io-client";
import {
  type AcknowledgedEvents,
  Client,
  type ClientToServerEvents,
  contract,
  type MarketChartInitialData,
  NoAnswer,
  RequestFailed,
  type RoomName,
  type ServerToClientEvents,
} from "./lbproto.js";

declare const process: { argv: [string, string, string] };

const ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b";

const print = (step: string, what: object): void => console.log(JSON.stringify({ step, ...what }));
const failure = (error: unknown): object => {
  if (error instanceof RequestFailed) {
    const { request, code, retryable } = error;
    return { kind: error.name, request, code, retryable };
  }
  if (error instanceof NoAnswer) return { kind: error.name, request: error.request, reason: error.reason };
  throw error;
};

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(process.argv[2], {
  auth: { token: "demo-typed" },
  transports: ["websocket"],
  reconnectionDelay: 10,
});
const client = new Client(socket);
socket.onAny((event: string, data: unknown) => print("heard", { event, data }));
socket.onAnyOutgoing((event: string, data: unknown) => print("sent", { event, data }));

async function answers(): Promise<void> {
  const pong = await client.request("ping");
  print("answer", { isText: typeof pong.timestamp === "string" });
  const nothing: undefined = await client.request("cancel", { id: "none" }).catch((error: unknown) => {
    print("refused", failure(error));
    return undefined;
  });
  print("nothing", { nothing: nothing === undefined });
  await client
    .request("request_market_data", { symbol: "NONE-NONE", resolution: "1m" })
    .catch((error: unknown) => print("refused", failure(error)));
  await client
    .job("query", { sql: "DROP TABLE trades" })
    .result()
    .catch((error: unknown) => print("refused", failure(error)));
}

async function jobs(): Promise<void> {
  const events: string[] = [];
  let rows = 0;
  for await (const told of client.job("query", { sql: "SELECT * FROM trades LIMIT 2000" })) {
    if (told.event !== "query_progress") events.push(told.event);
    if (told.event === "query_response") rows += told.data.rows.length;
    if (told.event === "query_completed") print("job", { first: events[0], rows, total: told.data.totalRows });
  }

  const endless = client.job("query", { sql: ENDLESS });
  try {
    for await (const told of endless) {
      if (told.event !== "query_progress") continue;
      print("progress", { pct: typeof told.data.pct });
      endless.cancel();
    }
  } catch (error) {
    print("cancelled", failure(error));
  }

  const stop = new AbortController();
  const stopped = client.job("query", { sql: ENDLESS }, { signal: stop.signal });
  stop.abort();
  await stopped.result().catch((error: unknown) => print("aborted", failure(error)));

  const turns = ["one", "two"].map((message) => client.job("chat", { conversationId: "typed", message }));
  const done = await Promise.all(turns.map((turn) => turn.result()));
  print("turns", { ids: new Set(done.map((turn) => turn.messageId)).size, isOver: turns.every((turn) => turn.isOver) });
}

/** Something of every domain: what is sent and heard is looked at. */
async function domains(): Promise<void> {
  const address = { chain: "ethereum", address: "0xBf4eD7b27F1d666546E30D74d50d173d20bca754" };
  const { durationMs } = await client.job("address_analysis", { ...address, hops: 1 }).result();
  const { transactions } = await client.request("address_transactions", { ...address, limit: 2 });
  const window = { from: "2016-01-01T00:00:00Z", to: "2016-12-31T00:00:00Z" };
  const { totalsUSD } = await client.request("cross_border_flows", { corridor: "US-NG", window });
  const { candles } = await client.request("request_market_data", { symbol: "ETH-USDT", resolution: "1h" });
  await client.request("market_symbols");
  const { text } = await client.request("demo_echo", { text: "hello", requestId: "typed" });
  const { balance } = await client.request("credits_balance");
  const { entries } = await client.request("credits_history", { limit: 3 });
  const { existed } = await client.job("chat_delete", { conversationId: "typed" }).result();
  print("domains", {
    kinds: [durationMs, transactions.length, totalsUSD.unpriced, candles.length, entries.length, balance].map(
      (value) => typeof value,
    ),
    text,
    existed,
  });
  await client
    .request("demo_echo", { text: "x".repeat(1_000) })
    .catch((error: unknown) => print("refused", failure(error)));
  await client
    .request("subscribe", { room: "" })
    .catch((error: unknown) => print("refused", failure(error)));
}

async function stock(): Promise<void> {
  const room = "market:ETH-USDT:1m" satisfies RoomName;
  const chart = new Promise<MarketChartInitialData>((resolve) => socket.once("market_chart_initial_data", resolve));
  socket.emit("subscribe", { room });
  print("room", { symbol: (await chart).symbol });
  const asking = socket as unknown as Socket<ServerToClientEvents, AcknowledgedEvents>;
  const answer = await asking.emitWithAck("subscribe", { room });
  if (answer.ok) print("acknowledged", { event: answer.event, room: answer.data?.room });
  print("contract", { overflow: contract.events.market_chart_live_update.overflow, retryable: contract.codes.TIMEOUT.retryable });
}

/** A job whose connection is lost: the session is resumed, or, where it is forgotten, another takes the job up. */
async function interrupted(isForgotten: boolean): Promise<void> {
  const job = client.job("query", { sql: ENDLESS });
  let isCut = false;
  try {
    for await (const told of job) {
      if (told.event === "query_started") {
        if (isForgotten) (socket as unknown as { _pid: undefined })._pid = undefined;
        socket.io.engine.close();
        isCut = true;
      } else if (isCut && socket.connected) {
        print("went on", { recovered: socket.recovered });
        job.cancel();
        isCut = false;
      }
    }
  } catch (error) {
    print("cancelled", failure(error));
  }
}

async function losses(): Promise<void> {
  await interrupted(false);
  await interrupted(true);

  const ended = new Promise<{ code: string }>((resolve) => socket.once("query_error", resolve));
  const late = client.job("query", { sql: ENDLESS }, { timeout: 0 });
  await late.result().catch((error: unknown) => print("late", failure(error)));
  print("late", { code: (await ended).code });

  const left = client.job("query", { sql: ENDLESS });
  for await (const told of left) {
    if (told.event === "query_started") break;
  }
  const open = client.job("query", { sql: ENDLESS });
  const silent = client.request("ping");
  socket.disconnect();
  await open.result().catch((error: unknown) => print("gone", failure(error)));
  await silent.catch((error: unknown) => print("gone", failure(error)));
  const hasty = new Client(socket, { timeout: 1 });
  await hasty.request("ping").catch((error: unknown) => print("gone", failure(error)));
  hasty.close();
}

/** There is no connection, for now or ever: a job that would wait for others settles all the same. */
async function unconnected(): Promise<void> {
  const refused = io(process.argv[2], { auth: { token: "wrong" }, forceNew: true, reconnectionDelay: 10 });
  const nowhere = io("http://127.0.0.1:1", { reconnectionDelay: 10 });
  for (const [other, patience] of [[refused, 60_000], [nowhere, 50]] as const) {
    const waiting = new Client(other, { patience });
    const turn = waiting.job("chat", { conversationId: "typed", message: "hello" });
    await turn.result().catch((error: unknown) => print("unconnected", failure(error)));
    waiting.close();
    other.disconnect();
  }
}

// Never called: these are mistakes, and the compiler says so.
export async function mistakes(): Promise<void> {
  // @ts-expect-error - there is no such event
  socket.emit("pign", {});
  // @ts-expect-error - it has to say which room
  socket.emit("subscribe", {});
  // @ts-expect-error - a room is named by a text
  await client.request("subscribe", { room: 7 });
  // @ts-expect-error - it has to say which room
  await client.request("subscribe");
  // @ts-expect-error - a query takes long: it is a job
  await client.request("query", { sql: "SELECT 1" });
  // @ts-expect-error - a ping does not
  client.job("ping", {});
  // @ts-expect-error - there is no such field
  (await client.request("ping")).time;
  // @ts-expect-error - there are no such rooms
  "markets:ETH" satisfies RoomName;
  for await (const told of client.job("query", { sql: "SELECT 1" })) {
    // @ts-expect-error - not every event of a query has rows
    told.data.rows;
  }
}

await answers();
await jobs();
await domains();
await stock();
await losses();
await unconnected();
client.close();
