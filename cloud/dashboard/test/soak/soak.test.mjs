// Memory of a page that is left open: a fleet that changes all the time, a person who walks through it, and after each round what is
// really held, after a collection. It mostly waits (fifty changed servers a second), so it runs beside other tests.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { missingBrowser, openBrowser, openPage, remove, signIn, skipFor, startWorker, temporary, until } from "../e2e/fleet.mjs";
import { go as goTo } from "../e2e/hands.mjs";
import { PlayedNode, sample, server } from "../e2e/played.mjs";

const skip = skipFor(missingBrowser);
const SECONDS = Number(process.env.MCPFLEET_DASHBOARD_SOAK_SECONDS ?? 300); // 3600 for the hour
const NODES = 20;
const SERVERS = 50;
const EACH_MS = 200; // one node says a status with ten changed servers
const ROUND_MS = 10_000;
const TELL_SECONDS = 600; // so often what is held is told on the way
const WARM_ROUNDS = Math.min(6, Math.floor(SECONDS / 50)); // until every page was loaded, its code is compiled and its caches are as full as they get

let dir, worker, browser, timer;
// What is held is the page's own: compiled machine code, of which the engine makes more for many minutes, is of its making.
const NO_MACHINE_CODE = "--js-flags=--jitless";
const nodes = [];
const ended = []; // sockets of nodes that were closed, and how: they come back by nothing
let turn = 0;

// The restarts of a node's first servers are the turn in which it spoke last.
function tick() {
  const node = nodes[++turn % NODES];
  node.turn = turn;
  node.say(Array.from({ length: SERVERS }, (_, at) => server(`${node.name}-${at}`, at < 10 ? { restarts: { count: turn } } : {})));
  const [first] = nodes;
  if (first.measured.length > 0) first.use([{ namespace: "default", server: `${first.name}-0`, samples: [sample(Date.now(), { seconds: 1, cpu: (turn % 50) / 50 })] }]);
  first.log(`${first.name}-0`, [{ time: new Date().toISOString(), text: `line ${turn} ${"x".repeat(80)}`, stream: "stderr" }]);
}

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir);
  browser = await openBrowser(NO_MACHINE_CODE);
  for (let index = 0; index < NODES; ++index) nodes.push(await new PlayedNode(worker, `edge-${String(index).padStart(2, "0")}`).connect());
  const begun = performance.now();
  for (const { name, socket } of nodes) socket.addEventListener("close", ({ code, reason }) => ended.push(`${name} after ${((performance.now() - begun) / 1000).toFixed(0)} s: ${code} ${reason}`));
  for (let index = 0; index < NODES; ++index) tick();
  timer = setInterval(tick, EACH_MS);
});
after(async () => {
  if (skip) return;
  clearInterval(timer);
  for (const node of nodes) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

describe("a page that is left open", { skip }, () => {
  test(`holds no more memory after ${SECONDS} s of updates`, { timeout: SECONDS * 1000 + 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker);
    const devtools = await context.newCDPSession(page);
    await devtools.send("Performance.enable");
    // The last that its socket said and was told of logs, for who looks into a failure.
    const frames = [];
    const frame = (text) => frames.push(text.slice(0, 120)) > 20 && frames.shift();
    page.on("websocket", (socket) => {
      frame("opened");
      socket.on("framesent", ({ payload }) => payload !== "ping" && frame(`> ${payload}`));
      socket.on("framereceived", ({ payload }) => /^{"type":"(log|error|hello)"/.test(payload) && frame(`< ${payload}`));
      socket.on("close", () => frame("closed"));
    });
    await signIn(page, worker.viewer);
    const go = (name) => goTo(page, name);
    const held = async () => {
      // Twice: what the first one finalises is free with the second.
      for (let pass = 0; pass < 2; ++pass) await devtools.send("HeapProfiler.collectGarbage");
      const { metrics } = await devtools.send("Performance.getMetrics");
      const value = (name) => metrics.find((each) => each.name === name).value;
      return { heap: value("JSHeapUsedSize") / 1e6, elements: value("Nodes"), listeners: value("JSEventListeners") };
    };
    const walk = async () => {
      await go("Servers");
      const [first] = nodes;
      await page.getByRole("row", { name: new RegExp(`^${first.name}-0 `) }).waitFor();
      // What is shown is new: it is not a page that has stopped listening.
      await until("the newest status is shown", async () => (await page.getByRole("row", { name: new RegExp(`^${first.name}-0 `) }).textContent()).includes(String(first.turn)), 15_000);
      await page.getByRole("link", { name: `${first.name}-0`, exact: true }).click();
      await page.getByRole("tab", { name: "Logs" }).click();
      await page.locator(".log-text").first().waitFor().catch(async (error) => {
        throw new Error(`no line of its log; sockets that were closed: ${ended.join("; ") || "none"}; the socket of the page: ${frames.join(" | ")}; it says: ${(await page.locator("body").innerText()).slice(0, 500)}`, { cause: error });
      });
      await page.waitForTimeout(1000);
      await page.getByRole("tab", { name: "Usage" }).click();
      await page.locator(".usage-grid canvas").first().waitFor(); // charts that are drawn anew with each figure
      await page.waitForTimeout(1000);
      for (const name of ["Alerts", "History"]) {
        await go(name);
        await page.getByRole("heading", { name, level: 1 }).waitFor();
      }
      await go("Nodes");
      await page.getByRole("row", { name: new RegExp(`^${first.name} `) }).waitFor();
      await go("Overview");
      await page.getByText(`${NODES} nodes`).waitFor();
    };
    const samples = [];
    const begun = performance.now();
    let told = 0;
    for (let round = 0; performance.now() - begun < SECONDS * 1000; ++round) {
      const end = begun + (round + 1) * ROUND_MS;
      await walk();
      await page.waitForTimeout(Math.max(500, end - performance.now()));
      if (round < WARM_ROUNDS) continue;
      samples.push(await held());
      const at = (performance.now() - begun) / 1000;
      if (at < told) continue;
      told = at + TELL_SECONDS;
      const { heap, elements, listeners } = samples.at(-1);
      console.log(`# after ${at.toFixed(0)} s: heap ${heap.toFixed(1)} MB, ${elements} elements, ${listeners} listeners`);
    }
    // The least of a part is what is held when nothing is under way.
    const part = Math.max(1, Math.ceil(samples.length / 5));
    const least = (some, what) => Math.min(...some.map((each) => each[what]));
    const grown = [];
    for (const [what, slack] of [["heap", 1], ["elements", 200], ["listeners", 50]]) {
      const [first, last] = [least(samples.slice(0, part), what), least(samples.slice(-part), what)];
      grown.push(`${what} ${first.toFixed(1)} → ${last.toFixed(1)}`);
      assert.ok(last < first * 1.05 + slack, `${what} grows: ${samples.map((each) => each[what].toFixed(1)).join(", ")}`);
    }
    console.log(`# heap after each round: ${samples.map(({ heap }) => heap.toFixed(1)).join(" ")} MB`);
    console.log(`# ${turn * 10} updates in ${SECONDS} s, ${samples.length} looks: ${grown.join(", ")} (heap in MB, after a collection)`);
    assert.ok(samples.length >= 2, "too short to compare");
    assert.deepEqual(faults, []);
    await context.close();
  });
});
