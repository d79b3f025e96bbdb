// 200 nodes of 50 servers, and 500 changed servers a second: filter and sort stay quick, no frame is lost for long, memory is flat, whoever
// comes for the first time sees something within a second, and every page is as it is in a small fleet. Figures are printed; see budget.mjs
// for what they are held to on a busy machine.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { beginMeasure, judgeLoads, loadsOf, median, whole } from "../e2e/budget.mjs";
import { LoneNode, manifest, missing, missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "../e2e/fleet.mjs";
import { axe, fits, nameOf, PAGES, settled, shoot } from "../e2e/walk.mjs";
import { ALIVE, ALL, CHANGED, GOLD, LargeFleet, NODES } from "./large_fleet.mjs";

const skip = skipFor(missingBrowser);
const SECONDS = Number(process.env.MCPFLEET_SCALE_SECONDS ?? 10); // 3600 for the hour
const FRAME_MS = 50;
const PACE = 500;
const LAG_MS = 5000; // from the last word of a node to what is seen
const BUSY = 8; // the most that a busy machine excuses
const MAIN = ["", "servers", "nodes", "alerts", "history", "audit"]; // on a phone these stand for all

let dir, worker, browser, fleet;

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir, { notReadyMinutes: 1, downAfterSeconds: 60 });
  browser = await openBrowser();
  fleet = new LargeFleet(worker);
  const begun = performance.now();
  await fleet.start();
  console.log(`# ${ALL} servers and ${NODES} nodes were applied and reported in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}, { timeout: 900_000 });
after(async () => {
  if (skip) return;
  await fleet.end();
  await browser.close();
  await worker.end();
  remove(dir);
});

const counted = (count) => count.toLocaleString("en-US");
// What the page was told of servers over its socket, from now on.
function countTold(page) {
  const told = { servers: 0, sockets: 0 };
  page.on("websocket", (socket) => {
    ++told.sockets;
    socket.on("framereceived", ({ payload }) => {
      if (typeof payload === "string" && payload.startsWith('{"type":"delta"')) told.servers += JSON.parse(payload).set.length;
    });
  });
  return told;
}

// From the key or the click to the rows, in the page's own time: until what is shown is another and was drawn.
const timeFilterAndSort = (page, texts) =>
  page.evaluate(async (words) => {
    const input = document.querySelector("main input[type=search]");
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
    const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
    // Each of these shows another count, or another first row, than the one before it.
    const changed = async (shown, act) => {
      const before = shown();
      const begun = performance.now();
      act();
      while (shown() === before) {
        if (performance.now() - begun > 20_000) throw new Error(`nothing changed: ${before}, ${input.value}, ${location.href}`);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      await drawn();
      return performance.now() - begun;
    };
    const count = () => document.querySelector(".page-sub").textContent;
    const filter = [];
    const counts = [];
    for (const text of words) {
      filter.push(
        await changed(count, () => {
          set.call(input, text);
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }),
      );
      counts.push(count());
    }
    const first = () => {
      const sorted = document.querySelector("main [aria-sort]");
      return `${document.querySelector("main .table-body [role=row] a").textContent} ${sorted.textContent} ${sorted.ariaSort}`;
    };
    const header = (name) => [...document.querySelectorAll("main [role=columnheader] button")].find((button) => button.textContent.trim() === name);
    const sort = [];
    for (const name of ["Name", "Status", "Restarts", "Name"]) sort.push(await changed(first, () => header(name).click()));
    return { filter, counts, sort };
  }, texts);

describe("ten thousand servers", { skip, concurrency: 1 }, () => {
  test("are shown, filtered and sorted quickly", { timeout: 600_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText(`${NODES} nodes · ${counted(ALL)} servers`).waitFor();
    await page.goto(`${worker.url}/-/servers`);
    await page.getByText(`${counted(ALL)} servers`).waitFor();
    assert.ok((await page.getByRole("row").count()) < 100, "only the rows that are seen are in the page");
    const measured = await beginMeasure(page, BUSY);
    const { filter, counts, sort } = await timeFilterAndSort(page, ["edge-01", "edge-0", "tier=gold", "team=search -tier=silver", "-5", ""]);
    const { slower, factor } = await measured();
    console.log(`# filter: ${whole(filter)} ms; sort: ${whole(sort)} ms (this machine is ${slower.toFixed(1)} times slower than an idle one)`);
    assert.equal(counts[2], `${counted(GOLD)} of ${counted(ALL)} servers`, "a label finds its servers");
    for (const took of [...filter, ...sort]) assert.ok(took < 100 * factor, `${took.toFixed(0)} ms of ${100 * factor}`);
    assert.deepEqual(faults, []);
    await context.close();
  });

  // What is seen of a status that came last. On the servers' page that a row has it; elsewhere that every node runs what was applied meanwhile.
  const shows = {
    servers: async (page) => {
      const [first] = fleet.nodes;
      const row = page.getByRole("row", { name: new RegExp(`^${first.name}-0 `) });
      await until(`the row of ${first.name}-0 shows turn ${first.turn}`, async () => (await row.textContent()).includes(String(first.turn)));
    },
    "": async (page) => {
      await page.getByRole("list", { name: "Versions that nodes run" }).getByText(`${fleet.head}: ${ALIVE} nodes`, { exact: true }).waitFor();
      const tile = page.locator(".tile", { hasText: "On the newest version" }).locator(".tile-value");
      await until(`all run ${fleet.head}`, async () => (await tile.textContent()) === `${ALIVE} / ${ALIVE}`);
    },
    nodes: (page) => until(`each row that is seen runs ${fleet.head}`, () => page.getByRole("row").evaluateAll((rows, head) => rows.slice(1, 20).every((row) => row.textContent.includes(head)), fleet.head)),
  };
  for (const [path, seconds] of [["servers", SECONDS], ["", Math.min(SECONDS, 60)], ["nodes", Math.min(SECONDS, 60)]])
    test(`change ${PACE} times a second, and ${path || "the overview"} loses no frame for long`, { timeout: 600_000 + seconds * 2000 }, async () => {
      const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
      const told = countTold(page);
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByText(path === "nodes" ? `${NODES} nodes` : `${counted(ALL)} servers`).first().waitFor();
      await settled(page);
      // The page begins with what was said before it came: each node speaks once more, that is seen, and nothing is under way then.
      const speak = (nodes) => nodes.forEach((node) => fleet.say(node));
      told.servers = 0;
      speak(fleet.nodes.slice(0, ALIVE));
      await until("each node was heard", () => told.servers >= ALIVE * CHANGED);
      await shows[path](page);
      const measured = await beginMeasure(page, BUSY);
      await page.evaluate(() => {
        window.long = [];
        new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
      });
      // After a collection: what is really held.
      const devtools = await context.newCDPSession(page);
      const heaps = [];
      const look = async () => {
        await devtools.send("HeapProfiler.collectGarbage");
        heaps.push((await devtools.send("Runtime.getHeapUsage")).usedSize / 1e6);
      };
      Object.assign(told, { servers: 0, sockets: 0 });
      let looking = Promise.resolve();
      const looks = setInterval(() => (looking = looking.then(look)), Math.max(2000, seconds * 50));
      let applied;
      const middle = setTimeout(() => (applied = fleet.touch(`weather, while ${path || "the overview"} is looked at`)), seconds * 400);
      const changes = await fleet.change(seconds);
      clearInterval(looks);
      clearTimeout(middle);
      await Promise.all([looking, applied]);
      await look();
      const before = performance.now();
      // On a machine that is too slow for it the last nodes may have spoken before they knew.
      speak(fleet.nodes.slice(0, ALIVE).filter(({ head }) => head !== fleet.head));
      await until("all changes came to the page", () => told.servers >= changes);
      await shows[path](page);
      const lag = performance.now() - before;
      assert.equal((await page.locator(".link-state").textContent()).trim(), "Live");
      const long = await page.evaluate(() => window.long);
      const { slower, factor } = await measured();
      const most = Math.max(0, ...long);
      console.log(`# ${path || "overview"}: ${changes} changes in ${seconds} s, ${told.servers} came to the page, the last was seen after ${lag.toFixed(0)} ms: ${long.length} tasks over 50 ms, the median of them ${(long.length === 0 ? 0 : median(long)).toFixed(0)} ms, the longest ${most.toFixed(0)} ms; heap ${whole(heaps)} MB; machine ${slower.toFixed(1)} times slower`);
      assert.ok(changes >= 0.9 * PACE * seconds, `${changes} changes in ${seconds} s are not ${PACE} a second`);
      assert.ok(lag < LAG_MS * factor, `the last change was seen ${lag.toFixed(0)} ms after it, ${LAG_MS * factor} are allowed: ${PACE} a second are more than came through`);
      assert.equal(told.sockets, 0, "the connection was never made anew");
      assert.ok(applied !== undefined, "an apply in the middle");
      assert.ok(most < FRAME_MS * factor, `a task of ${most.toFixed(0)} ms of ${FRAME_MS * factor}`);
      const half = Math.ceil(heaps.length / 2);
      assert.ok(Math.min(...heaps.slice(half)) < Math.min(...heaps.slice(0, half)) * 1.1 + 5, `memory grows: ${whole(heaps)} MB`);
      assert.deepEqual(faults, []);
      await context.close();
    });

  test("are there within a second for who comes for the first time", { timeout: 900_000 }, async () => {
    const { context } = await openPage(browser, worker, { token: worker.viewer });
    const loads = await loadsOf(browser, context, `${worker.url}/-/`, { most: BUSY });
    await context.close();
    assert.deepEqual(judgeLoads(loads, `${counted(ALL)} servers`), []);
  });

  test("are on every page readable and accessible, in both themes and on a phone", { timeout: 3_600_000 }, async () => {
    await fleet.age();
    const times = [];
    for (const [theme, options] of Object.entries({ light: {}, dark: { theme: "dark" }, phone: { width: 390, height: 844 } })) {
      const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, ...options });
      await page.addInitScript(() => {
        window.long = [];
        new PerformanceObserver((list) => window.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
      });
      for (const path of theme === "phone" ? MAIN : PAGES) {
        const begun = performance.now();
        await page.goto(`${worker.url}/-/${path}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await settled(page);
        const { longest, elements } = await page.evaluate(() => ({ longest: Math.max(0, ...window.long), elements: document.querySelectorAll("*").length }));
        times.push(`${nameOf(path)} ${theme}: ${(performance.now() - begun).toFixed(0)} ms, the longest task ${longest.toFixed(0)} ms, ${elements} elements`);
        await axe(page, `${theme}: ${path}`);
        await shoot(page, `scale-${nameOf(path)}-${theme}`);
        assert.equal(await fits(page), true, `${theme}: ${path} is wider than the window`);
        if (path !== "") continue;
        await page.locator(".map").evaluate((map) => map.scrollIntoView({ block: "center" }));
        await shoot(page, `scale-map-${theme}`);
      }
      assert.deepEqual(faults, [], theme);
      await context.close();
    }
    for (const line of times) console.log(`# ${line}`);
  });
});

describe("a node alone", { skip: skipFor(missing) }, () => {
  test("shows itself within a second to who comes for the first time", { timeout: 300_000 }, async () => {
    const place = temporary();
    const alone = new LoneNode("alone", place);
    await alone.prepare();
    alone.start();
    try {
      await alone.ready();
      writeFileSync(join(place, "one.yaml"), manifest("one"));
      await alone.mcpctl("apply", "-f", join(place, "one.yaml"));
      const address = await alone.mcpctl("dashboard", "--no-open");
      const { page, context } = await openPage(browser, undefined, { address });
      await page.locator(".map-row").waitFor();
      const loads = await loadsOf(browser, context, `${new URL(address).origin}/-/`, { most: BUSY });
      await context.close();
      assert.deepEqual(judgeLoads(loads, "a node alone"), []);
    } finally {
      await alone.end();
      remove(place);
    }
  });
});
