// A program whose server is killed amid what it has under way. Argument: the server's address, as
// JSON. Prints a JSON line when its jobs have begun, goes on once it is given a line, and prints what
// became of all that.

import { io, type Socket } from "socket.io-client";
import { Client, type ClientToServerEvents, NoAnswer, RequestFailed, type ServerToClientEvents } from "./lbproto.js";

declare const process: {
  argv: [string, string, string];
  stdin: { once(event: "data", listener: () => void): void };
};

const print = (step: string, what: object): void => console.log(JSON.stringify({ step, ...what }));

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(JSON.parse(process.argv[2]), {
  auth: { token: "eve" },
  transports: ["websocket"],
  reconnectionDelay: 50,
});
const client = new Client(socket);
socket.on("answers_lost", () => print("answers lost", { recovered: socket.recovered }));

/** A job, once it has begun, and what becomes of it. */
async function begun(): Promise<{ id: string; end: Promise<string> }> {
  const job = client.job("work", {})[Symbol.asyncIterator]();
  const first = await job.next();
  if (first.done === true || first.value.event !== "work_started") throw new Error("it has not begun");
  return { id: first.value.data.jobId, end: outcome(job) };
}

async function outcome(job: AsyncGenerator): Promise<string> {
  try {
    for await (const _ of job);
    return "done";
  } catch (error) {
    if (error instanceof RequestFailed) return error.code;
    if (error instanceof NoAnswer) return error.reason;
    throw error;
  }
}

/** As a client does that wants an answer, and pays for it once. */
async function counted(): Promise<number> {
  for (;;) {
    try {
      return (await client.request("count", { name: "eve", requestId: "eve" })).times;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
    }
  }
}

const jobs = [await begun(), await begun()] as const;
print("begun", { done: jobs[1].id });
await new Promise<void>((resolve) => process.stdin.once("data", resolve));
const times = await counted();
print("over", { times, ends: [await jobs[0].end, await jobs[1].end] });
client.close();
socket.disconnect();
