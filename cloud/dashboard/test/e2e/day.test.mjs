// A person's day with a real fleet: enrol a machine, apply a bad manifest and mend it, watch it come, call tools, kill a server and see it
// back, read logs of a node that is dead, roll back, revoke. Real Worker in workerd, real mcplet, real MCP servers.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { deadline, manifest, missing, Node, openBrowser, openPage, remove, shots, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import * as hands from "./hands.mjs";

const skip = skipFor(missing);
// In the arguments of the servers of this run, so that just these are killed.
const mark = `day-${process.pid}`;
const own = (more = "") => manifest("one", `  args: [--name, ${mark}]\n${more}`);
function processesOf(name) {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return words.includes(name) && words[0].endsWith("mcp_test_server");
    } catch {
      return false;
    }
  }).map(Number);
}

let dir, worker, browser, node, page, faults;
const shoot = (name) => page.screenshot({ path: join(shots, `day-${name}.png`) });
const go = (name) => hands.go(page, name);
const summary = async (name) => (await worker.call("GET", "/v1/servers")).find((each) => each.name === name);
// A machine without NTP is degraded, which is right and not what this is about.
const nodeThere = () => page.locator(".table-body .badge:is(.ready, .degraded)");
const badge = (health) => page.locator(`.page-sub .badge.${health}`);

const write = (text) => hands.write(page, text);
const confirm = (button, name) => hands.confirm(page, button, name);
async function openServer(name, tab = "") {
  await page.goto(`${worker.url}/-/servers/default/${name}${tab}`);
  await page.getByRole("heading", { name, level: 1 }).waitFor();
}

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(join(dir, "worker"));
  browser = await openBrowser();
  ({ page, faults } = await openPage(browser, worker, { token: worker.operator }));
});
after(async () => {
  if (skip) return;
  await browser.close();
  await node?.end();
  await worker.end();
  remove(dir);
});

