// The console in a headless Chromium. Arguments: its address, the browser's executable, "walk" or
// "hostile", and a folder for pictures. Prints what was found, as one JSON line.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, executablePath, what, pictures] = process.argv.slice(2);
const axe = await readFile("node_modules/axe-core/axe.min.js", "utf8");
const PICTURED = new Set(["dark-1280", "light-1280", "dark-390", "light-390"]);
const found = { errors: [], violations: [], overflowing: [], told: {} };

const profile = await mkdtemp(join(tmpdir(), "lbproto-console-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  chromiumSandbox: false,
  viewport: { width: 1280, height: 860 },
  colorScheme: "dark",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
page.setDefaultTimeout(20_000);
page.on("console", (message) => ["error", "warning"].includes(message.type()) && found.errors.push(message.text()));
page.on("pageerror", (error) => found.errors.push(String(error.stack)));
page.on("dialog", (dialog) => {
  found.errors.push("a dialog");
  dialog.dismiss();
});
page.on("request", (request) => request.url().startsWith(address.replace("/console/", "")) || found.errors.push(`asked for ${request.url()}`));
await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective}`)));

const open = (view) => page.click(`nav a[data-view="${view}"]`);
const seen = (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();

/** What axe finds wrong with what is shown now: with all of it, or with some. */
async function check(view, selector = "html") {
  const { violations } = await page.evaluate(`window.axe || ${axe}; axe.run(${JSON.stringify(selector)}, { resultTypes: ["violations"] })`);
  found.violations.push(...violations.map(({ id, nodes }) => `${view}: ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`)}`));
}

/** Take a picture of a view, and see whether it is wider than the screen. */
async function look(view, name) {
  await open(view);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) found.overflowing.push(`${view} ${name}: ${wide}`);
  if (PICTURED.has(name)) await page.screenshot({ path: join(pictures, `${name}-${view}.png`) });
}

/** Click everything that there is of a kind. */
const press = (selector) => page.evaluate((those) => document.querySelectorAll(those).forEach((each) => each.click()), selector);

const views = () => page.locator("nav a").evaluateAll((links) => links.map((link) => link.dataset.view));

