// Markup and worse in every string that a node, a server, a tool or a colleague may choose: it is shown as text, nothing of it becomes an element
// or runs, and the page's policy has nothing to refuse. Real Worker, played node and tools.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { axe, axeInBoth, shoot } from "./walk.mjs";
import { condition, nodeConditions, playGateway, PlayedNode, sample, server } from "./played.mjs";

const skip = skipFor(missingBrowser);
// Lower case, so that what is put into words stays the same text. The number of what it is ends it, so that each is found where it belongs.
const hostile = (what) => `<img src=x onerror=hacked=1>"'\${{${what}}}`;
const SHORT = "<b onclick=h>"; // where there is room for no more

const object = (name, more = {}, metadata = {}) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name, ...metadata }, spec: { source: { image: { ref: `ghcr.io/example/${name}:1` } }, ...more } });
const anyCondition = (where) => ({ type: hostile(`${where} type`), status: "False", reason: hostile(`${where} reason`), message: hostile(`${where} message`), lastTransitionTime: hostile("time") });
const weather = (more = {}) =>
  server("weather", {
    conditions: [condition("Ready", "True", hostile("ready reason"), hostile("ready message")), anyCondition("condition"), condition("ToolsPinned", "False", hostile("pins reason"), hostile("pins message"))],
    revision: hostile("revision"),
    uid: hostile("uid"),
    imageDigest: hostile("digest"),
    endpoint: `javascript:hacked=1//${hostile("endpoint")}`,
    serverInfo: { name: hostile("info name"), version: hostile("info version"), protocolVersion: hostile("protocol"), capabilities: [hostile("capability")] },
    catalog: { tools: 3, toolsHash: hostile("hash"), toolNames: [hostile("tool name")] },
    restarts: { count: 3, lastExitCode: 1, lastReason: hostile("last reason"), lastAt: hostile("time"), nextAttemptAt: hostile("time"), stderrTail: `\u001b[31m${hostile("stderr")}` },
    instances: [{ id: hostile("id"), runtime: hostile("runtime"), state: hostile("state"), revision: hostile("revision"), startedAt: hostile("time") }],
    ...more,
  });
const failing = server("broken", { conditions: [condition("Available", "False", "CrashLoopBackOff", hostile("available")), condition("Ready", "False", "CrashLoopBackOff", hostile("words of a crash"))], restarts: { count: 9, lastExitCode: 1 } });