describe("a day", { skip, concurrency: 1 }, () => {
  test("a machine is enrolled with one command, and proves that it has the secret", { timeout: 300_000 }, async () => {
    await page.getByRole("link", { name: "Enrol the first node" }).click();
    await page.getByRole("button", { name: "Enrol a node" }).click();
    await page.getByLabel("Name", { exact: true }).fill("edge-01");
    await page.getByLabel("Labels").fill("site=berlin");
    await page.getByRole("button", { name: "Make a join token" }).click();
    const command = await page.locator(".command pre").textContent();
    assert.match(command, /^mcplet join http:\S+ --name edge-01 --token-file - <<'END'\n[0-9a-f]{32}\.[\w-]{43}\.[0-9a-f]{32}\.\.0\.1\.1\nEND$/);
    await shoot("enrol");
    node = new Node("edge-01", dir, worker.url);
    await node.prepare();
    await node.join(command.split("\n")[1]);
    await page.getByText("edge-01 has joined").waitFor();
    await page.getByRole("button", { name: "Done" }).click();
    node.start();
    await until("its keys are published", async () => (await worker.call("GET", "/v1/nodes/edge-01")).connected);
    await nodeThere().waitFor();
    await page.getByText("site=berlin").waitFor();
  });

  test("a bad manifest is refused with its line, mended, and watched until it is Ready", { timeout: 300_000 }, async () => {
    await go("Apply");
    await write(own().replace("source:", "transport: http\n  source:"));
    await page.getByText('spec.transport: unknown value "http"').first().waitFor();
    assert.equal(await page.getByRole("button", { name: "Review" }).isDisabled(), true);
    await page.locator(".cm-lintRange-error").first().waitFor();
    await shoot("bad-manifest");
    await write(own());
    await page.getByText("Nothing is wrong with it").waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    const dialog = page.getByRole("dialog", { name: "1 change" });
    await dialog.getByText("created").waitFor();
    await dialog.getByLabel("Why, for the history").fill("the first server");
    await shoot("review");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await page.locator(".card .rows .badge.ready").waitFor();
    await shoot("rollout");
    assert.equal((await summary("one")).ready, "True");
  });

  test("a tool is tried through the Worker's route, with progress and a question of the server", { timeout: 300_000 }, async () => {
    await page.goto(`${worker.url}/-/nodes/edge-01`);
    await page.getByLabel("Host name of its tunnel").fill(node.gateway);
    await page.getByRole("button", { name: "Set" }).click();
    await page.getByText("Requests are routed to it.").waitFor();
    await openServer("one", "?tab=tools");
    await page.getByRole("button", { name: /^echo/ }).click();
    await page.getByLabel("message", { exact: true }).fill("<b>hello</b> from the page");
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".result pre").getByText("<b>hello</b> from the page").waitFor();
    await shoot("tool");
    await page.getByRole("button", { name: /^progress/ }).click();
    await page.getByLabel("count", { exact: true }).fill("3");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("Its last progress: 3 of 3").waitFor();
    assert.equal(await page.locator(".result pre").first().textContent(), "3");
    await page.getByRole("button", { name: /^ask/ }).click();
    await page.getByLabel("method", { exact: true }).fill("elicitation/create");
    await page.locator("textarea").fill(JSON.stringify({ message: "How many?", requestedSchema: { type: "object", properties: { amount: { type: "integer" } }, required: ["amount"] } }));
    await page.getByRole("button", { name: "Run" }).click();
    const asked = page.getByRole("dialog", { name: "The server asks" });
    await asked.getByText("How many?").waitFor();
    await asked.getByLabel("amount").fill("42");
    await asked.getByRole("button", { name: "Answer" }).click();
    await page.locator(".result pre").getByText("42").first().waitFor();
    // And what it asks of a model: a person answers in its place, or declines.
    await page.getByLabel("method", { exact: true }).fill("sampling/createMessage");
    await page.locator("textarea").fill(JSON.stringify({ maxTokens: 10, systemPrompt: "be brief", messages: [{ role: "user", content: { type: "text", text: "What is the <b>capital</b>?" } }] }));
    await page.getByRole("button", { name: "Run" }).click();
    const sampled = page.getByRole("dialog", { name: "The server asks for a model’s answer" });
    await sampled.getByText("What is the <b>capital</b>?").waitFor();
    await sampled.getByText("be brief").waitFor();
    await shoot("sampling");
    await sampled.getByLabel("Answer").fill("Oslo, perhaps");
    await sampled.getByRole("button", { name: "Answer" }).click();
    await page.locator(".result pre").getByText("Oslo, perhaps").first().waitFor();
    await page.getByRole("button", { name: "Run" }).click();
    await sampled.getByRole("button", { name: "Decline" }).click();
    await page.locator(".try").getByText("the person declined").first().waitFor();
  });

  test("what the server uses is measured by its node, with its sessions, calls and events", { timeout: 300_000 }, async () => {
    await openServer("one", "?tab=usage");
    await page.getByText("Live, every 5 s").waitFor();
    await page.getByRole("img", { name: /^Memory over the last hour: .* now [\d.]+ [KM]iB/ }).waitFor();
    await page.getByRole("img", { name: /^CPU over the last hour: .* now (<?[\d.]+) cores/ }).waitFor();
    await page.getByRole("row").filter({ hasText: "Started" }).first().waitFor();
    // The calls of the test before fell into the minute that is under way: they are seen when it is over.
    const called = page.getByRole("img", { name: /^Tool calls a minute .*: Calls from 0 to [1-9]/ });
    for (let look = 0; look < 15 && !(await called.isVisible()); ++look) {
      await page.waitForTimeout(6000);
      await page.reload();
      await page.getByText("Live, every 5 s").waitFor();
      await page.getByRole("img", { name: /^Tool calls a minute/ }).waitFor();
    }
    await called.waitFor();
    await page.getByRole("img", { name: /p50\) from .* ms/ }).waitFor();
    await shoot("usage");
    await page.goto(`${worker.url}/-/nodes/edge-01`);
    await page.getByRole("row", { name: /^one / }).filter({ hasText: /[KM]iB/ }).first().waitFor();
  });

  test("a killed server is seen to come back, with what ended it", { timeout: 300_000 }, async () => {
    await openServer("one");
    await badge("ready").waitFor();
    const pids = processesOf(mark);
    assert.ok(pids.length > 0);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await page.getByText(/last end: .*signal 9/).waitFor();
    await badge("ready").waitFor();
    await page.getByRole("heading", { name: /1 restart/ }).waitFor();
    await shoot("restarted");
  });

  test("buttons restart, suspend and resume it, and the list of deeds says who", { timeout: 300_000 }, async () => {
    await page.getByRole("button", { name: "Suspend" }).click();
    await confirm("Suspend");
    await page.getByText("one is suspended.", { exact: true }).waitFor();
    await badge("off").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await confirm("Resume");
    await badge("ready").waitFor();
    await page.getByRole("button", { name: "Restart" }).click();
    await confirm("Restart");
    await page.getByText("one is restarting.", { exact: true }).waitFor();
    await until("the new generation is Ready", async () => {
      const found = await summary("one");
      return found.generation === 4 && found.ready === "True";
    });
    await go("Audit");
    for (const what of ["restarted", "suspended", "resumed"]) await page.getByRole("row").filter({ hasText: "default/one" }).getByText(what, { exact: true }).waitFor();
    await page.getByRole("row").filter({ hasText: "ada" }).first().waitFor();
    await shoot("audit");
  });

  test("another version is applied, and rolled back", { timeout: 300_000 }, async () => {
    await go("Apply");
    await write(manifest("one", `  args: [--name, ${mark}, --crash-after, "1"]\n  terminationGracePeriod: 1s\n`));
    await page.getByText("Nothing is wrong with it").waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    const dialog = page.getByRole("dialog", { name: "1 change" });
    await dialog.getByText("--crash-after").first().waitFor();
    await dialog.getByLabel("Why, for the history").fill("worse");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.waitFor({ state: "detached" });
    await go("History");
    await page.getByText("worse").waitFor();
    const before = page.getByRole("listitem").filter({ hasText: "restart one" });
    await before.getByRole("button", { name: "restart one" }).click();
    await page.getByText("changed").first().waitFor();
    await shoot("history");
    await before.getByRole("button", { name: "Roll back" }).click();
    await page.getByRole("alertdialog").getByText("1 changed", { exact: true }).waitFor();
    await confirm("Roll back");
    await page.getByRole("listitem").filter({ hasText: "roll back to" }).getByText("in force").waitFor();
    await openServer("one");
    await until("one is Ready again", async () => {
      const found = await summary("one");
      return found.generation === 6 && found.ready === "True";
    });
    await badge("ready").waitFor();
  });

  test("logs are followed live, and are there when the node is dead", { timeout: 300_000 }, async () => {
    await openServer("one", "?tab=logs");
    await page.locator(".log-text").getByText(`${mark} starts`).first().waitFor({ timeout: 60_000 });
    await shoot("logs");
    await until("the lines are in the store", async () => (await worker.call("GET", "/v1/logs")).some((line) => line.text.includes(mark)), 90_000);
    node.child.kill("SIGKILL");
    await node.exited;
    node.child = undefined;
    await page.goto(`${worker.url}/-/logs?q=starts`);
    await page.locator(".log-text").getByText(`${mark} starts`).first().waitFor();
    await go("Nodes");
    await page.locator(".table-body .badge.offline").waitFor();
    await shoot("node-offline");
    node.start();
    await nodeThere().waitFor({ timeout: 60_000 });
  });

  test("a server is deleted, and a machine revoked, only by their names", { timeout: 300_000 }, async () => {
    await openServer("one");
    await page.getByRole("button", { name: "Delete" }).click();
    await confirm("Delete", "one");
    await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
    await until("it is gone from the node", async () => (await summary("one")) === undefined, 60_000);
    await page.goto(`${worker.url}/-/nodes/edge-01`);
    await page.getByRole("button", { name: "Revoke" }).click();
    await shoot("revoke");
    await confirm("Revoke", "edge-01");
    await page.getByText("Revoked. It could open no secret.").waitFor();
    await badge("offline").waitFor();
    assert.equal((await worker.call("GET", "/v1/nodes/edge-01")).tokens.length, 0);
    assert.deepEqual(faults, []);
  });
});