async function walk() {
  let socket = null;
  await page.routeWebSocket(/\/ws$/, (route) => {
    route.connectToServer();
    socket = route;
  });
  await page.goto(address);
  await seen("nav a", "Events");
  await page.screenshot({ path: join(pictures, "dark-1280-before.png") });
  await page.fill("#token", "nobody");
  await page.click("#enter");
  await seen("#state small", "UNAUTHORIZED");
  const name = `walker-${Date.now() % 100_000}`; // nobody has spent their credits yet
  await page.fill("#token", `demo-${name}`);
  await page.click("#enter");
  await seen("#state b", name);

  await open("market");
  await page.locator('.view[data-view="market"] .candles .body').nth(20).waitFor();
  await seen(".market .quiet", /[3-9] updates/);
  found.told.candles = await page.locator('.view[data-view="market"] .candles').getAttribute("aria-label");

  await open("query");
  await page.click("text=Run");
  await seen(".result td", "sell");
  await page.click("text=A slow one");
  await page.click("text=Run");
  await page.locator("progress").first().waitFor();
  await seen('.view[data-view="query"] .status', "rows read");
  await page.click('.view[data-view="query"] >> text=Cancel');
  await seen('.view[data-view="query"] .status', "CANCELLED");
  await page.fill("#sql", "SELECT id, side, price, amount FROM trades ORDER BY id");
  await page.press("#sql", "Control+Enter");
  await seen('.view[data-view="query"] .status', "1,000 rows in");
  await page.click("text=Next");
  await seen(".result .bar span", "2 of 20");

  await open("chat");
  await page.click("text=Ask >> visible=true");
  await seen(".bubble.theirs", "527");
  await seen(".bubble summary", "The SQL that ran");

  await open("address");
  await page.click("text=Analyse");
  await seen('.view[data-view="address"] .status', "Done in");
  await page.locator(".graph .node").nth(3).waitFor();

  await open("credits");
  await seen("output.price", "100");
  await page.click("text=Ask demo_echo");
  await seen("output.price", "98");
  await seen(".view td", "demo_echo");

  await open("events");
  await page.fill('.view[data-view="events"] input[type=search]', "demo_echo");
  await page.click('.view[data-view="events"] summary >> text=demo_echo >> nth=0');
  await page.click("text=Send demo_echo");
  await seen(".try pre", "demo_echoed");
  await page.fill('.view[data-view="events"] input[type=search]', "");

  await open("rooms");
  await page.fill("#room", "market:ETH-USDT");
  await page.click("text=Join >> visible=true");
  await seen(".rows code", "market:ETH-USDT");
  await page.fill("#room", "nowhere");
  await page.click("text=Join >> visible=true");
  await seen('.view[data-view="rooms"] .status', "NOT_FOUND");

  await open("server");
  await seen(".view td", "market:ETH-USDT");
  await page.fill("#log input", "query_error");
  await seen("#log li", "CANCELLED");
  await page.fill("#log input", "");

  socket.send(JSON.stringify({ event: "session_lost", data: {} })); // as when the broker was away
  await seen("#state small", "events of other nodes were lost");

  const before = await page.locator("#log b").count();
  await page.click("#drop");
  await seen("#state small", "resumed");
  found.told.resumed = await page.locator("#state small").textContent();
  found.told.logged = before > 0;

  // By the keyboard alone: the first stop leads past everything, and a chart can be read out.
  await open("market");
  await page.focus('.view[data-view="market"] .candles');
  await page.keyboard.press("ArrowLeft");
  await page.locator('.view[data-view="market"] .cross').waitFor({ state: "attached" });

  for (const theme of ["dark", "light"]) {
    for (const view of await views()) {
      if (view === "log") continue;
      await look(view, `${theme}-1280`);
      await check(`${theme} ${view}`, view === "overview" ? "html" : "main"); // what is around it is the same
    }
    if (theme === "dark") await page.click("#theme");
  }
  for (const [width, theme] of [[390, "light"], [390, "dark"], [360, "dark"]]) {
    await page.setViewportSize({ width, height: 780 });
    if ((await page.evaluate(() => document.documentElement.dataset.theme)) !== theme) await page.click("#theme");
    await open("market"); // its words are as large as they were
    await page.locator('.view[data-view="market"] .candles[viewBox^="0 0 400 "]').waitFor();
    for (const view of await views()) await look(view, `${theme}-${width}`);
    await check(`${theme} ${width} log`);
  }
  await page.click("#enter");
  await seen("#state b", "offline");
}

async function hostile() {
  await page.goto(address);
  await page.click("#enter");
  await page.locator('#state[data-state="online"]').waitFor();
  for (const view of await views()) {
    if (view === "log") continue;
    await open(view);
    await page.evaluate(() => document.querySelectorAll("main :is(input, textarea)[required]").forEach((each) => (each.value ||= "x")));
    for (const what of ["form button.primary", "summary", ".try button.primary"]) await press(`.view[data-view="${view}"] ${what}`);
    await page.waitForTimeout(100); // what must not happen cannot be waited for
    await page.screenshot({ path: join(pictures, `hostile-${view}.png`) });
  }
  for (const shown of [".bubble.theirs", ".result td", ".graph text", "#log b"]) await page.locator(shown).first().waitFor({ state: "attached" });
  await page.click("#log >> text=Pause");
  await press("#log summary");
  await page.waitForTimeout(500);
  found.told.events = await page.evaluate(() => new Set([...document.querySelectorAll("#log b")].map((each) => each.textContent)).size);
  found.told.marker = await page.evaluate(() => window.marker ?? null);
  found.told.made = await page.evaluate(() => document.querySelectorAll("main img, main script, main iframe, aside img, aside script").length);
  found.told.shown = await page.evaluate(() => document.body.textContent.includes("<img src=x onerror="));
}

try {
  await { walk, hostile }[what]();
} catch (error) {
  await page.screenshot({ path: join(pictures, "failed.png") });
  throw new Error(`${error.stack}\n${JSON.stringify(found, null, 1)}`);
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
console.log(JSON.stringify(found));
