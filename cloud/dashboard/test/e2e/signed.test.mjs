// One node, one server; then the fleet is signed: the page proposes, and mcpctl makes it so. Real Worker, real mcpctl.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { deadline, missing, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import * as hands from "./hands.mjs";
import { PlayedNode, server } from "./played.mjs";
import { axe, shoot } from "./walk.mjs";

const skip = skipFor(missing);
const run = promisify(execFile);
const text = (ref) => `apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: weather}\nspec:\n  source: {image: {ref: "ghcr.io/example/weather:${ref}"}}\n`;

let dir, worker, browser, node;
async function mcpctl(words, input = "") {
  const started = run(join(process.env.MCPFLEET_BIN, "mcpctl"), words, { env: { ...process.env, MCPFLEET_CONFIG: join(dir, "contexts") }, timeout: deadline });
  started.child.stdin.end(input);
  return (await started).stdout;
}
async function write(page, value) {
  await hands.write(page, value);
  await page.getByText("Nothing is wrong with it").waitFor();
  await page.getByRole("button", { name: "Review" }).click();
}

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(join(dir, "worker"));
  browser = await openBrowser();
  await mcpctl(["config", "set-context", "here", "--server", worker.url, "--token-stdin", "--use"], `${worker.operator}\n`);
});
after(async () => {
  if (skip) return;
  node?.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

describe("a small fleet", { skip, concurrency: 1 }, () => {
  test("of one node and one server speaks of one", { timeout: 300_000 }, async () => {
    await worker.call("POST", "/v1/changes", { body: { message: "first", set: [{ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name: "weather" }, spec: { source: { image: { ref: "ghcr.io/example/weather:1" } } } }] } });
    node = await new PlayedNode(worker, "edge-01").connect();
    node.say([server("weather")], { acceptedHead: "0.1.1" });
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText("1 node · 1 server").waitFor();
    await page.getByText("Nothing needs attention").waitFor();
    await page.getByText("0.1.1: 1 node").waitFor();
    await axe(page, "overview of one");
    await shoot(page, "one-overview-light");
    for (const [path, sub] of [["servers", "1 server"], ["nodes", "1 node"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.locator(".page-sub").getByText(sub, { exact: true }).waitFor();
      await page.locator(".table-body .badge.ready").waitFor();
      await shoot(page, `one-${path}-light`);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("that is signed gets proposals from the page, which mcpctl signs", { timeout: 300_000 }, async () => {
    await mcpctl(["keys", "create", "root"]);
    await mcpctl(["keys", "create", "laptop"]);
    await mcpctl(["trust", "init", "--root", "root", "--head", "laptop"]);
    const before = await worker.call("GET", "/v1/desired");
    assert.equal(before.signed, true);
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    await page.getByText("signed fleet").waitFor();
    await page.goto(`${worker.url}/-/apply`);
    await page.getByText("This fleet is signed").waitFor();
    await write(page, text("2"));
    const dialog = page.getByRole("dialog", { name: "1 change" });
    await dialog.getByLabel("Why, for the history").fill("weather 2");
    await dialog.getByRole("button", { name: "Propose" }).click();
    await page.getByText("Nothing has changed yet.").waitFor();
    assert.equal(await page.locator(".toast").count(), 0, "the card says it");
    await axe(page, "proposed");
    await shoot(page, "signed-proposed-light");
    assert.deepEqual((await worker.call("GET", "/v1/desired")).snapshot, before.snapshot, "the head did not move");
    await page.goto(`${worker.url}/-/history`);
    const waiting = page.getByRole("region", { name: "Waiting for a signature" });
    await waiting.getByText("weather 2").waitFor();
    const command = await waiting.locator(".command pre").textContent();
    assert.match(command, /^mcpctl proposals sign [0-9a-f]{12}$/);
    await axe(page, "waiting for a signature");
    await shoot(page, "signed-waiting-light");
    await mcpctl([...command.split(" ").slice(1), "--yes"]);
    await page.getByRole("listitem").filter({ hasText: "weather 2" }).getByText("in force").waitFor();
    await until("the proposal is gone", async () => (await worker.call("GET", "/v1/desired/proposals")).length === 0);
    await page.reload();
    await page.locator(".chip").getByText("in force").waitFor();
    assert.equal(await page.getByText("Waiting for a signature").count(), 0);
    assert.deepEqual(faults, []);
    await context.close();
  });
});
