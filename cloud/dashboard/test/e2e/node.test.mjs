// The dashboard of a node alone, as it is there after the quickstart: real mcplet with its embedded store serves the page and the routes,
// and the gateway behind it runs the tools. No Worker, no account.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { deadline, LoneNode, manifest, missing, openBrowser, openPage, remove, shots, skipFor, temporary, until } from "./fleet.mjs";
import * as hands from "./hands.mjs";

const skip = skipFor(missing);

let dir, browser, node, page, faults, address, context;
const shoot = (name) => page.screenshot({ path: join(shots, `node-${name}.png`) });
const go = (name) => hands.go(page, name);
const site = () => new URL(address).origin;

const write = (text) => hands.write(page, text);
const confirm = (button, name) => hands.confirm(page, button, name);
async function apply(text, why) {
  await go("Apply");
  await write(text);
  await page.getByText("Nothing is wrong with it").waitFor();
  await page.getByRole("button", { name: "Review" }).click();
  const dialog = page.getByRole("dialog", { name: "1 change" });
  await dialog.getByLabel("Why, for the history").fill(why);
  await dialog.getByRole("button", { name: "Apply" }).click();
  await dialog.waitFor({ state: "detached" });
}
async function openServer(tab = "") {
  await page.goto(`${site()}/-/servers/default/one${tab}`);
  await page.getByRole("heading", { name: "one", level: 1 }).waitFor();
}
const get = async (...words) => JSON.parse(await node.mcpctl("get", ...words, "-o", "json"));
// Who ran mcpctl dashboard.
const who = () => new RegExp(`\\b${userInfo().username}\\b`);
const badge = (health) => page.locator(`.page-sub .badge.${health}`);

before(async () => {
  if (skip) return;
  dir = temporary();
  node = new LoneNode("alone", dir);
  await node.prepare();
  node.start();
  await node.ready();
  browser = await openBrowser();
});
after(async () => {
  if (skip) return;
  await browser?.close();
  await node.end();
  remove(dir);
});

