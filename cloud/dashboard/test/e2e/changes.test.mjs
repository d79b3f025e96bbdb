// What changes the fleet from the page: Apply, History, enrolment, deeds and who did them; what is lost by leaving, what failed answers and
// a page that is older than what serves it look like. Real Worker, played nodes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import * as hands from "./hands.mjs";
import { condition, object, PlayedNode, server } from "./played.mjs";
import { axe, shoot as keep } from "./walk.mjs";

const skip = skipFor(missingBrowser);
const timeout = 180_000;
const manifest = (name, ref = "1.4.2") => `apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: ${name}\nspec:\n  source:\n    image:\n      ref: ghcr.io/example/${name}:${ref}\n`;
const refusal = (status, message) => ({ status, json: { success: false, errors: [{ code: 1, message }], messages: [], result: null } });

// Raises an alert, as a token that ends soon does, which takes the Worker a while.
const looping = server("looping", { conditions: [condition("Available", "False", "CrashLoopBackOff", "exit code 1"), condition("Ready", "False", "CrashLoopBackOff", "exit code 1")], restarts: { count: 9, lastExitCode: 1 } });
const BOB = "b".repeat(48); // another operator's token

let dir, worker, browser, one;
before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir, { more: [{ name: "bob", role: "operator", sha256: createHash("sha256").update(BOB).digest("hex"), expires: new Date(Date.now() + 5 * 86_400_000).toISOString() }] });
  browser = await openBrowser();
  await worker.call("POST", "/v1/changes", { body: { message: "the first servers", set: [object("weather"), object("notes"), { apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-01" } }] } });
  const compared = object("compared", { args: ["--one"] });
  await worker.call("POST", "/v1/changes", { body: { message: "made", set: [compared] } });
  await worker.call("POST", "/v1/changes", { body: { message: "compared 1.5.0", set: [{ ...compared, spec: { ...compared.spec, source: { image: { ref: "ghcr.io/example/compared:1.5.0" } } } }] } });
  one = await new PlayedNode(worker, "edge-01").connect();
  one.say([server("weather"), server("notes"), looping]);
});
after(async () => {
  if (skip) return;
  one.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

const shoot = (page, name) => keep(page, `changes-${name}`);
const open = (path, token = worker.operator) => openPage(browser, worker, { token, address: `${worker.url}/-/${path}` });
const { go } = hands;
const heading = (page, name) => page.getByRole("heading", { name, level: 1 }).waitFor();
const editor = (page) => page.locator(".cm-content").first();
async function write(page, text) {
  await hands.write(page, text);
  await page.getByText("Nothing is wrong with it").waitFor();
}
async function review(page, changes) {
  await page.getByRole("button", { name: "Review" }).click();
  const dialog = page.getByRole("dialog", { name: changes });
  await dialog.waitFor();
  return dialog;
}
async function apply(page, text, why) {
  await write(page, text);
  const dialog = await review(page, "1 change");
  await dialog.getByLabel("Why, for the history").fill(why);
  await dialog.getByRole("button", { name: "Apply" }).click();
  await dialog.waitFor({ state: "detached" });
}

async function stored(name) {
  const { shards } = await worker.call("GET", `/v1/desired/snapshots/${(await worker.call("GET", "/v1/desired")).snapshot}`);
  const rows = (await Promise.all(shards.filter(Boolean).map((hash) => worker.call("GET", `/v1/desired/shards/${hash}`)))).flat();
  return worker.call("GET", `/v1/desired/objects/${rows.find((row) => row.name === name).hash}`);
}

describe("Apply", { skip, concurrency: 1 }, () => {
  test("says when the manifest that was asked for can't be read, and opens no other in its place", { timeout }, async () => {
    const { page, context, faults } = await open("servers/default/weather?tab=yaml");
    let away = true;
    await page.getByText("ghcr.io/example/weather:1.4.2").first().waitFor();
    const row = (await worker.call("GET", "/v1/desired/history"))[0];
    const { shards } = await worker.call("GET", `/v1/desired/snapshots/${row.snapshot}`);
    const rows = (await Promise.all(shards.filter(Boolean).map((hash) => worker.call("GET", `/v1/desired/shards/${hash}`)))).flat();
    const { hash } = rows.find(({ name }) => name === "weather");
    await page.route("**/v1/desired/objects/*", (route) => (away ? route.fulfill(refusal(410, "the object can't be read any more")) : route.continue()));
    await page.goto(`${worker.url}/-/apply?object=${hash}`);
    await page.getByRole("alert").getByText("the object can't be read any more").waitFor();
    await heading(page, "Apply");
    assert.equal(await page.locator(".cm-content").count(), 0);
    assert.equal(await page.getByRole("button", { name: "Review" }).count(), 0);
    await axe(page, "a manifest that can't be read");
    away = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await editor(page).getByText("ghcr.io/example/weather:1.4.2").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("asks before typed text is lost, by a link, back and a reload, and for nothing else", { timeout }, async () => {
    const { page, context, faults } = await open("history");
    const asked = page.getByRole("alertdialog", { name: "Leave without applying?" });
    await go(page, "Apply");
    await editor(page).waitFor();
    // What is a sample is lost to nobody.
    await go(page, "History");
    await heading(page, "History");
    await go(page, "Apply");
    await write(page, manifest("typed"));
    await go(page, "Nodes");
    await asked.waitFor();
    await axe(page, "leaving Apply");
    await asked.getByRole("button", { name: "Cancel" }).click();
    await asked.waitFor({ state: "detached" });
    await editor(page).getByText("example/typed").waitFor();
    await page.goBack();
    await asked.waitFor();
    await asked.getByRole("button", { name: "Cancel" }).click();
    await editor(page).getByText("example/typed").waitFor();
    assert.match(page.url(), /\/apply$/);
    const words = [];
    page.on("dialog", (dialog) => (words.push(dialog.type()), void dialog.dismiss()));
    await page.reload({ timeout: 3000 }).catch(() => undefined);
    assert.deepEqual(words, ["beforeunload"]);
    await editor(page).getByText("example/typed").waitFor();
    await go(page, "Nodes");
    await asked.getByRole("button", { name: "Leave" }).click();
    await heading(page, "Nodes");
    // What was applied is not lost.
    await go(page, "Apply");
    await apply(page, manifest("kept"), "kept");
    await page.getByText("On its way").waitFor();
    await go(page, "Nodes");
    await heading(page, "Nodes");
    assert.deepEqual(words, ["beforeunload"]);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has what is on its way in the address, for a reload and for who is sent it", { timeout }, async () => {
    const { page, context, faults } = await open("apply");
    await apply(page, manifest("rolled"), "rolled out");
    const card = page.getByRole("region", { name: "On its way" });
    const { head } = await worker.call("GET", "/v1/desired");
    await card.getByText(`version ${head}`).waitFor();
    await card.getByText(/^0 of 1 on generation 1, 0 ready/).waitFor();
    await page.waitForURL(/rollout=0\.1\.\d+&at=[0-9a-f]{64}/);
    const address = page.url();
    await card.getByRole("link", { name: /rolled/ }).click();
    await heading(page, "rolled");
    await page.goBack();
    await card.getByText("rolled").waitFor();
    await page.reload();
    await card.getByText(`version ${head}`).waitFor();
    assert.equal(await card.getByRole("listitem").count(), 1);
    one.say([server("weather"), server("notes"), looping, server("rolled")]);
    await card.getByText("1 of 1 on generation 1, 1 ready").waitFor();
    await axe(page, "on its way");
    await context.close();
    const other = await open("servers", worker.viewer);
    await other.page.goto(address);
    await other.page.getByRole("region", { name: "On its way" }).getByText("rolled").waitFor();
    await go(other.page, "Apply");
    await other.page.getByRole("region", { name: "On its way" }).waitFor({ state: "detached" });
    assert.deepEqual([...faults, ...other.faults], []);
    await other.context.close();
  });
});

describe("Enrol", { skip, concurrency: 1 }, () => {
  test("asks before the only copy of a secret is lost, and says when it can't begin", { timeout }, async () => {
    const { page, context, faults } = await open("servers");
    let away = true;
    await page.route("**/v1/desired", (route) => (away ? route.fulfill(refusal(409, "the store is busy")) : route.continue()));
    await go(page, "Nodes");
    await page.getByRole("button", { name: "Enrol a node" }).click();
    const dialog = page.getByRole("dialog", { name: /^Enrol/ });
    await dialog.getByText("the store is busy").waitFor();
    await axe(page, "an enrolment that can't begin");
    away = false;
    await dialog.getByRole("button", { name: "Try again" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("edge-09");
    await page.keyboard.press("Escape"); // nothing is lost yet
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Enrol a node" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("edge-09");
    await dialog.getByRole("button", { name: "Make a join token" }).click();
    const command = await dialog.locator(".command pre").textContent();
    const asked = page.getByRole("alertdialog", { name: "Stop waiting for edge-09?" });
    const stays = async (how) => {
      await asked.waitFor();
      await asked.getByRole("button", { name: "Cancel" }).click();
      await asked.waitFor({ state: "detached" });
      assert.equal(await dialog.locator(".command pre").textContent(), command, how);
      await page.waitForFunction(() => document.querySelector("[role=dialog]").style.pointerEvents === "auto"); // it takes clicks again
    };
    await page.keyboard.press("Escape");
    await axe(page, "stop waiting");
    await shoot(page, "enrol-asks-light");
    await stays("after Escape");
    await page.mouse.click(5, 5);
    await stays("after a click beside it");
    await dialog.getByRole("button", { name: "Close" }).click();
    await stays("after its cross");
    await page.goBack();
    await stays("after back");
    const joins = async () => (await worker.call("GET", "/v1/joins")).filter(({ node }) => node === "edge-09").map(({ state }) => state);
    assert.deepEqual(await joins(), ["Pending"]);
    await dialog.getByRole("button", { name: "End the token" }).click();
    await asked.getByRole("button", { name: "End the token" }).click();
    await page.locator(".command pre").waitFor({ state: "detached" }); // the dialog behind has no role while it is asked
    assert.deepEqual(await joins(), ["Revoked"]);
    await go(page, "Servers");
    await heading(page, "Servers");
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("Enrol again", { skip, concurrency: 1 }, () => {
  test("takes nothing from a node that is declared", { timeout }, async () => {
    await worker.call("POST", "/v1/changes", { body: { message: "drained", set: [{ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-08", labels: { site: "berlin" } }, spec: { unschedulable: true, drain: true } }] } });
    const { page, context, faults } = await open("nodes");
    await page.getByRole("button", { name: "Enrol a node" }).click();
    const dialog = page.getByRole("dialog", { name: /^Enrol/ });
    await dialog.getByLabel("Name", { exact: true }).fill("edge-08");
    await dialog.getByLabel(/^Labels/).fill("tier=gold");
    await dialog.getByRole("button", { name: "Make a join token" }).click();
    await dialog.locator(".command pre").waitFor();
    const { metadata, spec } = await stored("edge-08");
    assert.deepEqual([metadata.labels, spec], [{ site: "berlin", tier: "gold" }, { unschedulable: true, drain: true }]);
    await dialog.getByRole("button", { name: "End the token" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "End the token" }).click();
    await page.locator(".command pre").waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await context.close();
  });
});

// What a comparison shows: lines that go, lines that come, in their order. What is folded is not there.
const compared = (place) =>
  place.locator(".diff").evaluate((diff) => ({
    gone: [...diff.querySelectorAll(".cm-deletedChunk .cm-deletedLine")].map((line) => line.textContent),
    come: [...diff.querySelectorAll(".cm-content > .cm-line")].filter((line) => line.matches(".cm-changedLine, .cm-insertedLine") || line.querySelector(".cm-changedLine, .cm-insertedLine") !== null).map((line) => line.textContent),
  }));

describe("what differs", { skip, concurrency: 1 }, () => {
  test("is shown line by line before it is applied, of a file that was opened", { timeout }, async () => {
    const { page, context, faults } = await open("apply");
    const file = join(dir, "compared.yaml");
    writeFileSync(file, `${manifest("compared", "1.6.0")}  args: [--one]\n`);
    await editor(page).waitFor();
    const chosen = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Open a file" }).click();
    await (await chosen).setFiles(file);
    await editor(page).getByText("ghcr.io/example/compared:1.6.0").waitFor();
    await page.getByText("Nothing is wrong with it").waitFor();
    const dialog = await review(page, "1 change");
    await dialog.getByText("changed", { exact: true }).waitFor();
    await dialog.locator(".diff .cm-content").waitFor();
    assert.deepEqual(await compared(dialog), { gone: ["      ref: ghcr.io/example/compared:1.5.0"], come: ["      ref: ghcr.io/example/compared:1.6.0"] });
    await axe(page, "a comparison");
    await dialog.getByLabel("Why, for the history").fill("compared 1.6.0");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.waitFor({ state: "detached" });
    // And in the history, from what was to what is.
    await go(page, "History");
    const version = page.locator("li.version").filter({ hasText: "compared 1.6.0" });
    await version.getByRole("button", { name: "compared 1.6.0" }).click();
    await version.getByText("MCPServer").click();
    await version.locator(".diff .cm-content").waitFor();
    assert.deepEqual(await compared(version), { gone: ["      ref: ghcr.io/example/compared:1.5.0"], come: ["      ref: ghcr.io/example/compared:1.6.0"] });
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("is looked at again when somebody else was first, and nothing is applied that was not shown", { timeout }, async () => {
    const made = (name, more) => worker.call("POST", "/v1/changes", { body: { message: "by somebody else", set: [object(name, more)] } });
    await made("shared");
    const { page, context, faults } = await open("apply");
    await editor(page).waitFor();
    await write(page, `${manifest("shared")}  args: [--mine]\n`);
    const dialog = await review(page, "1 change");
    await dialog.getByText("--mine").first().waitFor();
    assert.equal(await dialog.getByText("--theirs").count(), 0);
    await made("shared", { args: ["--theirs"] });
    await dialog.getByText("Somebody changed the fleet while you looked").waitFor();
    await dialog.getByText("--theirs").first().waitFor(); // what would be taken away is seen
    // And when the page has not heard of it yet.
    let first = true;
    await page.route("**/v1/changes", async (route) => {
      if (first && !route.request().postDataJSON().dryRun) {
        first = false;
        await made("shared", { args: ["--again"] });
      }
      await route.continue();
    });
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.getByText("The fleet has changed meanwhile").waitFor();
    await dialog.getByText("--again").first().waitFor();
    assert.deepEqual((await stored("shared")).spec.args, ["--again"]);
    await dialog.getByRole("button", { name: "Apply" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.deepEqual(faults.filter((fault) => !fault.includes("409")), []);
    await context.close();
  });

  test("says when it can't be read, and what waits for a signature, too", { timeout }, async () => {
    const { page, context, faults } = await open("servers", worker.viewer);
    let away = true;
    await page.route(/\/v1\/desired\/(objects\/|proposals)/, (route) => (away ? route.fulfill(refusal(410, "it can't be read any more")) : route.continue()));
    await go(page, "History");
    const waiting = page.getByRole("region", { name: "Waiting for a signature" });
    await waiting.getByText("could not be read: it can't be read any more").waitFor();
    const version = page.locator("li.version").filter({ hasText: "compared 1.5.0" });
    await version.getByRole("button", { name: "compared 1.5.0" }).click();
    await version.getByText("MCPServer").click();
    await version.getByRole("alert").getByText("it can't be read any more").waitFor();
    away = false;
    await version.getByRole("button", { name: "Try again" }).click();
    await version.locator(".diff .cm-content").waitFor();
    await waiting.getByRole("button", { name: "Try again" }).click();
    await waiting.waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("Roll back", { skip, concurrency: 1 }, () => {
  test("shows first what it changes, and asks for the name of what it deletes", { timeout }, async () => {
    await worker.call("POST", "/v1/changes", { body: { message: "all is well", set: [object("marker")] } });
    const { snapshot: whole } = await worker.call("GET", "/v1/desired");
    await worker.call("POST", "/v1/changes", { body: { message: "another notes", set: [object("notes", { args: ["--loud"] })] } });
    await worker.call("POST", "/v1/changes", { body: { message: "a new one", set: [object("later")] } });
    await worker.call("POST", "/v1/changes", { body: { message: "weather goes", remove: [{ kind: "MCPServer", namespace: "default", name: "weather" }] } });
    const { page, context, faults } = await open("history");
    const dialog = page.getByRole("alertdialog", { name: /^Roll back to version [0-9a-f]{12}\?$/ });
    const deed = dialog.getByRole("button", { name: "Roll back" });
    const version = (text) => page.locator("li.version").filter({ hasText: text });
    // To before the last one nothing is deleted: no name is asked for.
    await version("a new one").getByRole("button", { name: "Roll back" }).click();
    await dialog.getByText("1 created", { exact: true }).waitFor();
    assert.equal(await dialog.getByLabel(/^Type/).count(), 0);
    assert.equal(await deed.isEnabled(), true);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await version("all is well").getByRole("button", { name: "Roll back" }).click();
    await dialog.getByText("1 deleted, 1 created, 1 changed").waitFor();
    assert.deepEqual(await dialog.locator("summary").allTextContents(), ["deleted MCPServer later ", "created MCPServer weather ", "changed MCPServer notes "]);
    assert.equal(await deed.isDisabled(), true);
    await dialog.locator("summary").filter({ hasText: "notes" }).click();
    await dialog.locator(".diff .cm-content").waitFor();
    assert.deepEqual(await compared(dialog), { gone: ["  args:", "    - --loud"], come: [] });
    await axe(page, "a roll back that deletes");
    await shoot(page, "roll-back-light");
    await page.setViewportSize({ width: 390, height: 800 });
    await shoot(page, "roll-back-phone-light");
    await page.setViewportSize({ width: 1360, height: 900 });
    // Somebody else is quicker: it is told of what is in force now, and asks anew.
    await dialog.getByLabel(/^Type/).fill("later");
    assert.equal(await deed.isEnabled(), true);
    await worker.call("POST", "/v1/changes", { body: { message: "one more", set: [object("latest")] } });
    await dialog.getByText("2 deleted, 1 created, 1 changed").waitFor();
    assert.equal(await deed.isDisabled(), true);
    await dialog.getByLabel(/^Type/).fill("delete 2");
    await deed.click();
    await dialog.waitFor({ state: "detached" });
    await version("roll back to").getByText("in force").waitFor();
    const { snapshot } = await worker.call("GET", "/v1/desired");
    const shards = async (hash) => (await worker.call("GET", `/v1/desired/snapshots/${hash}`)).shards.map((shard) => shard !== "");
    assert.deepEqual(await shards(snapshot), await shards(whole));
    // A version that is as the one in force is nothing to go back to; one that can't be read says so.
    await page.route("**/v1/rollback", (route) => route.fulfill(refusal(410, "weather as it was then can't be read any more")));
    await version("a new one").getByRole("button", { name: "Roll back" }).click();
    await dialog.getByText("weather as it was then can't be read any more").waitFor();
    assert.equal(await deed.isDisabled(), true);
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("History", { skip, concurrency: 1 }, () => {
  test("reads on until it has the version of the address, and goes to it", { timeout }, async () => {
    for (let count = 0; count < 55; ++count) await worker.call("POST", "/v1/changes", { body: { message: `turn ${count}`, set: [object("notes", { args: [String(count)] })] } });
    const { page, context, faults } = await open("servers/default/compared?tab=history", worker.viewer);
    const seen = async (text) => {
      const line = page.locator("li.version.chosen").filter({ hasText: text });
      await line.getByText("MCPServer").first().waitFor();
      await until(`${text} is in view`, () => line.evaluate((element) => { const { top } = element.getBoundingClientRect(); return top >= 0 && top < innerHeight; }), 10_000);
    };
    // By the link of the server's own history: those pages are known already.
    await page.getByRole("button", { name: "Look at older versions" }).click();
    await page.getByRole("link", { name: /compared 1\.5\.0/ }).click();
    await heading(page, "History");
    await seen("compared 1.5.0");
    const address = page.url();
    assert.match(address, /history\?at=[0-9a-f]{64}$/);
    // And by the address alone.
    await page.goto("about:blank");
    await page.goto(address);
    await seen("compared 1.5.0");
    assert.equal(await page.locator("ol.versions > li").count() > 50, true);
    await page.goto(`${worker.url}/-/history?at=${"0".repeat(63)}a`);
    await page.getByText("There is no version 000000000000 in the history").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("a node that is declared", { skip, concurrency: 1 }, () => {
  test("is forgotten also when the Worker never heard of it", { timeout }, async () => {
    await worker.call("POST", "/v1/changes", { body: { message: "declared", set: [{ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "ghost" } }] } });
    const { page, context, faults } = await open("nodes/ghost");
    await heading(page, "ghost");
    await page.getByRole("button", { name: "Forget" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByRole("textbox").fill("ghost");
    await dialog.getByRole("button", { name: "Forget" }).click();
    await heading(page, "Nodes");
    await page.getByRole("row", { name: /^edge-01/ }).waitFor();
    await page.getByRole("row", { name: /^ghost/ }).waitFor({ state: "detached" });
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("Audit", { skip, concurrency: 1 }, () => {
  const rows = (page) => page.locator("tbody tr");
  const cells = (page) => rows(page).evaluateAll((all) => all.map((row) => [...row.cells].slice(1, 4).map((cell) => cell.textContent)));

  test("names who did each deed that is noted, leads to what it was done to, and keeps what is looked for in the address", { timeout }, async () => {
    const two = await new PlayedNode(worker, "edge-02").connect();
    const [{ key }] = await until("an alert is raised", async () => {
      const raised = await worker.call("GET", "/v1/alerts");
      return raised.length > 0 && raised;
    });
    const { snapshot } = await worker.call("GET", "/v1/desired");
    const join = "1".repeat(32);
    const deeds = [
      ["change", "fleet", "POST", "/v1/changes", { message: "by bob", set: [object("bobs")] }],
      ["restart", "default/bobs", "POST", "/v1/servers/default/bobs/restart"],
      ["suspend", "default/bobs", "POST", "/v1/servers/default/bobs/suspend"],
      ["resume", "default/bobs", "POST", "/v1/servers/default/bobs/resume"],
      ["delete", "default/bobs", "DELETE", "/v1/servers/default/bobs"],
      ["cordon", "edge-02", "POST", "/v1/nodes/edge-02/cordon"],
      ["uncordon", "edge-02", "POST", "/v1/nodes/edge-02/uncordon"],
      ["drain", "edge-02", "POST", "/v1/nodes/edge-02/drain"],
      ["declare", "edge-02", "POST", "/v1/nodes/edge-02/declare", { labels: { site: "oslo" } }],
      ["rollback", "fleet", "POST", "/v1/rollback", { snapshot }],
      ["tunnel", "edge-02", "PATCH", "/v1/nodes/edge-02", { tunnel: null }],
      ["rotate", "edge-02", "POST", "/v1/nodes/edge-02/rotate"],
      ["token", "edge-02", "POST", "/v1/nodes/edge-02/tokens"],
      ["enrol", join, "PUT", `/v1/joins/${join}`, { node: "edge-07", labels: {}, ttlSeconds: 3600 }],
      ["end join token", join, "DELETE", `/v1/joins/${join}`],
      ["acknowledge", key, "POST", "/v1/alerts/acknowledge", { key }],
      ["revoke", "edge-02", "POST", "/v1/nodes/edge-02/revoke"],
      ["forget", "edge-02", "DELETE", "/v1/nodes/edge-02"],
    ];
    for (const [, , method, path, body] of deeds) await worker.call(method, path, { token: BOB, ...(body === undefined ? {} : { body }) });
    // None that the Worker notes is missing here.
    const routes = new URL("../../../worker/src/routes/", import.meta.url);
    const noted = readdirSync(routes).flatMap((file) => [...readFileSync(new URL(file, routes), "utf8").matchAll(/(?:audit|what): "([^"]+)"/g)].map(([, what]) => what));
    assert.ok(noted.length > 8);
    for (const what of noted) assert.ok(deeds.some(([name]) => name === what), `${what} is not done here`);

    const { page, context, faults } = await open("audit", worker.viewer);
    await rows(page).filter({ hasText: "bob" }).first().waitFor();
    await page.getByRole("combobox", { name: "Who" }).selectOption("bob");
    await until("bob's deeds alone", async () => (await rows(page).count()) === deeds.length, 10_000);
    const VERBS = { suspend: "suspended", resume: "resumed", cordon: "cordoned", uncordon: "uncordoned", drain: "drained", declare: "declared", rotate: "asked for a new token of", revoke: "revoked", forget: "forgot", change: "changed", restart: "restarted", delete: "deleted", rollback: "rolled back", tunnel: "set the tunnel of", token: "made a token for", enrol: "made a join token for", "end join token": "ended the join token of", acknowledge: "acknowledged" };
    const said = ([what, subject]) => ["bob", VERBS[what], subject === "fleet" ? "the fleet" : subject === join ? "edge-07" : subject === key ? (key.startsWith("CrashLoop/") ? "Crash loop: default/looping on edge-01" : "API token expires: bob") : subject];
    assert.deepEqual(await cells(page), deeds.toReversed().map(said));
    // What is gone has no page to go to, once the fleet is known.
    for (const name of ["default/bobs", "edge-02"]) await until(`no link to ${name}`, async () => (await page.getByRole("link", { name, exact: true }).count()) === 0, 10_000);
    assert.match(page.url(), /audit\?who=bob$/);
    await page.getByRole("combobox", { name: "Action" }).selectOption("restart");
    await page.getByText(/^1 of /).waitFor();
    await page.reload();
    await page.getByText(/^1 of /).waitFor();
    assert.deepEqual(await cells(page), [["bob", "restarted", "default/bobs"]]);
    assert.equal(await page.getByRole("combobox", { name: "Who" }).inputValue(), "bob");
    await axe(page, "a filtered audit");
    await shoot(page, "audit-light");
    await page.getByRole("combobox", { name: "Action" }).selectOption("");
    await page.getByRole("combobox", { name: "Who" }).selectOption("");
    await page.getByRole("searchbox").fill("tunnel edge-02");
    await page.getByText(/^1 of /).waitFor();
    await page.getByRole("searchbox").fill("change weather created");
    await page.getByText(/^\d+ of /).waitFor();
    await page.getByRole("link", { name: "MCPServer/default/weather" }).first().click();
    await heading(page, "weather");
    two.close();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("shows what others do while it is looked at, and older ones when they are asked for", { timeout }, async () => {
    const first = (await worker.call("GET", "/v1/audit?limit=500")).at(-1);
    for (let count = 0; count < 105; ++count) await worker.call("PATCH", "/v1/nodes/edge-01", { body: { tunnel: null } });
    const { page, context, faults } = await open("audit", worker.viewer);
    await until("a page of it", async () => (await rows(page).count()) === 100, 10_000);
    const more = page.getByRole("button", { name: "Older ones" });
    const oldest = rows(page).last().locator("td").nth(4).getByText(first.detail.slice(0, 60));
    assert.equal(await oldest.count(), 0);
    await more.click();
    await until("another page of it", async () => (await rows(page).count()) > 100, 10_000);
    for (let turn = 0; turn < 5 && (await more.count()) > 0; ++turn) {
      const before = await rows(page).count();
      await more.click();
      await until("one more", async () => (await rows(page).count()) > before || (await more.count()) === 0, 10_000);
    }
    await oldest.waitFor();
    const all = (await worker.call("GET", "/v1/audit?limit=500")).length;
    assert.equal(await rows(page).count(), all);
    // One that changes the fleet is there at once, one that does not in ten seconds; those that were read stay.
    const newest = rows(page).first();
    await worker.call("POST", "/v1/servers/default/notes/restart", { token: BOB });
    await newest.filter({ hasText: "bob" }).getByText("restarted", { exact: true }).waitFor({ timeout: 5000 });
    await newest.getByRole("link", { name: "default/notes", exact: true }).waitFor();
    await worker.call("PATCH", "/v1/nodes/edge-01", { token: BOB, body: { tunnel: null } });
    await newest.getByText("set the tunnel of", { exact: true }).waitFor({ timeout: 15_000 });
    assert.equal(await rows(page).count(), all + 2);
    // What is rare is looked for further back.
    await page.getByRole("searchbox").fill(first.detail.split(" ")[0]);
    await page.getByText(new RegExp(`of ${all + 2} actions$`)).waitFor();
    await page.goto("about:blank");
    await page.goto(`${worker.url}/-/audit?q=MCPNode%2Fedge-01+created`);
    await oldest.waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
});

describe("the page", { skip, concurrency: 1 }, () => {
  test("is named in the browser's tab and to who listens", { timeout }, async () => {
    const { page, context, faults } = await openPage(browser, worker);
    await page.getByLabel("API token").waitFor();
    assert.equal(await page.title(), "Sign in · mcpfleet");
    await context.close();
    const seen = await open("", worker.viewer);
    const named = (title, ...names) =>
      until(title, async () => {
        const spoken = await seen.page.getByRole("main").getAttribute("aria-label");
        return (await seen.page.title()) === title && spoken === names.join(", ");
      }, 10_000);
    await named("Overview · mcpfleet", "Overview");
    await go(seen.page, "Servers");
    await named("Servers · mcpfleet", "Servers");
    await seen.page.getByRole("link", { name: "notes", exact: true }).click();
    await named("notes · Servers · mcpfleet", "notes", "Servers");
    await until("whoever listens is there", () => seen.page.evaluate(() => document.activeElement.id === "main"), 10_000);
    await seen.page.goto(`${worker.url}/-/nodes/edge-01`);
    await named("edge-01 · Nodes · mcpfleet", "edge-01", "Nodes");
    await heading(seen.page, "edge-01");
    await axe(seen.page, "a named page");
    await seen.page.goto(`${worker.url}/-/nowhere`);
    await named("No such page · mcpfleet", "No such page");
    assert.deepEqual([...faults, ...seen.faults], []);
    await seen.context.close();
  });

  test("that is older than what serves it says so where a part of it is gone, and is loaded again", { timeout }, async () => {
    const { page, context } = await open("servers/default/notes", worker.operator);
    let away = true;
    const gone = [];
    await page.route(/\/assets\/(tools|diff|server_usage|audit)-[^/]*\.js$/, (route) => (away ? (gone.push(route.request().url()), route.fulfill({ status: 404, body: "" })) : route.continue()));
    const told = page.getByRole("alert").filter({ hasText: "This part of the page could not be loaded" });
    const says = async () => {
      await told.getByText("A newer version of this page was put in its place meanwhile, or what serves it can’t be reached.").waitFor();
      assert.equal(await page.getByText("defect of the page").count(), 0);
    };
    await heading(page, "notes");
    await page.getByRole("tab", { name: "Tools" }).click();
    await says();
    await page.getByRole("navigation", { name: "Main" }).waitFor(); // the rest is there
    await axe(page, "a part that is gone");
    await shoot(page, "gone-light");
    // A page of its own is loaded again by itself, once; then it says the same.
    await go(page, "Audit");
    await says();
    assert.ok(gone.some((url) => url.includes("/audit-")));
    // What is typed stays, where only the comparison is gone.
    await go(page, "Apply");
    await write(page, manifest("typed"));
    const dialog = await review(page, "1 change");
    await dialog.getByText("This part of the page could not be loaded").waitFor();
    await dialog.getByRole("button", { name: "Back to the editor" }).click();
    await editor(page).getByText("example/typed").waitFor();
    await page.goto(`${worker.url}/-/servers/default/notes?tab=usage`);
    await says();
    away = false;
    await told.getByRole("button", { name: "Load it again" }).click();
    await told.waitFor({ state: "detached" });
    await page.getByRole("tabpanel", { name: "Usage" }).locator("canvas, svg, p, h3").first().waitFor();
    await context.close();
  });

  test("says when a text could not be copied", { timeout }, async () => {
    const { page, context, faults } = await open("servers/default/notes", worker.viewer);
    const copy = page.locator(".facts-endpoint").getByRole("button").first();
    await copy.click();
    await page.getByRole("button", { name: "Copied", exact: true }).waitFor();
    await page.getByRole("button", { name: "Copied", exact: true }).waitFor({ state: "detached" });
    await page.evaluate(() => (navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"))));
    await copy.click();
    await page.getByRole("button", { name: "Could not be copied: mark it and copy it by hand" }).waitFor();
    // Where the page is not served safely there is none at all.
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true }));
    await page.getByRole("button", { name: "Copy the endpoint" }).click();
    await page.getByRole("button", { name: "Could not be copied: mark it and copy it by hand" }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
});
