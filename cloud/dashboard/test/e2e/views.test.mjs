// Every page against a real Worker and played nodes: axe, screenshots in both themes and at a phone's width, hostile names and lines, what
// a viewer may not. Screenshots are kept in test-results (or $MCPFLEET_SHOTS), to be looked at.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { missingBrowser, openBrowser, openPage, remove, shots, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { PlayedNode, sample, server } from "./played.mjs";

const skip = skipFor(missingBrowser);
const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'}\${{constructor}}`;
const object = (name, more = {}, metadata = {}) => ({
  apiVersion: "mcpfleet.dev/v1alpha1",
  kind: "MCPServer",
  metadata: { name, ...metadata },
  spec: { source: { image: { ref: `ghcr.io/example/${name}:1.4.2` } }, ...more },
});
const crash = {
  conditions: [
    { type: "Accepted", status: "True", reason: "Accepted", message: "", lastTransitionTime: "2026-11-28T10:00:00Z" },
    { type: "Available", status: "False", reason: "CrashLoopBackOff", message: HOSTILE, lastTransitionTime: "2026-11-28T10:00:00Z" },
    { type: "Ready", status: "False", reason: "CrashLoopBackOff", message: `exit code 1, started again in 40 s; last words: ${HOSTILE}`, lastTransitionTime: "2026-11-28T10:00:00Z" },
  ],
  restarts: { count: 14, lastExitCode: 1, lastReason: "Error", lastAt: "2026-11-28T15:00:00Z", stderrTail: `Traceback:\n  ${HOSTILE}` },
  instances: [{ id: "0123456789abcdef", runtime: "Process", state: "Exited", revision: "b".repeat(64), startedAt: "2026-11-28T15:00:00Z" }],
};
const NAMES = ["weather", "filesystem", "github", "calendar", "search", "postgres", "browser", "mail", "notes", "translate", "maps", "metrics"];

let dir, worker, browser;
const nodes = [];

before(async () => {
  if (skip) return;
  dir = temporary();
  worker = await startWorker(dir);
  browser = await openBrowser();
});
after(async () => {
  if (skip) return;
  for (const node of nodes) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
});

const PAGES = ["", "servers", "servers/default/weather", "servers/default/weather?tab=usage", "servers/default/weather?tab=logs", "servers/default/weather?tab=yaml", "servers/default/weather?tab=history", "servers/default/github", "nodes", "nodes/edge-02", "alerts", "logs", "apply", "history", "audit"];

async function settled(page) {
  await page.waitForLoadState("networkidle");
  await page.locator(".spinner").first().waitFor({ state: "detached" }).catch(() => undefined);
}
async function axe(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id, nodes: found }) => `${id}: ${found.map((node) => `${node.target} ${node.failureSummary ?? ""}`).slice(0, 3).join(" | ")}`), [], where);
}
const shoot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });

describe("the dashboard", { skip, concurrency: 1 }, () => {
  test("without a session shows a page to sign in at, and says when a token is wrong", async () => {
    const { page, context, faults } = await openPage(browser, worker);
    await page.getByLabel("API token").waitFor();
    await axe(page, "sign in");
    await shoot(page, "sign-in-light");
    await page.getByLabel("API token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("of an empty fleet says what to do", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    await page.getByText("An empty fleet").waitFor();
    await shoot(page, "empty-overview-light");
    for (const [path, text] of [["servers", "No servers yet"], ["nodes", "No nodes yet"], ["alerts", "Nothing is wrong"], ["history", "Nothing was applied yet"], ["audit", "Nobody did anything yet"], ["servers/default/none", "There is no server none"], ["nowhere", "No such page"]]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByText(text).first().waitFor();
      await axe(page, path);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("has every page accessible in both themes and on a phone", { timeout: 900_000 }, async () => {
    await worker.call("POST", "/v1/changes", {
      body: {
        message: "the first servers",
        set: [...NAMES.map((name, index) => object(name, {}, { labels: { tier: index % 3 === 0 ? "gold" : "silver" } })), ...["01", "02", "03", "04"].map((each) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: `edge-${each}`, labels: { site: each < "03" ? "berlin" : "oslo" } } }))],
      },
    });
    await worker.call("POST", "/v1/changes", { body: { message: `weather v2 ${HOSTILE}`, set: [object("weather", { args: ["--units", "metric", HOSTILE] }, { labels: { tier: "gold" }, annotations: { note: HOSTILE } })] } });
    await worker.call("POST", "/v1/nodes/edge-04/cordon");
    for (const each of ["01", "02", "03", "04"]) nodes.push(await new PlayedNode(worker, `edge-${each}`).connect());
    const generation = { weather: 2 };
    for (const [index, node] of nodes.entries())
      node.say(NAMES.filter((_, at) => (at + index) % 4 !== 3).map((name) => server(name, { observedGeneration: generation[name] ?? 1, ...(name === "github" || (name === "search" && index === 1) ? crash : {}) })), { acceptedHead: index === 2 ? "0.1.2" : "0.1.3", version: index === 1 ? HOSTILE.slice(0, 60) : "1.5.0" });
    const time = "2026-11-28T14:00:00Z";
    for (const node of nodes)
      node.events = [
        { time, firstTime: "2026-11-28T10:00:00Z", type: "Warning", reason: "BackOff", message: `waits 40s; ${HOSTILE}`, count: 7 },
        { time: "2026-11-28T09:00:00Z", firstTime: "2026-11-28T09:00:00Z", type: "Normal", reason: "Started", message: "instance 0123 started", count: 1 },
      ];
    nodes[3].close();
    await until("edge-04 is gone", async () => !(await worker.call("GET", "/v1/nodes/edge-04")).connected);
    for (const [name, options] of Object.entries({ light: {}, dark: { theme: "dark" }, phone: { width: 390, height: 844 } })) {
      const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, ...options });
      for (const path of PAGES) {
        await page.goto(`${worker.url}/-/${path}`);
        await page.getByRole("heading", { level: 1 }).first().waitFor();
        await settled(page);
        // Widths change no colour and no name: on the phone a few pages stand for all.
        if (name !== "phone" || ["", "servers", "alerts"].includes(path)) await axe(page, `${name}: ${path}`);
        await shoot(page, `${path.replaceAll(/[/?=]+/g, "-") || "overview"}-${name}`);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, `${name}: ${path} is wider than the window`);
        assert.equal(await page.evaluate(() => window.hacked), undefined, path);
      }
      assert.deepEqual(faults, [], name);
      await context.close();
    }
  });

  test("shows hostile text as text", async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator });
    await page.goto(`${worker.url}/-/servers/default/github`);
    await page.getByText("Traceback:").first().waitFor();
    assert.ok((await page.locator("pre.output").first().textContent()).includes(HOSTILE));
    await page.goto(`${worker.url}/-/servers/default/weather?tab=logs`);
    await page.getByText("Following").waitFor();
    await until("the follow has come to the node", async () => {
      nodes[0].log("weather", [{ time: new Date().toISOString(), text: HOSTILE, stream: "stderr" }]);
      return (await page.locator(".log-text").count()) > 0;
    });
    assert.equal(await page.locator(".log-text").first().textContent(), HOSTILE);
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
    await page.getByText("50.0 % failed").waitFor();
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

  test("lets a viewer see and nothing else, by button and by request", async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.viewer });
    for (const path of ["servers/default/weather", "nodes/edge-02", "nodes", "servers", "history", "apply"]) {
      await page.goto(`${worker.url}/-/${path}`);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await settled(page);
      const buttons = await page.getByRole("button", { name: /^(Restart|Suspend|Delete|Cordon|Drain|Rotate|Revoke|Forget|Enrol a node|Roll back|Review|Apply a manifest)$/ }).count();
      assert.equal(buttons, 0, path);
    }
    const answers = await page.evaluate(async () => {
      const post = async (path, method = "POST", body) => (await fetch(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).status;
      return [
        await post("/v1/servers/default/weather/restart"),
        await post("/v1/servers/default/weather", "DELETE"),
        await post("/v1/nodes/edge-02/revoke"),
        await post("/v1/changes", "POST", { set: [], remove: [{ kind: "MCPServer", namespace: "default", name: "weather" }] }),
        await post("/v1/rollback", "POST", {}),
        await post("/v1/alerts/acknowledge", "POST", { key: "x" }),
        await post("/v1/joins", "GET"),
      ];
    });
    assert.deepEqual(answers, Array(7).fill(403));
    assert.ok((await worker.call("GET", "/v1/servers")).some((each) => each.name === "weather"));
    await context.close();
  });

  test("follows the fleet without a reload, and comes back after the connection was lost", async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.operator });
    await page.goto(`${worker.url}/-/servers/default/notes`);
    await page.getByText("Ready", { exact: true }).first().waitFor();
    const failing = (bad) => nodes[0].say(NAMES.map((name) => server(name, name === "notes" && bad ? crash : {})), { acceptedHead: "0.1.3" });
    failing(true);
    await page.getByText("Degraded", { exact: false }).first().waitFor();
    await context.setOffline(true);
    await page.evaluate(() => window.dispatchEvent(new Event("offline")));
    failing(false);
    await context.setOffline(false);
    await page.locator(".page-sub .badge.ready").waitFor();
    await context.close();
  });
});