const field = (what, more) => ({ title: hostile(`${what} title`), description: hostile(`${what} description`), ...more });
const TOOLS = [
  {
    name: hostile("tool"),
    title: hostile("tool title"),
    description: hostile("tool description"),
    annotations: { title: hostile("hint"), destructiveHint: true },
    inputSchema: {
      type: "object",
      properties: {
        [hostile("field")]: { type: "string" },
        text: field("text", { type: "string", default: hostile("default"), format: hostile("format"), pattern: hostile("pattern") }),
        choice: field("choice", { enum: [hostile("enum"), { toString: hostile("object of an enum") }, 5], enumNames: [hostile("enum name")] }),
        titled: field("titled", { oneOf: [{ const: hostile("const"), title: hostile("const title") }], default: hostile("const") }),
        list: field("list", { type: "array", items: { type: "string" }, default: [hostile("item")] }),
        any: field("any", { type: "object", default: { [hostile("key")]: hostile("value") } }),
        // None of these is what a schema may have there.
        wrong: { title: { a: hostile("no title") }, description: [hostile("no description")], enum: hostile("no list"), type: 7, oneOf: null },
        constructor: { type: "string" },
        toString: { type: "string" },
      },
      required: [hostile("required")],
    },
  },
  ...["error", "ask", "model"].map((name) => ({ name, inputSchema: { type: "object" } })),
];
const RESULT = {
  isError: true,
  content: [
    { type: "text", text: hostile("result text") },
    { type: "resource_link", uri: `javascript:hacked=1//${hostile("uri")}`, name: hostile("resource"), title: hostile("link title"), description: hostile("link description"), mimeType: "text/html" },
    { type: "image", mimeType: "image/svg+xml", data: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="hacked=1"><script>hacked=1</script></svg>').toString("base64") },
    { type: "image", mimeType: `image/png,${hostile("mime")}`, data: "AAAA" },
    { type: "image", mimeType: "image/png", data: Buffer.from("<script>hacked=1</script>").toString("base64") },
    { type: "audio", mimeType: "text/html", data: "AAAA" },
    { type: "resource", resource: { uri: "javascript:hacked=1", mimeType: "text/html", text: hostile("embedded") } },
  ],
  structuredContent: { [hostile("structured key")]: hostile("structured value") },
};
let goOn;
async function call({ name, _meta }, { tell, ask }) {
  if (name === "error") throw new Error(hostile("error of a call"));
  if (name === "model")
    return {
      content: [
        {
          type: "text",
          text: JSON.stringify(
            await ask("sampling/createMessage", {
              systemPrompt: hostile("system prompt"),
              maxTokens: 5,
              messages: [
                { role: "user", content: { type: "text", text: hostile("message") } },
                { role: "assistant", content: { type: "image", mimeType: "image/svg+xml", data: "AAAA" } },
              ],
            }),
          ),
        },
      ],
    };
  if (name === "ask") {
    const requestedSchema = { type: "object", properties: { [hostile("asked field")]: { type: "string", title: hostile("asked title"), description: hostile("asked description"), default: hostile("asked default") }, choice: { type: "string", enum: [hostile("asked enum")], enumNames: [hostile("asked enum name")] } } };
    const { answer } = await ask("elicitation/create", { message: hostile("question"), requestedSchema });
    return { content: [{ type: "text", text: JSON.stringify(answer) }] };
  }
  tell("notifications/progress", { progressToken: _meta.progressToken, progress: 1, total: 2, message: hostile("progress") });
  await new Promise((resolve) => (goOn = resolve));
  return RESULT;
}

let dir, worker, browser, gateway, node, mallory;
before(async () => {
  if (skip) return;
  dir = temporary();
  // A colleague whose token has such a name: who did it, in the history and in the audit.
  mallory = randomBytes(24).toString("hex");
  worker = await startWorker(dir, { downAfterSeconds: 3600, more: [{ name: hostile("who"), role: "operator", sha256: createHash("sha256").update(mallory).digest("hex") }, { name: hostile("expires"), role: "viewer", sha256: "0".repeat(64), expires: new Date(Date.now() + 86_400_000).toISOString() }] });
  browser = await openBrowser();
  const as = (method, path, body) => worker.request(method, path, { token: mallory, body });
  const applied = await as("POST", "/v1/changes", { message: hostile("first message"), set: [object("weather"), object("broken"), { apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-01" } }] });
  assert.ok(applied.ok, await applied.text());
  const more = object("weather", { args: [hostile("args")], env: [{ name: "A", value: hostile("env") }] }, { annotations: { note: hostile("annotation") } });
  assert.ok((await as("POST", "/v1/changes", { message: hostile("message"), set: [more] })).ok);
  node = await new PlayedNode(worker, "edge-01").connect();
  node.events = [{ time: hostile("time"), firstTime: hostile("time"), type: SHORT, reason: hostile("event reason"), message: hostile("event"), count: 2 }];
  node.say([weather(), failing], { bootId: hostile("boot"), version: hostile("version"), acceptedHead: hostile("head"), runtimes: [hostile("runtime of a node")], conditions: nodeConditions(anyCondition("node condition")) });
  const time = new Date(Date.now() - 60_000).toISOString();
  await node.store([{ server: "weather", time, text: hostile("stored line"), stream: SHORT }]);
  gateway = await playGateway(TOOLS, "", { call, serverInfo: { name: hostile("name in the handshake"), version: hostile("handshake") } });
  await worker.call("PATCH", "/v1/nodes/edge-01", { body: { tunnel: gateway.url } });
  const raised = await until("alerts are raised", async () => {
    const alerts = await worker.call("GET", "/v1/alerts");
    return ["CrashLoop", "ApiTokenExpires"].every((kind) => alerts.some((alert) => alert.kind === kind)) && alerts;
  });
  assert.ok((await as("POST", "/v1/alerts/acknowledge", { key: raised.find(({ kind }) => kind === "ApiTokenExpires").key })).ok);
});
after(async () => {
  if (skip) return;
  node?.close();
  await gateway?.end();
  await browser.close();
  await worker.end();
  remove(dir);
});

// Everybody looks as the one with the name; a dialog of the browser is a fault.
async function open(path = "", before = async () => undefined) {
  const opened = await openPage(browser, worker, { token: mallory });
  opened.page.on("dialog", (dialog) => (opened.faults.push(`dialog: ${dialog.message()}`), void dialog.dismiss()));
  await before(opened.page);
  if (path !== "") await opened.page.goto(`${worker.url}/-/${path}`);
  return opened;
}

// `whats` are shown, as text; nothing of what anybody wrote is an element, an attribute that runs or a link.
async function shows(page, where, whats) {
  for (const what of whats) {
    const forms = [hostile(what), JSON.stringify(hostile(what)).slice(1, -1)]; // as it is, or within JSON
    const isThere = (texts) => [document.body.textContent.toLowerCase(), ...[...document.querySelectorAll("input, textarea")].map(({ value }) => value)].some((shown) => texts.some((text) => shown.includes(text)));
    await page.waitForFunction(isThere, forms, { timeout: 20_000 }).catch(() => assert.fail(`${where}: ${what} is not shown as text`));
  }
  const found = await page.evaluate(() => {
    const handlers = [...document.querySelectorAll("*")].filter((element) => [...element.attributes].some(({ name }) => name.startsWith("on")));
    const elements = [...document.querySelectorAll("body img:not(.result-image), body script, body iframe, body object, body embed, body base, body meta, body style:not([nonce]), b[onclick], form[action], [srcdoc]")];
    const links = [...document.querySelectorAll("[href], [src]")].filter((element) => !["http:", "https:"].includes(new URL(element.getAttribute("href") ?? element.getAttribute("src"), location.href).protocol) && !element.matches("img.result-image[src^='data:image/png;base64,']"));
    return { hacked: window.hacked, wrong: [...handlers, ...elements, ...links].map((element) => element.outerHTML.slice(0, 200)) };
  });
  assert.deepEqual(found, { hacked: undefined, wrong: [] }, where);
}

const PAGES = {
  "": ["message", "who", "words of a crash", "head", "pins message"],
  servers: ["who"],
  "servers/default/weather": ["condition type", "condition reason", "condition message", "ready reason", "ready message", "info name", "info version", "protocol", "endpoint", "last reason", "stderr", "runtime", "state", "pins message"],
  "servers/default/broken": ["words of a crash", "available"],
  "servers/default/weather?tab=usage": ["event reason", "event"],
  "servers/default/weather?tab=logs": ["stored line"],
  "servers/default/weather?tab=yaml": ["args", "env", "annotation"],
  "servers/default/weather?tab=history": ["message", "first message", "who"],
  nodes: ["version"],
  "nodes/edge-01": ["version", "head", "runtime of a node", "node condition type", "node condition reason", "node condition message"],
  alerts: ["words of a crash"],
  "alerts?tab=seen": ["expires", "who"],
  logs: ["stored line"],
  history: ["message", "first message", "who"],
  audit: ["who", "expires"],
};

describe("what others write", { skip, concurrency: 1 }, () => {
  test("is text on every page", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await open();
    for (const [path, whats] of Object.entries(PAGES)) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await shows(page, path, whats);
    }
    await page.goto(`${worker.url}/-/servers/default/weather?tab=yaml`);
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByText("Nothing is wrong with it").waitFor();
    await shows(page, "editor", ["args", "annotation"]);
    // What is opened: the difference of a version, the question before a roll back with its message, the figures as they come.
    await page.goto(`${worker.url}/-/history`);
    await page.locator(".version-open").first().click();
    await page.locator("summary").filter({ hasText: "weather" }).click();
    await shows(page, "difference", ["args", "annotation"]);
    await page.getByRole("button", { name: "Roll back" }).click();
    await page.getByRole("alertdialog").waitFor();
    await shows(page, "roll back", ["first message"]);
    await axeInBoth(page, "roll back");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("is text in what comes live, and in addresses", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await open("servers/default/weather?tab=logs");
    await page.getByText("Following").waitFor();
    await until("the follow has come to the node", async () => {
      node.log("weather", [{ time: hostile("time"), text: hostile("live line"), stream: SHORT }]);
      return (await page.locator(".log-text").filter({ hasText: "live line" }).count()) > 0;
    });
    await shows(page, "live", ["live line"]);
    await page.goto(`${worker.url}/-/servers/default/weather?tab=usage`);
    await page.getByText("Live, every 5 s").waitFor();
    node.use([{ namespace: "default", server: "weather", samples: [sample(Date.now())], events: [{ ...node.events[0], time: "2026-11-28T14:05:00Z", message: hostile("live event") }] }]);
    await shows(page, "events", ["live event"]);
    // Whoever sends a link chooses what is in it.
    for (const path of [`servers?q=${encodeURIComponent(hostile("query"))}`, `logs?q=${encodeURIComponent(hostile("query"))}&server=${encodeURIComponent(hostile("query"))}`]) {
      await page.goto(`${worker.url}/-/${path}`);
      await shows(page, path, ["query"]);
    }
    for (const path of [`servers/default/${encodeURIComponent(hostile("name"))}`, `nodes/${encodeURIComponent(hostile("name"))}`]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByText("There is no").first().waitFor();
      await shows(page, path, ["name"]);
    }
    for (const path of [`history?at=${encodeURIComponent(hostile("at"))}`, `servers/default/weather?tab=${encodeURIComponent(hostile("tab"))}&tool=${encodeURIComponent(hostile("tool"))}`, `apply?object=${encodeURIComponent(hostile("object"))}`, "servers?sort=__proto__&health=constructor", `${encodeURIComponent(hostile("page"))}`]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await shows(page, path, []);
      assert.equal(await page.getByText("This is a defect of the page").count(), 0, path);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("is text in a tool, its form, its progress, its questions and what it gives", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await open("servers/default/weather?tab=tools");
    const result = page.locator(".result");
    await page.getByRole("button", { name: "Run" }).waitFor();
    await page.locator("summary").filter({ hasText: "Schema" }).click();
    await shows(page, "form", ["tool", "tool title", "tool description", "field", "text title", "text description", "default", "enum name", "const title", "choice description", "list title", "item", "any description"]);
    assert.deepEqual(await page.getByLabel(hostile("choice title")).locator("option").allTextContents(), ["—", hostile("enum name"), JSON.stringify({ toString: hostile("object of an enum") }), "5"]);
    assert.deepEqual(await page.locator(".try pre").first().textContent(), JSON.stringify({ input: TOOLS[0].inputSchema }, null, 2));
    for (const name of ["wrong", "constructor", "toString"]) assert.equal(await page.getByLabel(name, { exact: true }).or(page.getByLabel(`${name} JSON`, { exact: true })).inputValue(), "", name);
    await page.getByLabel("constructor", { exact: true }).fill("a value");
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".progress-line").waitFor();
    await shows(page, "progress", ["progress"]);
    assert.equal(gateway.calls.at(-1).arguments.constructor, "a value");
    assert.ok(!Object.hasOwn(gateway.calls.at(-1).arguments, "toString"), "what nobody typed is not sent");
    goOn();
    await result.getByText("The tool reports an error").waitFor();
    await result.locator("summary").filter({ hasText: "Structured" }).click();
    await shows(page, "result", ["result text", "progress", "uri", "structured value"]);
    // One picture is one: what says that it is one. The rest is told in JSON, as links go nowhere.
    assert.deepEqual(await page.locator("main img").evaluateAll((all) => all.map(({ src }) => src.slice(0, 22))), ["data:image/png;base64,"]);
    assert.equal(await result.locator("a, [href]").count(), 0);
    await result.getByText("image/svg+xml").waitFor();
    await axeInBoth(page, "a result of a tool", (theme) => shoot(page, `tool-result-${theme}`));
    await page.getByRole("button", { name: /^error/ }).click();
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").filter({ hasText: "error of a call" }).waitFor();
    await shows(page, "a call that fails", ["error of a call"]);
    await axe(page, "a call that fails");
    await page.getByRole("button", { name: /^ask/ }).click();
    await page.getByRole("button", { name: "Run" }).click();
    const asked = page.getByRole("dialog", { name: "The server asks" });
    await asked.waitFor();
    await shows(page, "elicitation", ["question", "asked title", "asked description", "asked default", "asked enum name"]);
    await axeInBoth(page, "elicitation", (theme) => shoot(page, `elicitation-${theme}`));
    await asked.getByRole("button", { name: "Answer" }).click();
    await result.getByText('"action":"accept"').waitFor();
    await page.getByRole("button", { name: /^model/ }).click();
    await page.getByRole("button", { name: "Run" }).click();
    const model = page.getByRole("dialog", { name: /model’s answer/ });
    await model.waitFor();
    await shows(page, "sampling", ["system prompt", "message"]);
    await axeInBoth(page, "sampling", (theme) => shoot(page, `sampling-${theme}`));
    await model.getByLabel("Answer").fill("no");
    await model.getByRole("button", { name: "Answer" }).click();
    await result.getByText('"model":"a person"').waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("as a name of a server or a node is refused by the Worker, and would be text here", { timeout: 300_000 }, async () => {
    // Told by something between the Worker and the page, as a Worker that takes everything would.
    let tell;
    const { page, context, faults } = await open("servers", async (page) => {
      await page.routeWebSocket(/v1\/watch/, (socket) => {
        socket.connectToServer();
        tell = (message) => socket.send(JSON.stringify(message));
      });
    });
    await page.getByRole("link", { name: "weather", exact: true }).waitFor();
    const refused = new Promise((resolve) => node.socket.addEventListener("message", ({ data }) => data.includes('"error"') && resolve(data)));
    const { servers } = node;
    node.say([...servers, server(hostile("server"))]);
    assert.match(await refused, /servers\.2\.name: is no RFC 1123 label/);
    node.say(servers);
    await page.getByRole("link", { name: "weather", exact: true }).waitFor();
    assert.equal(await page.locator("main").getByText(hostile("server")).count(), 0);
    const summary = { namespace: hostile("namespace"), name: hostile("server"), ready: "False", reason: hostile("reason"), message: hostile("message of a server"), looping: false, pinsViolated: "", restarts: 0, tools: 0, protocol: "", generation: 1, revision: "", endpoint: `javascript:hacked=1//${hostile("endpoint")}` };
    const told = { node: hostile("node"), connected: true, lastSeen: Date.now(), cloned: false, version: "", head: "", runtimes: [], conditions: [condition("Ready", "True", "")], capacity: { cpus: 0, memoryBytes: 0, diskBytes: 0 } };
    for (const [name, whats] of [["Servers", ["server"]], ["Nodes", ["node"]], ["Overview", ["server"]], ["Logs", []]]) {
      tell({ type: "delta", cursor: "x.1", node: told, name: told.node, set: [summary, { ...summary, namespace: "default", name: "__proto__" }], gone: [] });
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).click();
      await page.getByRole("heading", { name, level: 1 }).waitFor();
      await shows(page, name, whats);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("in a proposal is text, too", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await open("history", (page) =>
      page.route("**/v1/desired/proposals", (route) => route.fulfill({ json: { success: true, errors: [], messages: [], result: [{ id: hostile("id"), message: hostile("proposal"), author: hostile("proposer"), time: "2026-11-28T14:05:00Z", objects: 1 }] } })),
    );
    await page.getByRole("region", { name: "Waiting for a signature" }).waitFor();
    await shows(page, "proposals", ["proposal", "proposer"]);
    assert.deepEqual(faults, []);
    await context.close();
  });
});
