// What the fleet looks like at a glance: how many are ready, by mcpctl's own count; what needs attention and in what order; what can't be read.
// Real Worker, real mcpctl where it is there, played nodes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { deadline, missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { condition, PlayedNode, server } from "./played.mjs";
import { axe, shoot } from "./walk.mjs";

const skip = skipFor(missingBrowser);
const mcpctlFile = join(process.env.MCPFLEET_BIN ?? "", "mcpctl");
const skipMcpctl = skipFor(existsSync(mcpctlFile) ? [] : [mcpctlFile]);
const MINUTE = 60_000;
const run = promisify(execFile);
const spec = (name) => ({ source: { image: { ref: `ghcr.io/example/${name}:1.4.2` } } });
const object = (name, placement, labels) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name, ...(labels === undefined ? {} : { labels }) }, spec: { ...spec(name), ...(placement === undefined ? {} : { placement }) } });
const declared = (name, labels = {}) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name, labels } });
const failing = { conditions: [condition("Accepted", "True", "Accepted"), condition("Ready", "False", "PullFailed", "no such image")] };

let dir, worker, browser;
const nodes = [];
before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(join(dir, "worker"));
  browser = await openBrowser();
});
after(async () => {
  if (skip) return;
  for (const node of nodes) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

async function mcpctl(words, input = "") {
  const started = run(mcpctlFile, words, { env: { ...process.env, MCPFLEET_CONFIG: join(dir, "contexts") }, timeout: deadline });
  started.child.stdin.end(input);
  return (await started).stdout;
}
const change = (set, message = "") => worker.call("POST", "/v1/changes", { body: { message, set } });
const refuse = (status, message) => (route) => route.fulfill({ status, json: { success: false, errors: [{ code: 1, message }], messages: [], result: null } });

describe("at a glance", { skip, concurrency: 1 }, () => {
  test("an empty fleet tells a viewer of no button that he does not have", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText("An operator lets machines in").waitFor();
    assert.equal(await page.getByRole("link", { name: "Enrol the first node" }).count(), 0);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("servers are counted as mcpctl counts them", { timeout: 300_000 }, async () => {
    for (const name of ["edge-01", "edge-02", "edge-03", "edge-04"]) nodes.push(await new PlayedNode(worker, name).connect());
    const many = Array.from({ length: 12 }, (_, at) => `some-${at}`);
    await change(
      [
        ...["edge-01", "edge-02", "edge-03", "edge-04"].map((name) => declared(name, { site: name < "edge-03" ? "berlin" : "oslo" })),
        ...many.map((name) => object(name, { replicas: 2 })), // each is on three of the four: who counts is by hashes
        object("few", { replicas: 3, nodeSelector: { site: "berlin" } }),
        object("all", undefined, { tier: "gold", owner: "ada" }),
        object("lost", { nodes: ["edge-01", "edge-02"] }),
        object("behind", { nodes: ["edge-01", "edge-02"] }),
      ],
      "the first servers",
    );
    await change([{ ...object("behind", { nodes: ["edge-01", "edge-02"] }), spec: { ...spec("behind"), args: ["--new"], placement: { nodes: ["edge-01", "edge-02"] } } }], "behind v2");
    await worker.call("POST", "/v1/nodes/edge-04/cordon");
    for (const [index, node] of nodes.entries())
      node.say(
        [
          ...many.filter((_, at) => (at + index) % 4 !== 3).map((name, at) => server(name, at % 5 === 4 ? failing : {})),
          server("all", { serverInfo: { name: "played", version: "1", protocolVersion: index === 0 ? "2025-06-18" : "2025-11-25" } }),
          ...(index < 2 ? [server("few"), server("behind", { observedGeneration: index === 0 ? 2 : 1 })] : []),
          ...(index === 0 ? [server("lost")] : []),
        ],
        { acceptedHead: "0.1.3" },
      );
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer, address: `${worker.url}/-/servers` });
    await page.getByText("16 servers").waitFor();
    assert.deepEqual(await page.getByRole("columnheader").allTextContents(), ["Name", "Status", "Ready", "Nodes", "Tools", "Protocol", "Restarts", "Endpoint, source", "Labels", "Age"]);
    const shown = async () => Object.fromEntries(await page.locator(".table-body [role=row]").evaluateAll((rows) => rows.map((row) => [row.querySelector("a").textContent, [...row.querySelectorAll("[role=cell]")][2].textContent])));
    const by = { all: "4/4", behind: "1/2", few: "2/3", lost: "1/2" };
    const seen = async () => {
      const rows = await shown();
      return Object.fromEntries(Object.keys(by).map((name) => [name, rows[name]]));
    };
    await until("what nodes say is there", async () => JSON.stringify(await seen()) === JSON.stringify(by), 20_000).catch(() => undefined);
    assert.deepEqual(await seen(), by);
    await page.getByRole("row", { name: /few Degraded · Too few nodes/ }).waitFor();
    await page.getByRole("row", { name: /behind Pending · Progressing/ }).waitFor();
    await page.getByRole("row", { name: /lost Pending · Not reported/ }).getByTitle("edge-01, edge-02 (not yet)").getByText("2 nodes").waitFor();
    // Labels are chips; a protocol is a column to sort by.
    const all = page.getByRole("row", { name: /^all / });
    assert.deepEqual((await all.locator(".labels .chip").allTextContents()).sort(), ["owner=ada", "tier=gold"]);
    await all.getByRole("cell", { name: "2025-06-18" }).waitFor();
    await page.getByRole("button", { name: "Protocol" }).click();
    assert.match(page.url(), /sort=protocol/);
    await page.locator(".table-body [role=row]").first().filter({ hasText: "2025-06-18" }).waitFor();
    await axe(page, "servers");
    await shoot(page, "glance-servers-light");
    if (!skipMcpctl) {
      await mcpctl(["config", "set-context", "here", "--server", worker.url, "--token-stdin", "--use"], `${worker.operator}\n`);
      const told = Object.fromEntries((await mcpctl(["get", "mcpservers"])).trim().split("\n").slice(1).map((line) => line.split(/\s+/).slice(0, 2)));
      assert.deepEqual(await shown(), told);
    }
    // An address of a thing that every object has is no status.
    await page.goto(`${worker.url}/-/servers?health=toString`);
    await page.getByText("16 servers").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("a roll-out is Ready when every node has it, not the first", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/apply` });
    await page.locator(".cm-content").click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.evaluate((text) => navigator.clipboard.writeText(text), JSON.stringify({ ...object("behind", { nodes: ["edge-01", "edge-02"] }), spec: { ...spec("behind"), args: ["--newest"], placement: { nodes: ["edge-01", "edge-02"] } } }));
    await page.keyboard.press("ControlOrMeta+v");
    await page.getByText("Nothing is wrong with it").waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    const card = page.getByRole("region", { name: "On its way" });
    await card.getByText("0 of 2 on generation 3").waitFor();
    const has = (node, generation) => node.say(node.servers.map((each) => (each.name === "behind" ? { ...each, observedGeneration: generation } : each)), { acceptedHead: "0.1.5" });
    has(nodes[0], 3);
    await card.getByText("1 of 2 on generation 3, 1 ready: edge-02 has not seen generation 3 yet").waitFor();
    assert.equal(await card.locator(".badge.ready").count(), 0, "one node lags behind");
    await card.locator(".badge.pending").waitFor();
    await shoot(page, "glance-rollout-light");
    has(nodes[1], 3);
    await card.getByText("2 of 2 on generation 3, 2 ready").waitFor();
    await card.locator(".badge.ready").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("what nobody takes needs attention after two minutes, and a node that never comes after ten", { timeout: 300_000 }, async () => {
    // So that nothing else is wrong.
    await worker.call("POST", "/v1/nodes/edge-04/uncordon");
    await worker.call("POST", "/v1/changes", { body: { message: "few left", set: [object("nowhere", { nodeSelector: { site: "mars" } }), declared("edge-09")], remove: [...Array.from({ length: 12 }, (_, at) => `some-${at}`), "few", "lost"].map((name) => ({ kind: "MCPServer", namespace: "default", name })) } });
    for (const [index, node] of nodes.entries()) node.say([server("all"), ...(index < 2 ? [server("behind", { observedGeneration: 3 })] : [])], { acceptedHead: "0.1.7" });
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText("5 nodes · 3 servers").waitFor();
    await page.getByText("Nothing needs attention").waitFor();
    const attention = page.getByRole("region", { name: "Needs attention" });
    await page.clock.setFixedTime(Date.now() + 3 * MINUTE);
    await page.reload();
    await attention.getByRole("link", { name: /nowhere Pending No node: no node matches its placement \(site=mars\)/ }).waitFor();
    assert.equal(await attention.getByRole("link").count(), 1);
    await page.clock.setFixedTime(Date.now() + 12 * MINUTE);
    await page.reload();
    await attention.getByRole("link", { name: /edge-09 Pending declared 1\dm ago and has never come/ }).waitFor();
    assert.deepEqual((await attention.locator("strong").allTextContents()), ["edge-09", "nowhere"]);
    // The worst first, whatever it is.
    nodes[2].say([server("all", failing)], { acceptedHead: "0.1.7" });
    await attention.getByRole("link", { name: /^all Degraded/ }).waitFor();
    assert.deepEqual((await attention.locator("strong").allTextContents()), ["all", "edge-09", "nowhere"]);
    nodes[2].say([server("all")], { acceptedHead: "0.1.7" });
    await axe(page, "attention");
    await shoot(page, "glance-attention-light");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("what can't be read is not called well", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByRole("link", { name: /Alerts 0 nothing is wrong/ }).waitFor();
    await page.route("**/v1/alerts*", refuse(403, "not now"));
    await page.route("**/v1/uptime*", refuse(403, "the Worker forgot"));
    await page.reload();
    const tile = page.locator(".tile").filter({ hasText: "Alerts" });
    await tile.getByText("could not be read").waitFor();
    assert.equal(await tile.locator(".tile-value").textContent(), "—");
    assert.equal(await tile.evaluate((element) => element.classList.contains("good") || element.classList.contains("bad")), false);
    assert.equal(await page.getByRole("navigation", { name: "Main" }).locator(".count").getAttribute("aria-label"), "could not be read");
    await page.getByText("Could not be read: the Worker forgot").waitFor();
    await page.getByText("No node and no server needs attention; alerts could not be read.").waitFor();
    await axe(page, "what can't be read");
    await shoot(page, "glance-unread-light");
    await page.unroute("**/v1/alerts*");
    await page.goto(`${worker.url}/-/alerts?tab=uptime`);
    await page.getByRole("region", { name: "Uptime of nodes" }).getByText("Could not be read: the Worker forgot").waitFor();
    await page.unroute("**/v1/uptime*");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("a desired state that can't be read says so, and is tried again", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText("5 nodes · 3 servers").waitFor();
    await page.route("**/v1/desired/shards/*", refuse(404, "no such shard"));
    for (const [path, title] of [["", "Overview"], ["servers", "Servers"], ["servers/default/all", "all"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("alert").getByText("no such shard").waitFor();
      await page.getByRole("alert").getByText("It is tried again by itself").waitFor();
      await page.getByRole("heading", { name: title, level: 1 }).waitFor();
      assert.deepEqual([await page.getByRole("heading", { level: 1 }).count(), await page.getByRole("main").getByRole("button").count()], [1, 0], path);
      await axe(page, `desired state unread: ${path}`);
    }
    await shoot(page, "glance-desired-unread-light");
    await page.unroute("**/v1/desired/shards/*");
    await page.getByRole("tab", { name: "Status" }).waitFor(); // by itself
    await page.goto(`${worker.url}/-/servers`);
    await page.getByText("3 servers").waitFor();
    // A newer version that can't be read leaves the one before it, and says so.
    await page.route("**/v1/desired/shards/*", refuse(404, "no such shard"));
    await change([object("later", { nodes: ["edge-01"] })], "later");
    await page.getByRole("alert").getByText("The newest version could not be read: no such shard").waitFor();
    await page.unroute("**/v1/desired/shards/*");
    await page.getByText("4 servers").waitFor();
    await page.getByText("The newest version could not be read").waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("nodes are found by how they are, and one that is away has servers as it said last", { timeout: 300_000 }, async () => {
    nodes[3].close();
    await until("edge-04 is gone", async () => !(await worker.call("GET", "/v1/nodes/edge-04")).connected);
    await worker.call("POST", "/v1/nodes/edge-02/cordon");
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByRole("link", { name: "edge-04: offline, servers ready: 1 of 1, as last reported" }).waitFor();
    await page.goto(`${worker.url}/-/nodes`);
    const row = (name) => page.getByRole("row", { name: new RegExp(`^${name}`) });
    await row("edge-04").getByText("was 1/1", { exact: true }).waitFor();
    await row("edge-01").getByText("2/2", { exact: true }).waitFor();
    const seen = async (name) => (await row(name).getByRole("cell").nth(3).textContent()) ?? "";
    assert.equal(await seen("edge-01"), "now");
    assert.match(await seen("edge-04"), /^(just now|\d+[smh] ago)$/);
    assert.equal(await seen("edge-09"), "never");
    await page.getByRole("combobox", { name: "Status" }).selectOption("offline");
    await page.getByText("1 of 5 nodes").waitFor();
    assert.match(page.url(), /health=offline/);
    await row("edge-04").waitFor();
    await page.getByRole("searchbox").fill("berlin");
    await page.getByText("Nothing matches").waitFor();
    await axe(page, "no node matches");
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await page.getByText("5 nodes", { exact: true }).waitFor();
    for (const [text, name] of [["cordoned", "edge-02"], ["offline", "edge-04"], ["never-heard", undefined], ["process oslo", "edge-03"]]) {
      await page.getByRole("searchbox").fill(text);
      if (name === undefined) await page.getByText("Nothing matches").waitFor();
      else await row(name).waitFor();
    }
    await page.goto(`${worker.url}/-/nodes/edge-04`);
    await page.locator(".facts").getByText("1 of 1, as last reported").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("the theme is the system's until somebody chooses, and then his", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer, theme: "light" });
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    const choose = (name) => page.getByRole("radiogroup", { name: "Theme" }).getByRole("radio", { name }).click();
    const chosen = () => page.getByRole("radio", { checked: true }).getAttribute("aria-label");
    // A frame later than the theme: who asked for less motion has transitions of 0.01 ms.
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.deepEqual([await theme(), await chosen()], ["light", "As the system"]);
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    await until("the system's", async () => (await theme()) === "dark", 5000);
    await until("all of it is dark", async () => (await background()) !== light, 5000);
    await choose("Light");
    assert.deepEqual([await theme(), await chosen()], ["light", "Light"]);
    await until("all of it is light", async () => (await background()) === light, 5000);
    await page.reload();
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    assert.deepEqual([await theme(), await chosen()], ["light", "Light"], "it is kept");
    await choose("As the system");
    assert.equal(await theme(), "dark");
    await choose("Dark");
    await page.emulateMedia({ colorScheme: "light" });
    assert.deepEqual([await theme(), await chosen()], ["dark", "Dark"]);
    assert.deepEqual(faults, []);
    await context.close();
  });
});
