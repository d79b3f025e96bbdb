// What an operator does with nodes, alerts and manifests, by mouse and by keyboard alone; what the page says when answers fail. Real Worker,
// played nodes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { confirm, go as goTo } from "./hands.mjs";
import { condition, object, PlayedNode, server } from "./played.mjs";
import { axe, shoot } from "./walk.mjs";

const skip = skipFor(missingBrowser);
const DAY_MS = 86_400_000;
const looping = (name) => server(name, { conditions: [condition("Available", "False", "CrashLoopBackOff", "exit code 1"), condition("Ready", "False", "CrashLoopBackOff", "exit code 1, started again in 40 s")], restarts: { count: 9, lastExitCode: 1 } });

let dir, worker, browser, one, two;
before(async () => {
  if (skip) return;
  dir = temporary();
  // Tokens that end soon: of a pipeline, and of every node.
  worker = await startWorker(dir, {
    tokenDays: 5,
    more: [{ name: "pipeline", role: "operator", sha256: "0".repeat(64), expires: new Date(Date.now() + 5 * DAY_MS).toISOString() }],
  });
  browser = await openBrowser();
  await worker.call("POST", "/v1/changes", { body: { message: "the first servers", set: [object("weather"), object("notes"), ...["edge-01", "edge-02"].map((name) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name } }))] } });
  [one, two] = [await new PlayedNode(worker, "edge-01").connect(), await new PlayedNode(worker, "edge-02").connect()];
  one.say([server("weather", { endpoint: "http://127.0.0.1:8700/default/weather/mcp" }), server("notes", { endpoint: "https://notes.example.com/default/notes/mcp" })]);
  two.say(Array.from({ length: 60 }, (_, index) => looping(`tool-${index}`)));
});
after(async () => {
  if (skip) return;
  for (const node of [one, two]) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
});


