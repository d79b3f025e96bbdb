// Every page against a real Worker and played nodes: axe, screenshots in both themes and at a phone's width, hostile names and lines, what
// a viewer may not. Screenshots are kept in test-results (or $MCPFLEET_SHOTS), to be looked at.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { firstView } from "../../scripts/first_view.mjs";
import { judgeLoads, loadsOf } from "./budget.mjs";
import { missingBrowser, openBrowser, openPage, remove, signIn, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { condition, listenIn, nodeConditions, object, PlayedNode, playGateway, sample, server, toldSince } from "./played.mjs";
import { axe, axeInBoth, fits, nameOf, PAGES, settled, shoot } from "./walk.mjs";

const skip = skipFor(missingBrowser);
const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'}\${{constructor}}`;
const crash = {
  conditions: [
    condition("Accepted", "True", "Accepted"),
    condition("Available", "False", "CrashLoopBackOff", HOSTILE),
    condition("Ready", "False", "CrashLoopBackOff", `exit code 1, started again in 40 s; last words: ${HOSTILE}`),
  ],
  restarts: { count: 14, lastExitCode: 1, lastReason: "Error", lastAt: "2026-11-28T15:00:00Z", stderrTail: `Traceback:\n  ${HOSTILE}` },
  instances: [{ id: "0123456789abcdef", runtime: "Process", state: "Exited", revision: "b".repeat(64), startedAt: "2026-11-28T15:00:00Z" }],
};
const unpinned = { conditions: [...server("maps").conditions, condition("ToolsPinned", "False", "ToolsChanged", "changed: find; not pinned: wipe")] };
const TOOLS = [
  { name: "find", title: HOSTILE, description: HOSTILE, inputSchema: { type: "object", properties: { [HOSTILE]: { type: "string", description: HOSTILE } } } },
  { name: "wipe", description: "removes all", inputSchema: { type: "object" }, annotations: { destructiveHint: true } },
];
const FULL = nodeConditions(condition("DiskPressure", "True", "LittleSpace", "12 MiB are free below the state directory"));
// Where it is placed: on three of the four, as the nodes say it.
const EDGES = ["edge-01", "edge-02", "edge-03", "edge-04"];
const placed = (at) => ({ placement: { nodes: EDGES.filter((_, index) => (at + index) % 4 !== 3) } });
const NAMES = ["weather", "filesystem", "github", "calendar", "search", "postgres", "browser", "mail", "notes", "translate", "maps", "metrics"];

let dir, worker, browser, gateway;
const nodes = [];

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir, { downAfterSeconds: 3600 }); // played nodes say nothing for long
  browser = await openBrowser();
});
after(async () => {
  if (skip) return;
  for (const node of nodes) node.close();
  await gateway?.end();
  await browser.close();
  await worker.end();
  remove(dir);
});

