// A server's page: its tools, whether it can be asked or not, tried through the Worker's route on a server of the official SDK; its manifest,
// uptime and log. Real Worker, played nodes.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { condition, object, PlayedNode, server } from "./played.mjs";
import { axe, shoot } from "./walk.mjs";

const skip = skipFor(missingBrowser);
const PIN = `sha256:${"0".repeat(64)}`;

const TOOLS = {
  either: { $ref: "#/$defs/either", type: "object", $defs: { either: { oneOf: [{ type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false }, { type: "object", properties: { lat: { type: "number" } }, required: ["lat"], additionalProperties: false }] } } },
  sum: { type: "object", properties: { first: { type: "integer" }, second: { type: "integer" } }, required: ["first"] },
  waits: { type: "object" },
  asks: { type: "object" },
  takes_back: { type: "object" },
  leaves: { type: "object" },
  fails: { type: "object" },
  measures: { type: "object" },
};
const QUESTION = { message: "How many?", requestedSchema: { type: "object", properties: { amount: { type: "integer" } }, required: ["amount"] } };
const said = (value, more = {}) => ({ content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }], ...more });

// What stands behind a node's tunnel. `told` has what its tools have seen; a call that holds goes on by `goOn`.
async function serve() {
  const told = [];
  let goOn = () => {};
  const held = () => new Promise((resolve) => (goOn = () => resolve()));
  const sessions = new Map();
  const made = async () => {
    const own = new Server({ name: "tried", version: "1" }, { capabilities: { tools: {} } });
    own.setRequestHandler(ListToolsRequestSchema, () => ({
      tools: Object.entries(TOOLS).map(([name, inputSchema]) => ({ name, inputSchema, ...(name === "measures" && { outputSchema: { type: "object", properties: { celsius: { type: "number" } }, required: ["celsius"] } }) })),
    }));
    own.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: args } }, { signal, sendRequest }) => {
      const { ElicitResultSchema } = await import("@modelcontextprotocol/sdk/types.js");
      const ask = (options) => sendRequest({ method: "elicitation/create", params: QUESTION }, ElicitResultSchema, options);
      switch (name) {
        case "waits":
          told.push("waits");
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          told.push("cancelled");
          return said("nobody hears this");
        case "asks":
          return said(await ask());
        case "takes_back": {
          const back = new AbortController();
          const answered = ask({ signal: back.signal }).then((answer) => told.push(answer), () => told.push("taken back"));
          await held();
          back.abort("changed my mind");
          await answered;
          await held();
          return said("went on without");
        }
        case "leaves":
          void ask().then(({ action }) => told.push(action), () => told.push("lost"));
          await held();
          return said("did not wait");
        case "fails":
          return said("the disk is full", { isError: true });
        case "measures":
          return said("mild", { structuredContent: { celsius: 17.5 } });
        default:
          return said(args ?? {});
      }
    });
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => void sessions.set(id, transport), onsessionclosed: (id) => void sessions.delete(id) });
    await own.connect(transport);
    return transport;
  };
  const http = createServer(async (request, response) => {
    if (request.url.endsWith("/healthz")) return void response.end("ok");
    const id = request.headers["mcp-session-id"];
    if (id !== undefined && !sessions.has(id)) return void response.writeHead(404).end();
    const transport = sessions.get(id) ?? (await made());
    await transport.handleRequest(request, response);
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${http.address().port}`, told, sessions, goOn: () => goOn(), end: () => (http.closeAllConnections(), new Promise((resolve) => http.close(resolve))) };
}

let dir, worker, browser, gateway, one, two, tried;
before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir);
  browser = await openBrowser();
  await worker.call("POST", "/v1/changes", {
    body: {
      message: "the first servers",
      set: [
        object("tried", { args: ["--units", "metric"] }, { labels: { tier: "gold" } }),
        object("warned", { tools: { pins: { sum: PIN, waits: PIN, gone: PIN } } }),
        object("blocked", { tools: { pinning: "Block", pins: { find: PIN, read: PIN, gone: PIN } } }),
        object("far", { tools: { pins: { find: PIN } } }),
      ],
    },
  });
  gateway = await serve();
  [one, two] = [await new PlayedNode(worker, "edge-01").connect(), await new PlayedNode(worker, "edge-02").connect()];
  await worker.call("PATCH", "/v1/nodes/edge-01", { body: { tunnel: gateway.url } });
  const pinned = (name, status, reason, message, ready = true) => {
    const { conditions } = server(name);
    return [...conditions.filter(({ type }) => ready || type !== "Ready"), ...(ready ? [] : [condition("Ready", "False", reason, message)]), condition("ToolsPinned", status, reason, message)];
  };
  const digest = (letter) => `sha256:${letter.repeat(64)}`;
  tried = (letter, more = {}) => server("tried", { ...more, imageDigest: digest(letter), catalog: { tools: 8, resources: 41, prompts: 17, toolNames: Object.keys(TOOLS).sort() }, serverInfo: { name: "tried", version: "1", protocolVersion: "2025-11-25", capabilities: ["prompts", "resources", "tools"] } });
  one.say([
    tried("a"),
    server("warned", { conditions: pinned("warned", "False", "ToolsChanged", "changed: waits; missing: gone; not pinned: asks"), catalog: { tools: 8, toolNames: Object.keys(TOOLS).sort() } }),
    server("blocked", { conditions: pinned("blocked", "False", "ToolsChanged", "changed: find; missing: gone; not pinned: wipe", false), catalog: { tools: 4, toolNames: ["find", "read", "wipe"] } }),
  ]);
  two.say([tried("b"), server("far", { conditions: pinned("far", "True", "Pinned", ""), catalog: { tools: 1, toolNames: ["find"] } })]);
});
after(async () => {
  if (skip) return;
  for (const node of [one, two]) node.close();
  await browser.close();
  await gateway.end();
  await worker.end();
  remove(dir);
});

const openTools = (name, more = "", token = worker.operator) => openPage(browser, worker, { token, address: `${worker.url}/-/servers/default/${name}?tab=tools${more}` });
const run = (page) => page.getByRole("button", { name: "Run" }).click();
const output = (page, text) => page.locator(".result pre").getByText(text, { exact: true }).waitFor();
const named = (region, name) => region.getByRole("listitem").filter({ has: region.page().getByText(name, { exact: true }) });

describe("a server's page", { skip, concurrency: 1 }, () => {
  test("names its tools with their pins while it can't be asked", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openTools("blocked", "", worker.viewer);
    await page.getByText("It is not ready").waitFor();
    await page.getByText("Pinning is Block").waitFor();
    const list = page.getByRole("region", { name: "Its tools, as last reported" });
    for (const [name, chip] of [["find", "changed"], ["read", "pinned"], ["wipe", "not pinned"], ["gone", "missing"]]) await named(list, name).getByText(chip, { exact: true }).waitFor();
    await list.getByText("1 more tool that the node does not name").waitFor();
    await axe(page, "tools of one that is not ready");
    await shoot(page, "tools-not-ready-light");
    await page.goto(`${worker.url}/-/servers/default/far?tab=tools`);
    await page.getByText("The server could not be reached").waitFor(); // its node has no tunnel
    await page.getByText("Pinning is Warn").waitFor();
    await named(list, "find").getByText("pinned", { exact: true }).waitFor();
    await axe(page, "tools of one that can't be reached");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has a row for a tool that is pinned and gone, and says when the manifest can't be read", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    let away = true;
    await page.route("**/v1/desired/objects/*", (route) => (away ? route.fulfill({ status: 503, json: { success: false, errors: [{ code: 1, message: "the store is away" }], messages: [], result: null } }) : route.continue()));
    await page.goto(`${worker.url}/-/servers/default/warned?tab=tools`);
    const said = page.getByRole("alert").filter({ hasText: "it is not known which tools are pinned: the store is away" });
    await said.waitFor();
    away = false;
    await said.getByRole("button", { name: "Try again" }).click();
    await page.getByText("Pinning is Warn").waitFor();
    const tool = (name) => page.getByRole("navigation", { name: "8 tools" }).getByRole("button", { name });
    await tool(/^sum pinned$/).waitFor();
    await tool(/^waits changed$/).waitFor();
    await tool(/^asks not pinned$/).waitFor();
    const gone = page.getByRole("region", { name: "Not offered to clients" });
    await named(gone, "gone").getByText("it is pinned, and the server has it no more").waitFor();
    assert.equal(await gone.getByRole("listitem").count(), 1);
    await axe(page, "a missing tool");
    await page.getByText("Schema", { exact: true }).click();
    assert.deepEqual(JSON.parse(await page.locator(".try details pre").textContent()), { input: TOOLS.either });
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("takes arguments as JSON: where fields can't say them by itself, elsewhere by choice, and loses nothing", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openTools("tried", "&tool=either");
    const json = page.getByRole("textbox", { name: "Arguments" });
    const choice = page.getByRole("checkbox", { name: "As JSON" });
    assert.equal(await choice.isChecked(), true);
    assert.equal(await choice.isDisabled(), true);
    await json.fill('{"city": 5}');
    await run(page);
    const problem = page.getByRole("alert").filter({ hasText: "city: Instance type" });
    await problem.waitFor();
    await axe(page, "arguments that the schema refuses");
    await shoot(page, "tool-json-light");
    await json.fill('{"city": "Oslo"}');
    await run(page);
    await output(page, '{"city":"Oslo"}');
    await page.getByRole("button", { name: "sum", exact: true }).click();
    await page.getByLabel("first").fill("4");
    await page.getByLabel("second").fill("many");
    await choice.check();
    assert.deepEqual(JSON.parse(await json.inputValue()), { first: 4, second: "many" });
    await run(page);
    await page.getByRole("alert").filter({ hasText: "second: Instance type" }).waitFor();
    await json.fill('{"first": 4, "second": 6, "third": 7}');
    await choice.click();
    await page.getByText("the form has no place for third").waitFor();
    await run(page);
    await output(page, '{"first":4,"second":6,"third":7}');
    await json.fill('{"first": 4, "second": 6}');
    await choice.uncheck();
    assert.equal(await page.getByLabel("second").inputValue(), "6");
    await run(page);
    await output(page, '{"first":4,"second":6}');
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("cancels a call, shows an error that a tool reports, and what is structured", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openTools("tried", "&tool=waits");
    await run(page);
    await until("the call is there", () => gateway.told.includes("waits"), 20_000);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("Cancelled.").waitFor();
    await until("the server was told", () => gateway.told.includes("cancelled"), 20_000);
    await page.getByRole("button", { name: "fails", exact: true }).click();
    await run(page);
    await page.getByRole("heading", { name: /^The tool reports an error/ }).waitFor();
    await output(page, "the disk is full");
    await page.getByRole("button", { name: "measures", exact: true }).click();
    await run(page);
    await page.getByRole("heading", { name: /^Result/ }).waitFor();
    await page.getByText("Structured", { exact: true }).click();
    assert.deepEqual(JSON.parse(await page.locator(".result details pre").textContent()), { celsius: 17.5 });
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("lets a question be declined and be left, and takes it away when it needs no answer any more", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openTools("tried", "&tool=asks");
    const dialog = page.getByRole("dialog", { name: "The server asks" });
    const gone = () => dialog.waitFor({ state: "detached" });
    const note = page.getByText("needs no answer any more");
    await run(page);
    await dialog.getByRole("button", { name: "Decline" }).waitFor();
    assert.deepEqual(await dialog.locator(".dialog-end button").allTextContents(), ["Decline", "Answer"]);
    assert.match(await dialog.locator("p:has(+ .dialog-end)").textContent(), /never type a password/);
    await dialog.getByRole("button", { name: "Decline" }).click();
    await output(page, '{"action":"decline"}');
    await run(page);
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await output(page, '{"action":"cancel"}');
    assert.equal(await note.count(), 0, "it was answered");
    // The server takes it back while its call goes on.
    await page.getByRole("button", { name: "takes_back", exact: true }).click();
    await run(page);
    await dialog.getByText("How many?").waitFor();
    gateway.goOn();
    await gone();
    await note.waitFor();
    await until("the server knows", () => gateway.told.includes("taken back"), 20_000);
    gateway.goOn();
    await output(page, "went on without");
    // The call ends and nobody waits for the answer.
    await page.getByRole("button", { name: "leaves", exact: true }).click();
    await run(page);
    await dialog.getByText("How many?").waitFor();
    gateway.goOn();
    await gone();
    await output(page, "did not wait");
    await until("the server has an answer all the same", () => gateway.told.includes("cancel"), 20_000);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("says what it is made of and what it offers, with bars of its uptime", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    // As a Worker would have counted it: the first node was away for a day of the seven.
    const bars = (count, of) => Array.from({ length: count }, (_, index) => of(index / count));
    const played = (subject, count) =>
      subject === "server/edge-01/default/tried"
        ? [{ subject, uptime: { upSeconds: 6 * 86_400, knownSeconds: 7 * 86_400, ratio: 6 / 7 }, bars: bars(count, (at) => (at < 1 / 7 ? 0 : 1)) }]
        : [{ subject, uptime: { upSeconds: 86_400, knownSeconds: 86_400, ratio: 1 }, bars: bars(count, (at) => (at < 6 / 7 ? null : 1)) }];
    await page.route("**/v1/uptime?*", (route) => {
      const { searchParams: asked } = new URL(route.request().url());
      const subject = asked.get("subject");
      const count = Number(asked.get("bars"));
      const result = subject === "server/" ? ["server/edge-02/default/tried", "server/edge-01/default/tried"].flatMap((each) => played(each, count)) : subject.startsWith("server/") && subject.length > 7 ? played(subject, count) : [];
      return route.fulfill({ json: { success: true, errors: [], messages: [], result } });
    });
    await page.goto(`${worker.url}/-/servers/default/tried`);
    const facts = page.locator(".facts-card");
    for (const [label, value] of [["Tools", "8"], ["Resources", "41"], ["Prompts", "17"], ["Protocol", "2025-11-25"]]) assert.equal(await facts.locator(".facts > div").filter({ hasText: label }).locator("dd").textContent(), value);
    await facts.getByText("ghcr.io/example/tried:1.4.2", { exact: true }).waitFor();
    for (const [letter, node] of [["a", "edge-01"], ["b", "edge-02"]]) await facts.locator(".facts-endpoint").filter({ hasText: `sha256:${letter.repeat(64)}` }).getByText(`on ${node}`).waitFor();
    assert.deepEqual(await facts.locator(".labels .chip").allTextContents(), ["prompts", "resources", "tools"]);
    // Seven days of one and one of the other: 7 of 8 are up; a bar is the mean of who knows.
    await facts.getByRole("img", { name: "Uptime: 87.50 % of 7 days" }).waitFor();
    const shades = await facts.locator(".bars > span").evaluateAll((all) => all.map(({ className }) => className));
    assert.deepEqual([shades.length, shades[0], shades[11], shades[12], shades.at(-1)], [84, "failing", "failing", "ready", "ready"]);
    await axe(page, "facts of a server");
    await shoot(page, "server-facts-light");
    await page.goto(`${worker.url}/-/alerts?tab=uptime`);
    const rows = page.getByRole("region", { name: "Uptime of servers" }).getByRole("listitem");
    assert.match(await rows.first().textContent(), /^tried edge-01.*85\.71 %$/);
    assert.match(await rows.nth(1).textContent(), /^tried edge-02.*100 % of the 24 h known$/);
    await rows.first().getByRole("img", { name: "Uptime: 85.71 % of 7 days" }).waitFor();
    assert.equal(await rows.nth(1).locator(".bars > .none").count(), 48);
    assert.match(await rows.nth(1).locator(".bars > .none").first().getAttribute("title"), /: nothing known$/);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has its manifest as a person would write it, to be copied and to be gone on with", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/servers/default/tried?tab=yaml` });
    const text = "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  labels:\n    tier: gold\n  name: tried\n  namespace: default\nspec:\n  args:\n    - --units\n    - metric\n  source:\n    image:\n      ref: ghcr.io/example/tried:1.4.2\n";
    const shown = page.getByLabel("Manifest", { exact: true }).and(page.locator("pre"));
    await shown.waitFor();
    assert.equal(await shown.textContent(), text);
    await page.getByRole("button", { name: "Copy the manifest" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    await page.getByRole("link", { name: "Edit" }).click();
    await page.waitForURL(/\/apply\?object=/);
    await page.locator(".cm-content").getByText("ghcr.io/example/tried:1.4.2").waitFor();
    await page.locator(".cm-content").click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.evaluate((value) => navigator.clipboard.writeText(value), text.replace("1.4.2", "1.5.0"));
    await page.keyboard.press("ControlOrMeta+v");
    await page.getByText("Nothing is wrong with it").waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    const dialog = page.getByRole("dialog", { name: "1 change" });
    await dialog.getByText("tried:1.5.0").first().waitFor();
    await dialog.getByLabel("Why, for the history").fill("the next version");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.goto(`${worker.url}/-/servers/default/tried?tab=yaml`);
    await shown.getByText("tried:1.5.0").waitFor();
    await page.locator(".facts-card").getByText("ghcr.io/example/tried:1.5.0", { exact: true }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has its lines found by text and by node, and those of one that is gone by its name", { timeout: 120_000 }, async () => {
    const time = (ago) => new Date(Date.now() - ago * 1000).toISOString();
    await one.store([
      { server: "tried", time: time(50), text: "Disk FULL on one" },
      { server: "tried", time: time(49), text: "disk full on one" },
      { server: "old", time: time(48), text: "the last words of old" },
    ]);
    await two.store([{ server: "tried", time: time(47), text: "disk full on two" }]);
    await worker.call("POST", "/v1/changes", { body: { message: "namesakes", set: [object("far", {}, { namespace: "team" })] } });
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer, address: `${worker.url}/-/servers/default/tried?tab=logs` });
    const lines = (...wanted) => until(wanted.join(", "), async () => JSON.stringify(await page.locator(".log-text").allTextContents()) === JSON.stringify(wanted), 20_000);
    await lines("Disk FULL on one", "disk full on one", "disk full on two");
    await page.getByRole("searchbox").fill("disk full");
    await lines("disk full on one", "disk full on two");
    await page.getByRole("combobox", { name: "Node" }).selectOption("edge-02");
    await lines("disk full on two");
    assert.match(page.url(), /node=edge-02/);
    // Lines that come live are held against the same text and node.
    await page.getByText("Following").waitFor();
    await until("the follow has come to the node", async () => {
      one.log("tried", [{ time: new Date().toISOString(), text: "disk full on one, live", stream: "stderr" }]);
      for (const text of ["Disk FULL on two, live", "disk full on two, live"]) two.log("tried", [{ time: new Date().toISOString(), text, stream: "stderr" }]);
      return (await page.locator(".log-text").count()) > 1;
    }, 20_000);
    for (const text of await page.locator(".log-text").allTextContents()) assert.match(text, /^disk full on two/);
    await page.getByRole("searchbox").fill("DISK");
    await page.getByText("Capital and small letters count").waitFor();
    await page.goto(`${worker.url}/-/logs`);
    const choice = page.getByRole("combobox", { name: "Server" });
    await choice.fill("old");
    await choice.press("Enter");
    await lines("the last words of old");
    await page.getByText("There is no server default/old now").waitFor();
    await axe(page, "the log of one that is gone");
    await choice.fill("far");
    await choice.press("Enter");
    await page.getByRole("alert").getByText("is in 2 namespaces: default/far, team/far").waitFor();
    assert.match(decodeURIComponent(page.url()), /server=default\/old/);
    await axe(page, "a name in two namespaces");
    await shoot(page, "logs-namesakes-light");
    await choice.fill("team/far");
    await page.waitForURL((url) => url.searchParams.get("server") === "team/far");
    await page.goto(`${worker.url}/-/nodes/edge-02`);
    await page.getByRole("main").getByRole("link", { name: "Logs", exact: true }).click();
    await page.waitForURL((url) => url.pathname.endsWith("/logs") && url.searchParams.get("node") === "edge-02");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("begins another session when its own has ended, and when the server is another one", { timeout: 200_000 }, async () => {
    const { page, context, faults } = await openTools("tried", "&tool=sum");
    await page.getByRole("button", { name: /^sum/ }).waitFor();
    const sum = async (first) => {
      await page.getByLabel("first").fill(String(first));
      await run(page);
      await page.locator(".result pre").getByText(`"first":${first}`).waitFor();
    };
    await sum(1);
    const [first] = gateway.sessions.keys();
    // As after a restart of the server: nobody there knows of it.
    gateway.sessions.delete(first);
    await sum(2);
    const [second, ...none] = gateway.sessions.keys();
    assert.ok(second !== undefined && second !== first);
    assert.deepEqual(none, []);
    const told = (more) => one.say([tried("a", more), ...one.servers.slice(1)]);
    told({ revision: "b".repeat(64), conditions: [...server("tried").conditions, condition("Progressing", "True", "Updating", "the old one serves")] });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.deepEqual([...gateway.sessions.keys()], [second], "the one before serves on");
    told({ revision: "b".repeat(64) });
    two.say([tried("b", { revision: "b".repeat(64) }), ...two.servers.slice(1)]);
    await until("another session, and the one before has ended", () => gateway.sessions.size === 1 && !gateway.sessions.has(second), 15_000);
    await sum(3);
    assert.deepEqual(faults.filter((fault) => !fault.includes("404")), []);
    await context.close();
  });
  test("ends its session when the page is closed, so that the server waits for nobody", { timeout: 200_000 }, async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.operator });
    gateway.sessions.clear();
    await page.goto(`${worker.url}/-/servers/default/tried?tab=tools`);
    await page.getByRole("button", { name: /^sum/ }).waitFor();
    assert.equal(gateway.sessions.size, 1);
    await page.goto("about:blank");
    await until("the session is over", () => gateway.sessions.size === 0, 10_000);
    await context.close();
  });
});