describe("a node alone", { skip, concurrency: 1 }, () => {
  test("the address that mcpctl prints signs in, once", { timeout: 300_000 }, async () => {
    address = await node.mcpctl("dashboard", "--no-open");
    assert.match(address, /^http:\/\/mcpfleet\.localhost:\d+\/-\/#[0-9a-f]{64}$/);
    ({ page, faults, context } = await openPage(browser, undefined, { address }));
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    assert.equal(new URL(page.url()).hash, "", "the token is not left in the address");
    await page.getByRole("link", { name: "Apply the first server" }).waitFor();
    const second = await openPage(browser, undefined, { address });
    await second.page.getByText("mcpctl dashboard").waitFor();
    await second.context.close();
    // The cookie is no script's, and another page of this machine can't use it.
    assert.equal(await page.evaluate(() => document.cookie), "");
    const [cookie] = await context.cookies();
    assert.equal(cookie.httpOnly && cookie.sameSite === "Strict", true);
    const headers = { Cookie: `${cookie.name}=${cookie.value}`, Origin: "http://127.0.0.1:3000", "Content-Type": "application/json" };
    const refused = await fetch(`${node.admin}/v1/changes`, { method: "POST", headers, body: "{}" });
    assert.equal(refused.status, 403);
  });

  test("a bad manifest is refused where it stands, mended, and watched until it is Ready", { timeout: 300_000 }, async () => {
    await go("Apply");
    await write(manifest("one").replace("source:", "transport: http\n  source:"));
    await page.getByText('spec.transport: unknown value "http"').first().waitFor();
    assert.equal(await page.getByRole("button", { name: "Review" }).isDisabled(), true);
    await page.locator(".cm-lintRange-error").first().waitFor();
    await apply(manifest("one"), "the first server");
    await page.locator(".card .rows .badge.ready").waitFor();
    await shoot("rollout");
    await go("Overview");
    // Of the servers nothing; a machine without NTP is said to be so.
    await page.getByText("all that are meant to be up").waitFor();
    assert.equal(await page.getByRole("region", { name: "Needs attention" }).getByRole("link", { name: /^one / }).count(), 0);
    await shoot("overview");
    await go("Servers");
    await page.locator(".table-body .badge.ready").waitFor();
    // Where clients of this machine reach it, to be copied.
    await page.locator(".table-body").getByText(/^http:\/\/127\.0\.0\.1:\d+\/default\/one\/mcp$/).waitFor();
    await go("Nodes");
    await page.locator(".table-body .badge:is(.ready, .degraded)").waitFor();
    await page.locator(".table-body").getByText(/^\d+ CPUs?, [\d.]+ [GM]iB$/).waitFor();
    assert.equal(await page.getByRole("button", { name: "Enrol a node" }).count(), 0);
  });

  test("a tool is called through the gateway, with progress and a question of the server", { timeout: 300_000 }, async () => {
    await openServer("?tab=tools");
    await page.getByRole("button", { name: /^echo/ }).click();
    await page.getByLabel("message", { exact: true }).fill("hello from the page");
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".result pre").getByText("hello from the page").waitFor();
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
    await asked.getByLabel("amount").fill("42");
    await asked.getByRole("button", { name: "Answer" }).click();
    await page.locator(".result pre").getByText("42").first().waitFor();
    // What it asks of a model a person answers in its place, or declines.
    await page.getByLabel("method", { exact: true }).fill("sampling/createMessage");
    await page.locator("textarea").fill(JSON.stringify({ maxTokens: 10, messages: [{ role: "user", content: { type: "text", text: "What is the capital?" } }] }));
    await page.getByRole("button", { name: "Run" }).click();
    const sampled = page.getByRole("dialog", { name: "The server asks for a model’s answer" });
    await sampled.getByText("What is the capital?").waitFor();
    await sampled.getByLabel("Answer").fill("Oslo, perhaps");
    await sampled.getByRole("button", { name: "Answer" }).click();
    await page.locator(".result pre").getByText("Oslo, perhaps").first().waitFor();
    await page.getByRole("button", { name: "Run" }).click();
    await sampled.getByRole("button", { name: "Decline" }).click();
    await page.locator(".try").getByText("the person declined").first().waitFor();
  });

  test("its log is read, and a line that comes while it is open is shown", { timeout: 300_000 }, async () => {
    await openServer("?tab=logs");
    const lines = page.locator(".log-text").getByText("starts");
    await lines.first().waitFor({ timeout: 60_000 });
    await page.getByText("Following").waitFor();
    const before = await lines.count();
    // From here on by the socket or not at all.
    await page.route("**/v1/logs?*", (route) => route.abort());
    await node.mcpctl("rollout", "restart", "one");
    await until("the next instance's first line", async () => (await lines.count()) > before, 60_000);
    await page.unroute("**/v1/logs?*");
    await shoot("logs");
  });

  test("what the server uses is measured, with its events", { timeout: 300_000 }, async () => {
    await openServer("?tab=usage");
    await page.getByText("Live, every 5 s").waitFor();
    await page.getByRole("img", { name: /^Memory over the last hour: .* now [\d.]+ [KM]iB/ }).waitFor();
    await page.getByRole("row").filter({ hasText: "Started" }).first().waitFor();
    await shoot("usage");
    await page.goto(`${new URL(page.url()).origin}/-/nodes/alone`);
    await page.getByRole("row", { name: /^one / }).filter({ hasText: /[KM]iB/ }).first().waitFor();
  });

  test("what goes wrong is written down by the node itself, and told to who looks", { timeout: 300_000 }, async () => {
    await go("Alerts");
    const file = join(dir, "two.yaml");
    writeFileSync(file, manifest("two", "  args: [--crash-after, \"0\"]\n"));
    await node.mcpctl("apply", "-f", file, "-m", "one that crashes");
    const alert = page.getByRole("listitem").filter({ hasText: "two on alone" });
    await alert.getByRole("link", { name: "two on alone" }).waitFor();
    await alert.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("tab", { name: "Acknowledged (1)" }).click();
    await alert.getByText(who()).waitFor();
    await page.reload(); // uptime is asked for once a minute
    await page.getByRole("tab", { name: "Uptime" }).click();
    await page.getByRole("region", { name: "Uptime of servers" }).getByRole("link", { name: "two" }).waitFor();
    await shoot("alerts");
    await node.mcpctl("delete", "mcpserver", "two");
    await page.getByRole("tab", { name: "Past (1)" }).click();
    await alert.getByText("over after").waitFor();
    await go("Overview");
    await page.getByText("Instances up, last 24 hours").waitFor();
    await go("Audit");
    await page.getByRole("row", { name: who() }).getByText("acknowledged", { exact: true }).waitFor();
  });

  test("what mcpctl changes is seen, and another version is rolled back", { timeout: 300_000 }, async () => {
    const { generation } = (await get("mcpserver", "one")).metadata;
    await apply(manifest("one", "  args: [--crash-after, \"1\"]\n  terminationGracePeriod: 1s\n"), "worse");
    await go("History");
    const first = page.getByRole("listitem").filter({ hasText: "the first server" });
    await first.getByRole("button", { name: "Roll back" }).click();
    await page.getByRole("alertdialog").getByText("1 changed", { exact: true }).waitFor(); // a dry run, by this node
    await confirm("Roll back");
    await page.getByRole("listitem").filter({ hasText: "roll back to" }).getByText("in force").waitFor();
    await openServer();
    await page.locator(".page-sub .badge.ready").waitFor();
    await node.mcpctl("suspend", "one");
    await page.locator(".page-sub .badge.off").waitFor();
    await node.mcpctl("resume", "one");
    await page.locator(".page-sub .badge.ready").waitFor();
    await until("it has changed four times", async () => (await get("mcpserver", "one")).metadata.generation === generation + 4);
    await go("Audit");
    for (const what of ["changed", "rolled back"]) await page.getByRole("row", { name: who() }).getByText(what, { exact: true }).first().waitFor();
    await shoot("audit");
  });

  test("every page is accessible in both themes and on a phone, and nothing was refused by the policy", { timeout: 300_000 }, async () => {
    const tabs = ["usage", "tools", "logs", "yaml", "history"].map((tab) => `servers/default/one?tab=${tab}`);
    const looks = { light: {}, dark: { colorScheme: "dark" }, phone: { width: 390, height: 844 } };
    for (const [look, { colorScheme = "light", width = 1360, height = 900 }] of Object.entries(looks)) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      for (const path of ["", "servers", "servers/default/one", ...tabs, "nodes", "nodes/alone", "alerts?tab=past", "logs", "apply", "history", "audit"]) {
        await page.goto(`${site()}/-/${path}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await page.locator(".spinner").first().waitFor({ state: "detached" });
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, `${look}: ${path} is wider than the window`);
        // Widths change no colour and no name: on the phone the tabs stand for all.
        if (look === "phone" && !path.includes("?tab=")) continue;
        const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]).analyze();
        assert.deepEqual(violations.map(({ id, nodes }) => `${look}: ${path}: ${id}: ${nodes[0].html}`), []);
      }
      await page.goto(`${site()}/-/servers/default/one?tab=tools`);
      await page.getByRole("button", { name: /^echo/ }).waitFor();
      await shoot(`tools-${look}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1360, height: 900 });
    assert.deepEqual(faults, []);
  });

  test("buttons cordon it, restart, suspend and delete a server, and the list of deeds says who", { timeout: 300_000 }, async () => {
    await page.goto(`${site()}/-/nodes/alone`);
    const flag = page.locator(".page-sub").getByText("cordoned", { exact: true });
    await page.getByRole("button", { name: "Cordon" }).click();
    await confirm("Cordon");
    await flag.waitFor();
    assert.equal((await get("mcpnode", "alone")).spec.unschedulable, true);
    await page.getByRole("button", { name: "Uncordon" }).click();
    await confirm("Uncordon");
    await flag.waitFor({ state: "detached" });
    await openServer();
    await badge("ready").waitFor();
    const before = (await get("mcpserver", "one")).status.nodes[0].instances.map(({ id }) => id);
    await page.getByRole("button", { name: "Restart" }).click();
    await confirm("Restart");
    await until("another instance is Ready", async () => {
      const { instances, conditions } = (await get("mcpserver", "one")).status.nodes[0];
      // The one before may still finish its conversations.
      return instances.some(({ id, state }) => !before.includes(id) && state === "Running") && conditions.find(({ type }) => type === "Ready").status === "True";
    });
    await page.getByRole("button", { name: "Suspend" }).click();
    await confirm("Suspend");
    await badge("off").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await confirm("Resume");
    await badge("ready").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await confirm("Delete", "one");
    await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
    await page.getByText("No servers yet").waitFor();
    await until("it is gone from the node", async () => (await node.mcpctl("get", "mcpserver")).includes("one") === false);
    await go("Audit");
    for (const what of ["cordoned", "uncordoned", "restarted", "suspended", "resumed", "deleted"]) await page.getByRole("row", { name: who() }).getByText(what, { exact: true }).first().waitFor();
    await shoot("deeds");
    assert.deepEqual(faults, []);
  });

  test("signing out ends it, and a restart of mcplet asks to sign in again", { timeout: 300_000 }, async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await node.ready(node.admin); // by TCP, with both tokens
    await page.getByLabel("Token").fill((await node.mcpctl("dashboard", "--no-open")).split("#")[1]);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await node.stop();
    await page.getByText("Connection lost").waitFor();
    node.start();
    await node.ready();
    await page.getByText("Your session has ended.").waitFor();
  });
});
