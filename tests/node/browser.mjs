// A page in a headless Chromium, from another origin than the server: a stock socket.io-client by
// polling, CORS and upgrade, and a plain WebSocket. Prints what the page saw, one JSON line each.
// Arguments: the server's address, a token, the browser's executable.

import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, token, executablePath] = process.argv.slice(2);

const page_html = `<!doctype html>
<meta charset="utf-8">
<title>ETH-USDT</title>
<p>Price: <output id="price"></output></p>
<script src="/socket.io.min.js"></script>
<script type="module">
  const [address, token] = ${JSON.stringify([address, token])};
  const socket = io(address, {
    auth: { token: "Bearer " + token },
    extraHeaders: { "x-page": "yes" }, // makes the browser ask first: a preflight
  });
  socket.io.on("open", () => {
    const { engine } = socket.io;
    tell("open", { transport: engine.transport.name });
    engine.on("upgrade", (transport) => tell("upgrade", { transport: transport.name }));
  });
  socket.on("connect_error", (error) => tell("connect_error", { message: error.message }));
  socket.on("connected", ({ userId, sid }) => {
    tell("connected", { userId, sid, id: socket.id });
    socket.emit("subscribe", { room: "market:ETH-USDT" });
  });
  const show = (price) => (document.getElementById("price").value = price);
  socket.on("market_chart_initial_data", ({ series }) => {
    show(series.at(-1).close);
    tell("market_chart_initial_data", { candles: series.length });
  });
  socket.on("market_chart_live_update", ({ close }) => {
    show(close);
    tell("market_chart_live_update", { close });
  });

  const plain = new WebSocket(address.replace("http", "ws") + "/ws", ["lbproto.v1.json", "bearer." + token]);
  plain.onopen = () => {
    tell("plain", { protocol: plain.protocol });
    plain.send(JSON.stringify({ event: "echo", data: { text: "from a page" }, id: 1 }));
  };
  plain.onmessage = ({ data }) => tell("plain", JSON.parse(data));
  plain.onclose = ({ code }) => tell("plain", { closed: code });
</script>`;

const site = createServer(async (request, response) => {
  if (request.url === "/socket.io.min.js") {
    response.setHeader("content-type", "text/javascript");
    response.end(await readFile("node_modules/socket.io-client/dist/socket.io.min.js"));
  } else if (request.url === "/") {
    response.setHeader("content-type", "text/html");
    response.end(page_html);
  } else {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => site.listen(0, "127.0.0.1", listening));

const profile = await mkdtemp(join(tmpdir(), "lbproto-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  chromiumSandbox: false,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const seen = [];
  let enough;
  const done = new Promise((resolve, reject) => {
    enough = resolve;
    setTimeout(() => reject(new Error(`the page has seen no more than ${seen}`)), 45_000).unref();
  });
  const page = await browser.newPage();
  await page.exposeFunction("tell", (event, data) => {
    console.log(JSON.stringify({ event, data }));
    seen.push(event);
    const times = (name) => seen.filter((other) => other === name).length;
    if (times("market_chart_live_update") >= 2 && times("upgrade") && times("plain") >= 3) enough();
  });
  page.on("pageerror", (error) => console.log(JSON.stringify({ event: "pageerror", data: String(error) })));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await done;
  const price = await page.locator("#price").textContent();
  console.log(JSON.stringify({ event: "price", data: { price } }));
} finally {
  await browser.close();
  site.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