describe("the dashboard", { skip, concurrency: 1 }, () => {
  test("without a session shows a page to sign in at, and says when a token is wrong", async () => {
    const { page, context, faults } = await openPage(browser, worker);
    await page.getByLabel("API token").waitFor();
    await axeInBoth(page, "sign in", (theme) => shoot(page, `sign-in-${theme}`));
    await page.getByLabel("API token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known").waitFor();
    await axeInBoth(page, "a wrong token");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("of an empty fleet says what to do", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    await page.getByText("An empty fleet").waitFor();
    await axeInBoth(page, "empty overview", (theme) => shoot(page, `empty-overview-${theme}`));
    for (const [path, text] of [["servers", "No servers yet"], ["nodes", "No nodes yet"], ["alerts", "Nothing is wrong"], ["alerts?tab=past", "how long it lasted"], ["history", "Each apply is a version here"], ["audit", "Who applies, restarts, enrols"], ["servers/default/none", "There is no server none"], ["nowhere", "No such page"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByText(text).first().waitFor();
      await axeInBoth(page, path, (theme) => shoot(page, `empty-${path.replaceAll("/", "-")}-${theme}`));
    }
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has every page accessible in both themes and on a phone", { timeout: 900_000 }, async () => {
    await worker.call("POST", "/v1/changes", {
      body: {
        message: "the first servers",
        set: [...NAMES.map((name, index) => object(name, { ...placed(index), ...(name === "maps" ? { tools: { pins: { find: `sha256:${"0".repeat(64)}` } } } : {}) }, { labels: { tier: index % 3 === 0 ? "gold" : "silver" } })), ...["01", "02", "03", "04"].map((each) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: `edge-${each}`, labels: { site: each < "03" ? "berlin" : "oslo" } } }))],
      },
    });
    await worker.call("POST", "/v1/changes", { body: { message: `weather v2 ${HOSTILE}`, set: [object("weather", { ...placed(0), args: ["--units", "metric", HOSTILE] }, { labels: { tier: "gold" }, annotations: { note: HOSTILE } })] } });
    await worker.call("POST", "/v1/nodes/edge-04/cordon");
    for (const each of ["01", "02", "03", "04"]) nodes.push(await new PlayedNode(worker, `edge-${each}`).connect());
    const generation = { weather: 2 };
    for (const [index, node] of nodes.entries())
      node.say(NAMES.filter((_, at) => (at + index) % 4 !== 3).map((name) => server(name, { observedGeneration: generation[name] ?? 1, ...(name === "github" || (name === "search" && index === 1) ? crash : name === "maps" ? unpinned : {}) })), { ...(index === 2 ? { conditions: FULL } : {}), acceptedHead: index === 2 ? "0.1.2" : "0.1.3", version: index === 1 ? HOSTILE.slice(0, 60) : "1.5.0" });
    const time = "2026-11-28T14:00:00Z";
    for (const node of nodes)
      node.events = [
        { time, firstTime: "2026-11-28T10:00:00Z", type: "Warning", reason: "BackOff", message: `waits 40s; ${HOSTILE}`, count: 7 },
        { time: "2026-11-28T09:00:00Z", firstTime: "2026-11-28T09:00:00Z", type: "Normal", reason: "Started", message: "instance 0123 started", count: 1 },
      ];
    gateway = await playGateway(TOOLS, HOSTILE);
    await worker.call("PATCH", "/v1/nodes/edge-01", { body: { tunnel: gateway.url } });
    nodes[3].close();
    await until("edge-04 is gone", async () => !(await worker.call("GET", "/v1/nodes/edge-04")).connected);
    const raised = await until("github loops on two nodes", async () => {
      const loops = (await worker.call("GET", "/v1/alerts")).filter(({ kind, subject }) => kind === "CrashLoop" && subject.endsWith("/github"));
      return loops.length > 1 && loops;
    });
    await worker.call("POST", "/v1/alerts/acknowledge", { body: { key: raised[0].key } });
    const minutesAgo = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
    await nodes[0].store(Array.from({ length: 120 }, (_, at) => ({ server: at % 3 === 0 ? "mail" : "weather", stream: at % 5 === 0 ? "stderr" : "stdout", time: minutesAgo(14 - at / 10), text: at % 7 === 0 ? `a line that is longer than the others, as of a stack or a request: ${"x".repeat(200)} ${HOSTILE}` : `played line ${at}` })));
    const [{ snapshot }] = await worker.call("GET", "/v1/desired/history");
    const pages = [...PAGES, `history?at=${snapshot}`];
    for (const [name, options] of Object.entries({ light: {}, dark: { theme: "dark" }, phone: { width: 390, height: 844 } })) {
      const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, ...options });
      for (const path of pages) {
        await page.goto(`${worker.url}/-/${path}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await settled(page);
        // Not the pictures of what has nothing in it.
        if (path.includes("logs")) await page.locator(".log-text").filter({ hasText: "played line" }).first().waitFor();
        if (path === "alerts?tab=seen") await page.getByText("acknowledged by").waitFor();
        if (path.startsWith("history?")) {
          await page.locator("details.difference summary").first().click();
          await page.locator(".cm-merge-revert, .cm-editor, .cm-content").first().waitFor();
        }
        // Widths change no colour and no name: on the phone a few pages stand for all.
        if (name !== "phone" || ["", "servers", "alerts"].includes(path)) await axe(page, `${name}: ${path}`);
        await shoot(page, `${nameOf(path.replace(snapshot, "chosen"))}-${name}`);
        assert.equal(await fits(page), true, `${name}: ${path} is wider than the window`);
        assert.equal(await page.evaluate(() => window.hacked), undefined, path);
      }
      assert.deepEqual(faults, [], name);
      await context.close();
    }
  });

  test("has on a phone what is chosen, said and pressed in view, and as large as a finger needs", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, width: 390, height: 844 });
    const see = async (path) => {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await settled(page);
      const small = await page.evaluate(() => [...document.querySelectorAll(".button, .segments button, [role=tab], select, input:not([type=checkbox])")].filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 40).map((each) => each.outerHTML.slice(0, 120)));
      assert.deepEqual(small, [], `${path}: too small to touch`);
    };
    const box = (locator) => locator.evaluate((element) => element.getBoundingClientRect().toJSON());
    const rowsOf = async (locator) => new Set((await locator.evaluateAll((all) => all.filter((each) => each.checkVisibility()).map((each) => Math.round(each.getBoundingClientRect().bottom))))).size;
    await see("servers/default/weather?tab=history");
    const chosen = await box(page.getByRole("tab", { selected: true }));
    assert.ok(chosen.left >= 0 && chosen.right <= 390, "the chosen tab is seen");
    assert.match(await page.getByRole("tablist").getAttribute("data-more"), /before/);
    assert.equal(await page.locator(".facts").getByText("Protocol").isVisible(), false);
    await page.getByRole("button", { name: "More facts" }).click();
    await page.locator(".facts").getByText("Protocol").waitFor();
    await see("servers/default/weather?tab=yaml");
    assert.ok((await box(page.getByRole("button", { name: "Copy the manifest" }))).bottom <= (await box(page.locator("pre.output"))).top, "no button on the text");
    await see("logs");
    for (const from of ["edge-01 mail", "edge-01 weather"]) await page.locator(".log-from").getByText(from, { exact: true }).first().waitFor();
    assert.ok((await rowsOf(page.locator("main :is(input, select, .button)"))) <= 3, "little is taken by what is chosen");
    await page.getByRole("button", { name: "Download" }).waitFor();
    await see("apply");
    assert.equal(await rowsOf(page.locator(".page-tools > :is(select, button)")), 1);
    assert.equal(await page.getByText("Ctrl-Enter").isVisible(), false, "there are no such keys");
    await see("audit");
    const list = page.getByRole("region", { name: "Audit list, scrolls" });
    assert.equal(await list.evaluate((each) => each.scrollWidth <= each.clientWidth), true);
    await list.getByText("changed").first().waitFor();
    // More alerts than there is room to count, beside the bell.
    const [alert] = await worker.call("GET", "/v1/alerts");
    await page.route("**/v1/alerts*", (route) => route.fulfill({ json: { success: true, errors: [], messages: [], result: Array.from({ length: 120 }, (_, at) => ({ ...alert, key: `${alert.key}${at}`, cleared: null, acknowledged: null })) } }));
    await see("alerts");
    const count = page.getByRole("navigation", { name: "Main" }).getByLabel("120 open");
    await count.getByText("99+", { exact: true }).waitFor();
    assert.ok((await box(count)).left >= (await box(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Alerts/ }).locator("svg"))).right);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has the end of a log at the end of the window, and no empty box of a short one", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    const log = page.locator(".log");
    const seen = () => log.evaluate((box) => ({ below: innerHeight - box.getBoundingClientRect().bottom, height: box.clientHeight, left: box.scrollHeight - box.clientHeight - box.scrollTop, page: document.documentElement.scrollHeight - innerHeight }));
    for (const path of ["servers/default/weather?tab=logs", "logs"]) {
      await page.goto(`${worker.url}/-/${path}`);
      let now;
      await until(path, async () => ((now = await seen()), now.below >= 0 && now.below < 60 && now.left < 2 && now.page === 0), 10_000).catch(() => assert.fail(`${path}: ${JSON.stringify(now)}`));
    }
    await page.goto(`${worker.url}/-/servers/default/weather?tab=logs&q=played line 11`);
    await log.getByText("played line 118").waitFor();
    assert.ok((await seen()).height < 250, "as high as its lines");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("is useful within a second, and is busy for little of it, also for who never was here", { timeout: 600_000 }, async () => {
    const { context } = await openPage(browser, worker, { token: worker.viewer });
    const loads = await loadsOf(browser, context, `${worker.url}/-/`, { most: 4 });
    for (const { files } of loads.cold) {
      assert.ok(files.length >= 3 && files.every(({ fetched }) => fetched), `a cold load fetches each file: ${JSON.stringify(files)}`);
      // What the size budget counts is what a browser asks for.
      const counted = firstView().map((file) => `/-/${file}`);
      assert.deepEqual(files.map(({ path }) => path).filter((path) => !counted.includes(path)), [], "not counted by npm run size");
    }
    assert.deepEqual(judgeLoads(loads, "overview"), []);
    await context.close();
  });

  test("shows what nodes report before it has read all that is desired", async () => {
    const { page, context, faults } = await openPage(browser, worker);
    let release;
    const released = new Promise((resolve) => (release = resolve));
    await page.route("**/v1/desired/shards/*", async (route) => (await released, route.continue()));
    await signIn(page, worker.viewer);
    await page.locator(".map-row").first().waitFor();
    await page.getByRole("region", { name: "Needs attention" }).getByRole("link", { name: /github/ }).waitFor();
    release();
    await page.getByText("cordon edge-04").waitFor();
    await page.getByText(`${nodes.length} nodes · ${NAMES.length} servers`).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("shows what is wrong with a node that is Ready, and with tools that are not as pinned", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    const attention = page.getByRole("region", { name: "Needs attention" });
    await attention.getByRole("link", { name: /edge-03 Degraded Little space: 12 MiB are free/ }).waitFor();
    assert.equal(await attention.getByRole("link", { name: /edge-0[12]/ }).count(), 0, "a node that is well needs none");
    await page.getByText("2 ready, 1 offline, 1 degraded").waitFor();
    await page.getByText("cordon edge-04").waitFor();
    assert.deepEqual(await page.getByRole("list", { name: "Versions that nodes run" }).getByRole("listitem").allTextContents(), ["0.1.3: 2 nodes", "0.1.2: 1 node"]);
    await page.goto(`${worker.url}/-/nodes`);
    await page.getByRole("row", { name: /edge-03 Degraded · Little space/ }).waitFor();
    await page.getByRole("button", { name: "Status" }).click();
    assert.match(page.url(), /sort=health/);
    assert.match(await page.getByRole("row").nth(1).textContent(), /^edge-03/);
    await page.getByRole("link", { name: "edge-03" }).click();
    await page.locator(".facts .warn-text").getByText("0.1.2", { exact: true }).waitFor(); // it is behind
    const marks = page.getByRole("region", { name: "Conditions" }).getByRole("listitem");
    await marks.filter({ hasText: "Disk pressure" }).getByRole("img", { name: "not well", exact: true }).waitFor();
    for (const well of ["Memory", "Store reachable"]) await marks.filter({ hasText: well }).getByRole("img", { name: "well", exact: true }).waitFor();
    await page.goto(`${worker.url}/-/servers?q=pins`);
    await page.getByText(`1 of ${NAMES.length} servers`).waitFor();
    await page.getByRole("row", { name: /maps pins violated/ }).waitFor();
    await page.getByText("/default/maps/mcp").waitFor();
    await page.getByRole("link", { name: "maps" }).click();
    await page.getByText("Its tools are not as they are pinned: changed: find").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has a map that the keyboard walks", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    const squares = page.getByRole("group", { name: "Servers on edge-01" }).getByRole("link");
    await squares.first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    const at = page.locator(":focus");
    assert.equal(await at.getAttribute("aria-label"), await page.getByRole("group", { name: "Servers on edge-02" }).getByRole("link").last().getAttribute("aria-label"));
    assert.equal(await page.locator(".map-cells a[tabindex='0']").count(), 1, "one stop of the tab key");
    assert.match(await page.locator(".map-cells .cell.failing").first().getAttribute("aria-label"), /github: Not ready/);
    await page.keyboard.press("Enter");
    await page.waitForURL(/servers\/default\//);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("shows a viewer what tools there are, and runs none", async () => {
    const seen = await openPage(browser, worker, { token: worker.viewer });
    await seen.page.goto(`${worker.url}/-/servers/default/maps?tab=tools`);
    await seen.page.getByText("an operator runs it").waitFor();
    assert.equal(await seen.page.getByRole("button", { name: "Run" }).count(), 0);
    await seen.page.getByRole("button", { name: /^find changed/ }).waitFor();
    await seen.page.getByRole("button", { name: /^wipe not pinned/ }).waitFor();
    await axe(seen.page, "tools of a viewer");
    // Nor by request.
    const status = await seen.page.evaluate(async () => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "wipe", arguments: {} } });
      return (await fetch("/default/maps/mcp", { method: "POST", body, headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream" } })).status;
    });
    assert.equal(status, 403);
    await seen.context.close();
    assert.deepEqual(gateway.calls, []);
  });

  test("shows hostile text as text", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    await page.goto(`${worker.url}/-/servers/default/github`);
    await page.getByText("Traceback:").first().waitFor();
    assert.ok((await page.locator("pre.output").first().textContent()).includes(HOSTILE));
    await page.goto(`${worker.url}/-/servers/default/weather?tab=logs`);
    await page.getByText("Following").waitFor();
    const live = page.locator(".log-text").getByText(HOSTILE, { exact: true });
    await until("the follow has come to the node", async () => {
      nodes[0].log("weather", [{ time: new Date().toISOString(), text: HOSTILE, stream: "stderr" }]);
      return (await live.count()) > 0; // after those that were stored
    });
    assert.equal(await live.first().textContent(), HOSTILE);
    await page.goto(`${worker.url}/-/servers/default/maps?tab=tools&tool=find`);
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".result pre").waitFor();
    assert.equal(await page.locator(".result pre").first().textContent(), HOSTILE);
    assert.equal(await page.locator(".try .description").textContent(), HOSTILE);
    assert.equal(await page.getByLabel(HOSTILE).count(), 1, "a field with that name");
    // What could be shown without asking is refused before: a label's value is a word.
    const refused = await worker.request("POST", "/v1/changes", { body: { message: "", set: [object("labelled", {}, { labels: { tier: HOSTILE } })] } });
    assert.equal(refused.ok, false);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("shows what a server uses while somebody looks, and its node is told when nobody does", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.goto(`${worker.url}/-/servers/default/weather?tab=usage`);
    for (const chart of [/^CPU over the last hour: from .* cores/, /^Memory .* MiB/, /^Sessions /, /^Tool calls a minute .*Calls from .*; Failed /, /^Time of tool calls .*p50.*ms.*p99/]) await page.getByRole("img", { name: chart }).waitFor();
    await page.getByText("Live, every 5 s").waitFor();
    await page.getByText(`waits 40s; ${HOSTILE}`).waitFor();
    // It is on several nodes: one of them is asked, and only that one.
    assert.deepEqual(nodes.slice(0, 3).map(({ measured }) => measured.length), [1, 0, 0]);
    nodes[0].use([{ namespace: "default", server: "weather", samples: [sample(Date.now() + 5000, { seconds: 5, cpu: 3.5, calls: 2, errors: 1 })], events: [{ ...nodes[0].events[0], time: "2026-11-28T14:05:00Z", count: 8 }] }]);
    await page.getByRole("img", { name: /CPU .* now 3.5 cores/ }).waitFor();
    await page.getByText("50.00 % failed").waitFor();
    await page.getByRole("row", { name: /Warning Back off .* 8$/ }).waitFor();
    assert.equal(await page.getByRole("row", { name: /Warning Back off/ }).count(), 1, "the same event, once more");
    await page.getByText("Figures as a table").click();
    await page.getByRole("cell", { name: "3.5 cores" }).waitFor();
    await axe(page, "usage with its table");
    await page.getByRole("combobox", { name: "Node" }).selectOption("edge-03");
    await until("the other node is asked", () => nodes[2].measured.length === 1 && nodes[0].measured.length === 0);
    await page.getByRole("img", { name: /^CPU .* now/ }).waitFor();
    await page.goto(`${worker.url}/-/nodes/edge-02`);
    await page.getByRole("rowheader", { name: /servers$/ }).waitFor();
    assert.ok((await page.getByRole("row", { name: /weather|filesystem/ }).count()) > 0);
    await until("the node is looked at, the server no more", () => nodes[1].measured.some(({ server: name }) => name === undefined) && nodes[2].measured.length === 0);
    await axe(page, "node with usage");
    await context.close();
    await until("nobody looks any more", () => nodes[1].measured.length === 0);
    assert.deepEqual(faults, []);
  });

  test("says what to do when a node tells no figures, or is away", { timeout: 300_000 }, async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.viewer });
    nodes[0].tellsUsage = false;
    await page.goto(`${worker.url}/-/servers/default/filesystem?tab=usage`);
    await page.getByText("edge-01 does not answer").waitFor();
    await axe(page, "usage without an answer");
    await shoot(page, "usage-no-answer-light");
    nodes[0].tellsUsage = true;
    await page.getByRole("combobox", { name: "Node" }).selectOption({ label: "edge-04 (offline)" });
    await page.getByText("edge-04 is offline").waitFor();
    await axe(page, "usage of a node that is away");
    await shoot(page, "usage-offline-light");
    await context.close();
  });

  test("filters, sorts and opens by keyboard, and the address keeps it", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("tier=gold");
    await page.getByText(`4 of ${NAMES.length} servers`).waitFor();
    assert.match(page.url(), /q=tier/);
    await page.getByRole("button", { name: "Name" }).click();
    assert.equal(await page.getByRole("columnheader", { name: "Name" }).getAttribute("aria-sort"), "descending");
    await page.getByRole("link", { name: "weather" }).click();
    await page.getByRole("heading", { name: "weather", level: 1 }).waitFor();
    await page.goBack();
    await page.getByText(`4 of ${NAMES.length} servers`).waitFor();
    await page.locator("main").focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await axe(page, "keys");
    await page.keyboard.press("Escape");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has dialogs, an editor with faults and failures that are accessible in both themes", { timeout: 600_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    const both = (name) => axeInBoth(page, name, (theme) => shoot(page, `${name}-${theme}`));
    const dialog = page.getByRole("alertdialog");
    for (const [path, button, name] of [["servers/default/weather", "Restart", "dialog-restart"], ["servers/default/weather", "Delete", "dialog-delete"], ["nodes/edge-02", "Revoke", "dialog-revoke"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("button", { name: button, exact: true }).click();
      await dialog.waitFor();
      await both(name);
      // One that fails says why, in the dialog.
      if (button === "Restart") {
        await page.route("**/restart", (route) => route.fulfill({ status: 503, json: { success: false, errors: [{ code: 1, message: "the store is away" }], messages: [], result: null } }));
        await dialog.getByRole("button", { name: "Restart" }).click();
        await dialog.getByText("Not restarted: the store is away").waitFor();
        await both("dialog-failed");
      }
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    }
    await page.goto(`${worker.url}/-/nodes`);
    await page.getByRole("button", { name: "Enrol a node" }).click();
    const enrol = page.getByRole("dialog");
    await enrol.getByLabel("Name", { exact: true }).fill("EDGE");
    await enrol.getByRole("button", { name: "Make a join token" }).click();
    await enrol.getByText("A name has lower-case letters").waitFor();
    assert.match(await enrol.getByLabel("Name", { exact: true }).evaluate((field) => `${field.ariaInvalid} ${document.activeElement === field} ${document.getElementById(field.getAttribute("aria-describedby")).textContent}`), /^true true A name has lower-case letters/);
    await both("enrol-problem");
    await enrol.getByLabel("Name", { exact: true }).fill("edge-09");
    await enrol.getByRole("button", { name: "Make a join token" }).click();
    await enrol.getByText("mcplet join").waitFor();
    await both("enrol-command");
    await enrol.getByRole("button", { name: "End the token" }).click();
    await enrol.waitFor({ state: "detached" });
    await page.goto(`${worker.url}/-/apply`);
    const write = async (text) => {
      await page.locator(".cm-content").click();
      await page.keyboard.press("ControlOrMeta+a");
      await page.evaluate((value) => navigator.clipboard.writeText(value), text);
      await page.keyboard.press("ControlOrMeta+v");
    };
    await write("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: bad}\nspec:\n  source: {image: {ref: 'ghcr.io/example/bad:1'}}\n  sesions: 5\n");
    await page.locator(".verdict.bad-text").getByText("1 problem: spec.sesions: is no known field, did you mean sessions?", { exact: true }).waitFor();
    assert.equal(await page.locator(".cm-lintRange-error").textContent(), "sesions");
    await page.locator(".cm-lintRange-error").first().hover();
    await page.locator(".cm-tooltip-lint").waitFor();
    await both("editor-fault");
    await page.mouse.move(0, 0);
    await write("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: translate}\nspec:\n  su");
    await page.keyboard.press("Control+Space");
    await page.locator(".cm-tooltip-autocomplete").waitFor();
    await both("editor-completion");
    await page.keyboard.press("Escape");
    await write("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: translate}\nspec:\n  source: {image: {ref: 'ghcr.io/example/translate:2'}}\n");
    await page.getByText("Nothing is wrong with it").waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    const review = page.getByRole("dialog", { name: "1 change" });
    await review.locator(".cm-editor, .cm-mergeView").first().waitFor();
    await both("review");
    await page.keyboard.press("Escape");
    await review.waitFor({ state: "detached" });
    // What failed, of a page and of a part of one.
    await page.route("**/v1/alerts*", (route) => route.fulfill({ status: 500, json: { success: false, errors: [{ code: 1, message: "the store is away" }], messages: [], result: null } }));
    await page.route("**/v1/logs*", (route) => route.fulfill({ status: 500, json: { success: false, errors: [{ code: 1, message: "the bucket is away" }], messages: [], result: null } }));
    for (const [path, text] of [["alerts", "the store is away"], ["logs", "the bucket is away"], ["servers/default/weather?tab=logs", "the bucket is away"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByText(text).first().waitFor();
      // One that is followed goes on.
      if (path.startsWith("servers")) await page.getByRole("heading", { name: "Stored lines could not be read; new ones will appear here" }).waitFor();
      await both(`failed-${path.replaceAll(/[/?=]+/g, "-")}`);
    }
    assert.deepEqual(faults, []);
    await context.close();
    // Without a connection from the beginning, and of a server that has none.
    const away = await openPage(browser, worker, { token: worker.viewer });
    await away.page.routeWebSocket(/v1\/watch/, (socket) => void socket.close({ code: 1011 }));
    await away.page.goto(`${worker.url}/-/`);
    await away.page.getByText("There is no answer. Look whether this machine is online").waitFor();
    await axeInBoth(away.page, "no connection", (theme) => shoot(away.page, `offline-${theme}`));
    await away.context.close();
  });

  test("lets a viewer see and nothing else, by button and by request", { timeout: 600_000 }, async () => {
    await worker.call("POST", "/v1/servers/default/metrics/suspend");
    const ofServer = ["Restart", "Suspend", "Delete"];
    const ofNode = ["Drain", "Rotate", "Revoke", "Forget", "Set", /^Host name of its tunnel/];
    // What acts, page by page: an operator has exactly that, a viewer all the rest and nothing of it. Of other pages nothing acts.
    const acts = {
      "servers": ["Apply a manifest"],
      ...Object.fromEntries(PAGES.filter((path) => /^servers\/default\/\w/.test(path)).map((path) => [path, ofServer])),
      "servers/default/maps?tab=tools": [...ofServer, "Run", "As JSON", /^<img src=x/], // a field of the form
      "servers/default/weather?tab=yaml": [...ofServer, "Edit"],
      "servers/default/metrics": ["Restart", "Resume", "Delete"],
      "nodes": ["Enrol a node"],
      "nodes/edge-02": ["Cordon", ...ofNode],
      "nodes/edge-03": ["Cordon", ...ofNode],
      "nodes/edge-04": ["Uncordon", ...ofNode],
      "alerts": ["Acknowledge", "Acknowledge all #"],
      "apply": ["Review"],
      "history": ["Roll back"],
    };
    // Names of all that can be used on a page: buttons and what looks like them, fields that take something. Numbers change meanwhile.
    const usable = async (page) => {
      const all = await page.evaluate(() =>
        [...document.querySelectorAll("button, a.button, summary, [role=button], [role=menuitem], [contenteditable=true], input:enabled, textarea:enabled, select:enabled")]
          .filter((element) => element.checkVisibility())
          .map((element) => element.getAttribute("aria-label") ?? (element.labels?.length > 0 ? element.labels[0].textContent : element.matches("select, [contenteditable]") ? element.title : element.textContent)),
      );
      return [...new Set(all.map((name) => name.replaceAll(/\d+/g, "#").trim()))].sort();
    };
    const isOne = (name, list) => list.some((each) => (each instanceof RegExp ? each.test(name) : each === name));
    const see = async (page, path) => {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await settled(page);
    };
    const seen = new Map();
    const [operator, viewer] = [await openPage(browser, worker, { token: worker.operator }), await openPage(browser, worker, { token: worker.viewer })];
    for (const path of new Set([...PAGES, ...Object.keys(acts)])) {
      const own = acts[path] ?? [];
      await see(operator.page, path);
      const all = await until(`${path}: an operator may ${own.join(", ")}`, async () => {
        const names = await usable(operator.page);
        return own.every((each) => names.some((name) => isOne(name, [each]))) && names;
      }, 20_000);
      seen.set(path, { heading: await operator.page.getByRole("heading", { level: 1 }).first().textContent(), rest: all.filter((name) => !isOne(name, own)) });
      assert.ok(seen.get(path).rest.includes("Sign out"), path);
    }
    const { page } = viewer;
    for (const [path, { heading, rest }] of seen) {
      await see(page, path);
      assert.equal(await page.getByRole("heading", { level: 1 }).first().textContent(), heading, path);
      let names;
      await until(path, async () => (names = await usable(page)).length === rest.length, 10_000).catch(() => undefined);
      assert.deepEqual(names, rest, `what a viewer may use at ${path}`);
    }
    // Nor by the keys that act.
    await see(page, "apply");
    await page.locator(".cm-content").click();
    await page.keyboard.press("Control+Enter");
    await page.getByText("Nothing is wrong with it").waitFor();
    assert.equal(await page.getByRole("dialog").count(), 0);
    const answers = await page.evaluate(async () => {
      const post = async (path, method = "POST", body) => (await fetch(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).status;
      return [
        await post("/v1/servers/default/weather/restart"),
        await post("/v1/servers/default/weather", "DELETE"),
        await post("/v1/servers/default/metrics/resume"),
        await post("/v1/nodes/edge-02/revoke"),
        await post("/v1/nodes/edge-02/cordon"),
        await post("/v1/nodes/edge-02/rotate"),
        await post("/v1/nodes/edge-02/tokens"),
        await post("/v1/nodes/edge-02", "PATCH", { tunnel: null }),
        await post("/v1/nodes/edge-02", "DELETE"),
        await post("/v1/changes", "POST", { set: [], remove: [{ kind: "MCPServer", namespace: "default", name: "weather" }] }),
        await post("/v1/rollback", "POST", {}),
        await post("/v1/alerts/acknowledge", "POST", { key: "x" }),
        await post("/v1/joins", "GET"),
      ];
    });
    assert.deepEqual(answers, Array(13).fill(403));
    assert.ok((await worker.call("GET", "/v1/servers")).some((each) => each.name === "weather"));
    await worker.call("POST", "/v1/servers/default/metrics/resume");
    for (const { context, faults } of [operator, viewer]) {
      assert.deepEqual(faults, []);
      await context.close();
    }
  });

  test("follows the fleet without a reload, and comes back after the connection was lost", async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.operator });
    // Its socket goes through here: one that is open lives on when a browser is set offline.
    const link = await listenIn(page);
    await page.goto(`${worker.url}/-/servers/default/notes`);
    await page.locator(".page-sub .badge.ready").waitFor();
    const failing = (bad) => nodes[0].say(NAMES.map((name) => server(name, name === "notes" && bad ? crash : {})), { acceptedHead: "0.1.3" });
    failing(true);
    await page.locator(".page-sub .badge.degraded").waitFor();
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByText("Following").waitFor();
    const { cursor } = link.heard.findLast(({ type }) => type === "delta" || type === "state");
    await link.cut();
    link.forget();
    await page.getByText("Connection lost").waitFor();
    await page.getByText("Not live: the connection is lost").waitFor();
    await page.getByRole("alert").getByText("what you see is what was known then").waitFor();
    failing(false);
    await nodes[0].store([{ server: "notes", time: new Date().toISOString(), text: "while nobody listened" }]);
    assert.equal(await page.locator(".page-sub .badge.degraded").count(), 1, "it does not know yet");
    link.kept = false;
    await page.locator(".page-sub .badge.ready").waitFor();
    await page.getByText("Following").waitFor();
    await page.locator(".log-text").getByText("while nobody listened").waitFor();
    // It said what it had seen, and was told what changed since: of the one node that spoke.
    const told = toldSince(link);
    assert.deepEqual([told.since, told.whole], [cursor, [false]]);
    assert.deepEqual(told.servers, { "edge-01": NAMES, "edge-02": null, "edge-03": null, "edge-04": null });
    await context.close();
  });

  test("reads logs from the newest back, of a time that the address keeps, and saves all of it", { timeout: 300_000 }, async () => {
    const begin = Date.parse("2026-11-20T00:00:00Z");
    for (let part = 0; part < 6; ++part)
      await nodes[0].store(Array.from({ length: 1000 }, (_, at) => ({ server: "mail", time: new Date(begin + (part * 1000 + at) * 1000).toISOString(), text: `line ${part * 1000 + at}` })));
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.goto(`${worker.url}/-/logs?server=default/mail&from=2026-11-20T00:00:00Z&until=2026-11-20T02:00:00Z`);
    await page.locator(".log-text").getByText("line 5999", { exact: true }).waitFor();
    await page.getByText("Not live: this time has an end").waitFor();
    await axe(page, "logs of a chosen time");
    await shoot(page, "logs-chosen-light");
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    const text = readFileSync(await (await saved).path(), "utf8").trim().split("\n");
    assert.equal(text.length, 6000, "also what was not shown");
    assert.ok(text[0].endsWith("line 0") && text.at(-1).endsWith("line 5999"));
    await page.getByText(/^Lines since /).waitFor();
    // In the page: between a look and a click from here the last part may have come, and the button gone.
    await page.waitForFunction(
      () => {
        const older = document.querySelector(".older");
        older?.querySelector("button:enabled")?.click();
        return older === null;
      },
      undefined,
      { polling: 200 },
    );
    await page.locator(".log").evaluate((box) => (box.scrollTop = 0));
    await page.locator(".log-text").getByText("line 0", { exact: true }).waitFor();
    // Another end: what is after it is gone, the address has it.
    const shown = await page.evaluate(() => {
      const at = new Date("2026-11-20T00:10:00Z");
      return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    });
    await page.getByLabel("Until").fill(shown);
    await page.getByLabel("Until").press("Enter");
    await page.locator(".log-text").getByText("line 599", { exact: true }).waitFor();
    assert.match(decodeURIComponent(page.url()), /until=2026-11-20T00:10:00/);
    await page.goto(`${worker.url}/-/servers/default/mail?tab=logs&range=7d&q=nothing`);
    assert.equal(await page.getByRole("searchbox").inputValue(), "nothing");
    assert.equal(await page.getByRole("combobox", { name: "Time" }).inputValue(), "7d");
    await page.goto(`${worker.url}/-/logs`);
    await page.getByText("Choose a server to follow it live").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has the whole history, fifty versions at a time, and keeps the tab of alerts in the address", { timeout: 300_000 }, async () => {
    for (let count = 0; count < 55; ++count) await worker.call("POST", "/v1/changes", { body: { message: `notes ${count}`, set: [object("notes", { args: [String(count)] })] } });
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.goto(`${worker.url}/-/history`);
    await page.locator(".chip").getByText("in force").waitFor();
    assert.equal(await page.locator("ol.versions > li").count(), 50);
    const { head, snapshot } = await worker.call("GET", "/v1/desired");
    assert.equal(await page.locator(".page-sub").textContent(), `Version ${head} is in force: ${snapshot.slice(0, 12)}`);
    await page.getByRole("button", { name: "Older versions" }).click();
    await page.getByText("the first servers").waitFor();
    assert.equal(await page.getByRole("button", { name: "Older versions" }).count(), 0);
    await page.goto(`${worker.url}/-/servers/default/weather?tab=history`);
    await page.getByRole("button", { name: "Look at older versions" }).click();
    await page.getByText("the first servers").waitFor();
    await page.goto(`${worker.url}/-/alerts`);
    await page.getByRole("tab", { name: /^Past/ }).click();
    assert.match(page.url(), /tab=past/);
    await page.reload();
    assert.equal(await page.getByRole("tab", { name: /^Past/ }).getAttribute("aria-selected"), "true");
    assert.deepEqual(faults, []);
    await context.close();
  });
});
