// The Worker dies under an open page and comes back, as with a deployment or a power cut: the page comes back by itself and asks for no more than
// what changed meanwhile. Real Worker, killed by its pid; played nodes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { condition, listenIn, PlayedNode, server, toldSince } from "./played.mjs";

const skip = skipFor(missingBrowser);
const object = (name, ref = "1") => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name }, spec: { source: { image: { ref: `ghcr.io/example/${name}:${ref}` } } } });
const NAMES = ["weather", "notes", "mail", "maps", "search", "github", "postgres", "browser"];

let dir, worker, again, browser;
const nodes = [];
before(async () => {
  if (skip) return;
  dir = temporary();
  ({ again, ...worker } = await startWorker(dir, { downAfterSeconds: 3600 }));
  browser = await openBrowser();
  await worker.call("POST", "/v1/changes", { body: { message: "first", set: NAMES.map((name) => object(name)) } });
  for (const name of ["edge-01", "edge-02", "edge-03"]) nodes.push(await new PlayedNode(worker, name).connect());
  for (const node of nodes) node.say(NAMES.map((name) => server(name)));
});
after(async () => {
  if (skip) return;
  for (const node of nodes) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

describe("a page that is open", { skip, concurrency: 1 }, () => {
  test("outlives its Worker: it says that it is lost, comes back by itself and is told what changed", { timeout: 240_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    const link = await listenIn(page);
    await page.goto(`${worker.url}/-/servers`);
    await page.getByText(`${NAMES.length} servers`).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.evaluate(() => (window.same = true)); // gone with a reload
    const { cursor } = link.heard.findLast(({ type }) => type === "delta" || type === "state");
    assert.match(cursor, /^[0-9a-f]+\.\d+$/);
    await worker.kill();
    await page.getByText("Connection lost").waitFor();
    await page.getByRole("alert").getByText("what you see is what was known then").waitFor();
    await page.getByText(`${NAMES.length} servers`).waitFor();
    // It tries all the while, and must not be faster than who changes something.
    link.kept = true;
    link.forget();
    worker = await again();
    for (const node of nodes) {
      node.worker = worker;
      await node.connect();
    }
    nodes[0].say(NAMES.map((name) => server(name, name === "mail" ? { conditions: [condition("Ready", "False", "ProbeFailed", "said while nobody looked")] } : {})));
    await worker.call("POST", "/v1/changes", { body: { message: "second", set: [object("late")] } });
    await until("the Worker has it", async () => (await worker.call("GET", "/v1/servers")).some(({ ready }) => ready === "False"));
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    link.kept = false;
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("row", { name: /^mail/ }).getByText("Degraded").waitFor();
    await page.getByRole("link", { name: "late", exact: true }).waitFor();
    await page.getByText(`${NAMES.length + 1} servers`).waitFor();
    assert.equal(await page.getByText("what you see is what was known then").count(), 0);
    assert.equal(await page.evaluate(() => window.same), true, "without a reload");
    const told = toldSince(link);
    assert.deepEqual([told.since, told.whole], [cursor, [false]]);
    assert.deepEqual(told.servers, { "edge-01": NAMES, "edge-02": null, "edge-03": null });
    assert.deepEqual(asked.filter((path) => /snapshots|shards/.test(path)).map((path) => path.split("/")[3]).sort(), ["shards", "snapshots"], "of the desired state, the shard that changed");
    // And live it is.
    nodes[1].say(NAMES.map((name) => server(name, name === "maps" ? { conditions: [condition("Ready", "False", "ProbeFailed", "said just now")] } : {})));
    await page.getByRole("row", { name: /^maps/ }).getByText("Degraded").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("acts at once through a Worker that was started anew, with the session that it had", { timeout: 240_000 }, async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/servers/default/weather` });
    await page.getByRole("button", { name: "Suspend" }).waitFor();
    await worker.kill();
    await page.getByText("Connection lost").waitFor();
    // What is tried meanwhile says that there is no answer, and is not lost.
    await page.getByRole("button", { name: "Suspend" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByRole("button", { name: "Suspend" }).click();
    await dialog.getByText("there is no answer").waitFor();
    worker = await again();
    await page.getByText("Live", { exact: true }).waitFor();
    await dialog.getByRole("button", { name: "Suspend" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Resume" }).waitFor();
    assert.equal((await worker.call("GET", "/v1/audit"))[0].who, "ada");
    await context.close();
  });
});
