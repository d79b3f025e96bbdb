// What changes the fleet from the page: Apply, History, enrolment, deeds and who did them; what is lost by leaving, what failed answers and
// a page that is older than what serves it look like. Real Worker, played nodes.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { missingBrowser, openBrowser, openPage, remove, shots, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { PlayedNode, server } from "./played.mjs";

const skip = skipFor(missingBrowser);
const timeout = 180_000;
const object = (name, more = {}) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name }, spec: { source: { image: { ref: `ghcr.io/example/${name}:1.4.2` } }, ...more } });
const manifest = (name, ref = "1.4.2") => `apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: ${name}\nspec:\n  source:\n    image:\n      ref: ghcr.io/example/${name}:${ref}\n`;
const refusal = (status, message) => ({ status, json: { success: false, errors: [{ code: 1, message }], messages: [], result: null } });

let dir, worker, browser, one;
before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir);
  browser = await openBrowser();
  await worker.call("POST", "/v1/changes", { body: { message: "the first servers", set: [object("weather"), object("notes"), { apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: "edge-01" } }] } });
  one = await new PlayedNode(worker, "edge-01").connect();
  one.say([server("weather"), server("notes")]);
});
after(async () => {
  if (skip) return;
  one.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

async function axe(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], where);
}
const shoot = (page, name) => page.screenshot({ path: join(shots, `changes-${name}.png`) });
const open = (path, token = worker.operator) => openPage(browser, worker, { token, address: `${worker.url}/-/${path}` });
const go = (page, name) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).click();
const heading = (page, name) => page.getByRole("heading", { name, level: 1 }).waitFor();
const editor = (page) => page.locator(".cm-content").first();
async function write(page, text) {
  await editor(page).click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await page.keyboard.press("ControlOrMeta+v");
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
    await card.getByText("no node reports generation 1 yet").waitFor();
    await page.waitForURL(/rollout=0\.1\.\d+&at=[0-9a-f]{64}/);
    const address = page.url();
    await card.getByRole("link", { name: /rolled/ }).click();
    await heading(page, "rolled");
    await page.goBack();
    await card.getByText("rolled").waitFor();
    await page.reload();
    await card.getByText(`version ${head}`).waitFor();
    assert.equal(await card.getByRole("listitem").count(), 1);
    one.say([server("weather"), server("notes"), server("rolled")]);
    await card.getByText("1 of 1 nodes ready").waitFor();
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