describe("an operator", { skip, concurrency: 1 }, () => {
  test("reads of each alert what it means and what to do, and acknowledges it", { timeout: 300_000 }, async () => {
    const raised = async (...kinds) => until(kinds.join(", "), async () => {
      const there = (await worker.call("GET", "/v1/alerts")).map(({ kind }) => kind);
      return kinds.every((kind) => there.includes(kind));
    });
    await raised("CrashLoop", "ManyAlerts", "ApiTokenExpires", "TokenExpires");
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/alerts` });
    const group = (kind) => page.getByRole("region", { name: kind, exact: true });
    const items = (kind) => group(kind).getByRole("listitem");
    await group("Token expires").getByText("Rotate it in the node’s page").waitFor();
    assert.equal(await items("Token expires").count(), 2);
    await items("API token expires").getByText("pipeline", { exact: true }).waitFor();
    await group("API token expires").getByText("Put a new one into the Worker’s settings").waitFor();
    await group("Many alerts").getByText("Look at the node rather than at each server").waitFor();
    await group("Crash loop").getByText("its last lines on stderr").waitFor();
    assert.equal(await page.locator(".alert-words").count(), 4, "once for each kind");
    // Many of a kind are its head, until somebody wants to see them.
    const fold = group("Crash loop").getByRole("button", { name: "Crash loop · 50" });
    assert.equal(await items("Crash loop").count(), 0);
    await fold.click();
    assert.equal(await items("Crash loop").count(), 50);
    await axe(page, "alerts of a kind");
    await shoot(page, "alerts-open-light");
    await fold.click();
    await axe(page, "alerts in words");
    await shoot(page, "alerts-words-light");
    await items("API token expires").getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("tab", { name: "Acknowledged (1)" }).click();
    await items("API token expires").getByText("acknowledged by ada").waitFor();
    await axe(page, "acknowledged alerts");
    // All of a kind at once; what is refused is named, and is there still.
    await page.getByRole("tab", { name: "Open (53)" }).click();
    let refused = 0;
    await page.route("**/v1/alerts/acknowledge", (route) => {
      const { key } = route.request().postDataJSON();
      return key.endsWith("/tool-7") && ++refused > 0 ? route.fulfill({ status: 429, json: { success: false, errors: [{ code: 1, message: "too many" }], messages: [], result: null } }) : route.continue();
    });
    await group("Crash loop").getByRole("button", { name: "Acknowledge all 50" }).click();
    await page.getByText("Crash loop: 49 acknowledged. 1 was not: tool-7 on edge-02 (too many).").waitFor();
    assert.deepEqual([refused, await page.locator(".toast").count()], [1, 1]);
    await items("Crash loop").getByText("tool-7").waitFor();
    assert.equal(await items("Crash loop").count(), 1);
    await shoot(page, "alerts-some-acknowledged-light");
    await page.unroute("**/v1/alerts/acknowledge");
    const item = (kind) => page.getByRole("listitem").filter({ has: page.getByText(kind, { exact: true }) });
    two.say([]);
    await page.getByRole("tab", { name: /^Past \(51\)/ }).click();
    await item("Many alerts").getByText(/^over after/).waitFor();
    assert.equal(await page.locator(".alert-words").count(), 0, "what is over asks for nothing");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("sees where clients reach a server, live, and copies it", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/servers/default/notes` });
    await page.getByText("https://notes.example.com/default/notes/mcp", { exact: true }).first().waitFor();
    await page.getByRole("button", { name: "Copy the endpoint" }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "https://notes.example.com/default/notes/mcp");
    one.say([server("weather", { endpoint: "http://127.0.0.1:8700/default/weather/mcp" }), server("notes", { endpoint: "https://moved.example.com/default/notes/mcp" })]);
    await page.locator(".facts-endpoint").getByText("https://moved.example.com/default/notes/mcp").waitFor();
    // An address that only the node itself could go to is not given to others: this origin routes to it.
    await page.goto(`${worker.url}/-/servers/default/weather`);
    await page.locator(".facts-endpoint").getByText(`${worker.url}/default/weather/mcp`).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("finds a page as far down as it was when going back, and at its beginning when going to it", { timeout: 300_000 }, async () => {
    const { servers } = one;
    two.say([]);
    one.say([...servers, ...Array.from({ length: 60 }, (_, index) => server(`row-${index}`))]);
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer, address: `${worker.url}/-/servers`, height: 500 });
    const list = page.locator(".table-scroller");
    const down = () => list.evaluate((box) => box.scrollTop);
    await page.getByText("62 servers").waitFor();
    await list.evaluate((box) => box.scrollTo(0, 900));
    await page.getByRole("link", { name: "row-22", exact: true }).click();
    await page.getByRole("heading", { name: "row-22", level: 1 }).waitFor();
    await page.goBack();
    await until("the row that was seen", async () => (await down()) === 900, 10_000);
    // Gone to anew it is at its beginning.
    const go = (name) => goTo(page, name);
    await go("Nodes");
    await page.getByRole("heading", { name: "Nodes", level: 1 }).waitFor();
    await go("Servers");
    await page.getByText("62 servers").waitFor();
    assert.equal(await down(), 0);
    // The router's record of all pages, which has no end, would be stored with this.
    await page.reload();
    await page.getByText("62 servers").waitFor();
    assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
    one.say(servers);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("cordons, drains, rotates and forgets a node, what is dangerous only by its name", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/nodes/edge-02` });
    const flag = (text) => page.locator(".page-sub").getByText(text, { exact: true });
    await page.getByText("8 GiB", { exact: true }).waitFor(); // what it has
    const tunnel = page.getByLabel("Host name of its tunnel");
    assert.equal(await tunnel.getAttribute("placeholder"), "edge-02.example.com");
    assert.equal(await page.getByRole("button", { name: "Set", exact: true }).isDisabled(), true, "nothing is to be set");
    await tunnel.fill("two.example.com");
    assert.equal(await page.getByRole("button", { name: "Set", exact: true }).isDisabled(), false);
    await page.getByRole("button", { name: "Cordon" }).click();
    await confirm(page, "Cordon");
    await flag("cordoned").waitFor();
    await page.getByRole("button", { name: "Uncordon" }).click();
    await confirm(page, "Uncordon");
    await flag("cordoned").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Drain" }).click();
    await confirm(page, "Drain", "edge-02");
    await flag("drained").waitFor();
    let asked = false;
    two.socket.addEventListener("message", ({ data }) => (asked ||= data.includes('"rotate"')));
    await page.getByRole("button", { name: "Rotate" }).click();
    await confirm(page, "Ask it");
    await until("the node is asked for another token", () => asked);
    await page.getByRole("button", { name: "Forget" }).click();
    await shoot(page, "node-forget-light");
    await confirm(page, "Forget", "edge-02");
    await page.getByRole("heading", { name: "Nodes", level: 1 }).waitFor();
    await page.getByRole("row", { name: /^edge-02/ }).waitFor({ state: "detached" });
    assert.deepEqual((await worker.call("GET", "/v1/nodes")).map(({ node }) => node), ["edge-01"]);
    const deeds = (await worker.call("GET", "/v1/audit")).map(({ what }) => what.toLowerCase()).join(" ");
    for (const deed of ["cordon", "uncordon", "drain", "rotate", "forget|delete"]) assert.match(deeds, new RegExp(deed));
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("is helped to write a manifest, and never types a secret into the page", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.operator, address: `${worker.url}/-/apply` });
    const write = async (text) => {
      await page.locator(".cm-content").click();
      await page.keyboard.press("ControlOrMeta+a");
      await page.evaluate((value) => navigator.clipboard.writeText(value), text);
      await page.keyboard.press("ControlOrMeta+v");
    };
    const examples = page.getByRole("combobox", { name: "Begin with an example" });
    const names = await examples.getByRole("option").allTextContents();
    assert.ok(names.length > 3);
    for (const name of names.slice(1)) {
      await write("kind: nonsense\n");
      await page.locator(".verdict.bad-text").waitFor();
      await examples.selectOption({ label: name });
      await page.getByText("Nothing is wrong with it").waitFor();
    }
    await write("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: help}\nspec:\n  sus");
    await page.keyboard.press("Control+Space");
    await page.locator(".cm-tooltip-autocomplete").getByText("suspend").waitFor();
    await page.waitForTimeout(300); // a list that has just opened takes no key, lest one that was meant for the text chooses
    await page.keyboard.press("Enter");
    await page.locator(".cm-content").getByText("suspend").waitFor();
    await page.keyboard.press("Escape");
    await write("apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPSecret\nmetadata: {name: key}\nspec:\n  values: {token: hunter2}\n");
    await page.locator(".verdict").getByText("secrets are never typed into a page").waitFor();
    assert.equal(await page.getByRole("button", { name: "Review" }).isDisabled(), true);
    await axe(page, "a secret is refused");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("needs no mouse: every stop of the tab key is seen, dialogs keep the focus and give it back, back works", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker);
    const key = (...keys) => keys.reduce((before, next) => before.then(() => page.keyboard.press(next)), Promise.resolve());
    const focused = (what) => page.evaluate((name) => (document.activeElement.getAttribute(name) ?? document.activeElement.textContent).trim(), what);
    await page.getByLabel("API token").waitFor();
    await page.keyboard.type(worker.operator); // it has the focus
    await key("Enter");
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await page.getByText("2 nodes").or(page.getByText("1 node")).first().waitFor();
    await key("Tab");
    assert.equal(await focused("none"), "Skip to the content");
    await key("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await key("g", "s");
    await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
    await key("/");
    await page.keyboard.type("weather");
    await page.getByText("1 of 2 servers").waitFor();
    // To the row, past the filters and the headers; each stop has a mark that is seen.
    for (let stop = 0; stop < 30 && (await focused("none")) !== "weather"; ++stop) {
      await key("Tab");
      const mark = await page.evaluate(() => {
        const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(document.activeElement);
        return { seen: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none", what: document.activeElement.outerHTML.slice(0, 120), borderColor };
      });
      assert.ok(mark.seen, `no mark of the focus: ${mark.what}`);
    }
    await key("Enter");
    await page.getByRole("heading", { name: "weather", level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the reader is at the beginning of the page");
    for (let stop = 0; stop < 20 && (await focused("none")) !== "Suspend"; ++stop) await key("Tab");
    await key("Enter");
    const dialog = page.getByRole("alertdialog");
    await dialog.waitFor();
    for (let stop = 0; stop < 5; ++stop) {
      await key("Tab");
      assert.equal(await dialog.evaluate((element) => element.contains(document.activeElement)), true, "the focus stays in the dialog");
    }
    await key("Escape");
    await dialog.waitFor({ state: "detached" });
    await until("the focus is where it was", async () => (await focused("none")) === "Suspend", 5000);
    await key("Enter");
    await dialog.waitFor();
    for (let stop = 0; stop < 5 && (await focused("none")) !== "Suspend"; ++stop) await key("Tab");
    await key("Enter");
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await until("nor is it lost with the button", async () => (await page.evaluate(() => document.activeElement.tagName)) !== "BODY", 5000);
    // Tabs by arrows; each is an address.
    await page.getByRole("tab", { name: "Status" }).focus();
    await key("ArrowLeft"); // around, to the last one
    await until("the last tab has the focus", async () => (await focused("none")) === "History", 5000);
    await key("Enter");
    await page.waitForURL(/tab=history/);
    await key("ArrowLeft");
    await until("the one before it has the focus", async () => (await focused("none")) === "Manifest", 5000);
    await key("Enter");
    await page.waitForURL(/tab=yaml/);
    await page.goBack();
    await page.waitForURL(/tab=history/);
    await page.goBack();
    await page.waitForURL((url) => url.pathname.endsWith("/weather") && url.search === "");
    await page.goBack();
    await page.getByText("1 of 2 servers").waitFor();
    assert.equal(await page.getByRole("searchbox").inputValue(), "weather");
    await page.goForward();
    await page.getByRole("heading", { name: "weather", level: 1 }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("follows a log through a burst of lines, and stays where it reads", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer, address: `${worker.url}/-/servers/default/notes?tab=logs` });
    const line = (text) => one.log("notes", [{ time: new Date().toISOString(), text, stream: "stdout" }]);
    const shown = (text) => page.locator(".log-text").getByText(text, { exact: true });
    await page.getByText("Following").waitFor();
    await until("the follow has come to the node", async () => {
      line("begun");
      return (await page.locator(".log-text").getByText("begun").count()) > 0;
    });
    for (let burst = 0; burst < 5; ++burst) {
      for (let count = 0; count < 300; ++count) line(`burst ${burst} line ${count}`);
      await shown(`burst ${burst} line 299`).waitFor({ timeout: 20_000 });
    }
    await page.locator(".log").hover();
    await page.mouse.wheel(0, -3000);
    await shown("burst 4 line 299").waitFor({ state: "detached" });
    line("after that");
    await page.waitForTimeout(1000);
    assert.equal(await shown("after that").count(), 0);
    await page.mouse.wheel(0, 100_000);
    await shown("after that").waitFor();
    line("and the next");
    await shown("and the next").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("asks one question at a time about a server that changes faster than it is answered", { timeout: 120_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    let [now, most, asked] = [0, 0, 0];
    await page.route("**/v1/servers/default/weather", async (route) => {
      most = Math.max(most, ++now);
      ++asked;
      const response = await route.fetch();
      await new Promise((resolve) => setTimeout(resolve, 1500));
      --now;
      await route.fulfill({ response });
    });
    const { servers } = one;
    const say = (count) => one.say(servers.map((each) => (each.name === "weather" ? { ...each, restarts: { count } } : each)));
    await page.goto(`${worker.url}/-/servers/default/weather`);
    await page.getByRole("heading", { name: "weather", level: 1 }).waitFor();
    const restarts = page.locator(".facts > div").filter({ hasText: "Restarts" }).locator("dd");
    for (let count = 1; count <= 8; ++count) {
      say(count);
      await until(`${count} restarts`, async () => (await restarts.textContent()) === String(count), 10_000);
      await page.waitForTimeout(300);
    }
    const before = asked;
    await until("it asks once more for what changed meanwhile, and then no more", async () => now === 0 && asked >= 2);
    await page.waitForTimeout(2500);
    assert.equal(most, 1);
    assert.ok(asked <= before + 2, `${asked - before} questions after the last change`);
    assert.equal(now, 0);
    say(0);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("goes from page to page for long, and nothing waits to be drawn for ever", { timeout: 300_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { token: worker.viewer });
    const go = (name) => goTo(page, name);
    // The longest queue of updates that React keeps for a component (a ring: each has the next).
    const longest = () =>
      page.evaluate(() => {
        const root = document.getElementById("root");
        const key = Object.keys(root).find((name) => name.startsWith("__reactContainer"));
        let most = 0;
        const look = [root[key].stateNode.current];
        while (look.length > 0) {
          const fiber = look.pop();
          for (const next of [fiber.child, fiber.sibling]) if (next) look.push(next);
          for (let hook = fiber.memoizedState; hook?.queue !== undefined; hook = hook.next) {
            const last = hook.queue?.pending;
            let count = 0;
            if (last?.next) for (let at = last.next; ++count && at !== last; ) at = at.next;
            most = Math.max(most, count);
          }
        }
        return most;
      });
    let seen = 0;
    for (let turn = 0; turn < 60; ++turn) {
      for (const name of ["Nodes", "Servers"]) {
        await go(name);
        await page.getByRole("heading", { name, level: 1 }).waitFor();
      }
      const now = await longest();
      seen = Math.max(seen, now);
      assert.ok(now <= 110, `${now} updates wait for one component after ${2 * turn} pages`);
    }
    assert.ok(seen > 0, "what is looked for is where it is looked for");
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("sees nothing move who asked for that", { timeout: 120_000 }, async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.viewer });
    await page.getByText("Live", { exact: true }).waitFor();
    const moving = () => page.evaluate(() => document.getAnimations().filter(({ playState, effect }) => playState === "running" && effect.getComputedTiming().endTime > 1000).length);
    assert.equal(await moving(), 0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    await until("what pulses for others", async () => (await moving()) > 0);
    await context.close();
  });

  test("is told what to do when answers fail, and when there are none", { timeout: 300_000 }, async () => {
    const { page, context } = await openPage(browser, worker, { token: worker.viewer });
    let how = (route) => route.fulfill({ status: 500, json: { success: false, errors: [{ code: 1, message: "the store is away" }], messages: [], result: null } });
    await page.route("**/v1/alerts*", (route) => how(route));
    await page.goto(`${worker.url}/-/alerts`);
    const failed = page.getByRole("alert").filter({ hasText: "That did not work" });
    await failed.getByText("the store is away").waitFor();
    await failed.getByText("wrangler tail").waitFor();
    await shoot(page, "failed-light");
    await axe(page, "a failed page");
    how = (route) => route.fulfill({ status: 429, json: { success: false, errors: [{ code: 1, message: "too many" }], messages: [], result: null } });
    await failed.getByRole("button", { name: "Try again" }).click();
    await failed.getByText("Wait a minute").waitFor();
    how = (route) => route.abort();
    await failed.getByRole("button", { name: "Try again" }).click();
    await failed.getByText("Look whether this machine is online").waitFor();
    how = (route) => route.continue();
    await failed.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("tab", { name: /^Open/ }).waitFor();
    // Lines that come live wait for none that can't be read.
    await page.route("**/v1/logs*", (route) => route.fulfill({ status: 503, json: { success: false, errors: [{ code: 1, message: "the bucket is away" }], messages: [], result: null } }));
    await page.goto(`${worker.url}/-/servers/default/notes?tab=logs`);
    await page.getByText("Following").waitFor();
    await until("the follow has come to the node", async () => {
      one.log("notes", [{ time: new Date().toISOString(), text: "said just now", stream: "stdout" }]);
      return (await page.locator(".log-text").getByText("said just now").count()) > 0;
    });
    await page.getByRole("alert").getByText("Earlier lines could not be read: the bucket is away").waitFor();
    await axe(page, "live lines alone");
    await page.unroute("**/v1/logs*");
    await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    await page.getByText("Earlier lines could not be read").waitFor({ state: "detached" });
    // From the beginning without a connection: nothing is known, and that is what it says.
    await page.routeWebSocket(/v1\/watch/, (socket) => void socket.close({ code: 1011 }));
    await page.goto(`${worker.url}/-/`);
    await page.getByText("There is no answer. Look whether this machine is online").waitFor();
    await axe(page, "no connection");
    await shoot(page, "offline-light");
    await context.close();
  });
});
