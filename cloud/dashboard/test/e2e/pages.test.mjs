// The dashboard at an origin of its own: the build for Cloudflare Pages in Pages' own local server, the Worker in workerd, Chromium between them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makePages } from "../../scripts/pages.mjs";
import { playAccess } from "./access.mjs";
import { freePort, missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { object, playGateway, PlayedNode, server } from "./played.mjs";

const skip = skipFor(missingBrowser);
const wrangler = fileURLToPath(new URL("../../../worker/node_modules/wrangler/bin/wrangler.js", import.meta.url));

async function servePages(dist, port) {
  const child = spawn(process.execPath, [wrangler, "pages", "dev", "dist", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0", "--compatibility-date", "2026-08-01"], {
    cwd: join(dist, ".."),
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const ready = new Promise((resolve) => createInterface({ input: child.stdout }).on("line", (line) => line.includes("Ready on") && resolve(true)));
  if (!(await Promise.race([ready, ended.then(() => false)]))) throw new Error("wrangler pages dev ended");
  return () => (child.kill("SIGTERM"), ended);
}

// A page of somebody else, on this machine: for a browser it is of the same site as `host`, which is as near as an attacker can come.
async function serveForeign(host) {
  const foreign = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<h1>foreign</h1>"));
  await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  return { url: `http://${host}:${foreign.address().port}`, end: () => new Promise((resolve) => foreign.close(resolve)) };
}

let browser;
before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

// One server, on one node.
async function fleetOfOne(worker) {
  await worker.call("POST", "/v1/changes", { body: { message: "first", set: [object("weather")] } });
  const node = await new PlayedNode(worker, "edge-01").connect();
  node.say([server("weather")]);
  return node;
}

// To a browser two ports of one host are one site, two names of it are two: then the cookie is one of a third party.
for (const [what, host] of [["of the same site", "127.0.0.1"], ["of another site", "localhost"]]) {
  describe(`a dashboard ${what} as its Worker`, { skip, concurrency: 1 }, () => {
    let dir, worker, origin, endPages, node;
    before(async () => {
      if (skip) return;
      dir = temporary();
      const port = await freePort();
      origin = `http://${host}:${port}`;
      worker = await startWorker(join(dir, "worker"), { dashboardOrigin: origin });
      await makePages(worker.url, join(dir, "dist"));
      endPages = await servePages(join(dir, "dist"), port);
      node = await fleetOfOne(worker);
    });
    after(async () => {
      if (skip) return;
      node?.close();
      await endPages?.();
      await worker?.end();
      remove(dir);
    });

    test("signs in, is live, acts, and signs out", { timeout: 240_000 }, async () => {
      const { page, context, faults } = await openPage(browser, { url: origin }, { token: worker.operator });
      await page.getByText("Live", { exact: true }).waitFor();
      await page.getByText("all that are meant to be up").waitFor();
      const [cookie] = await context.cookies(worker.url);
      assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.secure], host === "localhost" ? [true, "None", true] : [true, "Strict", false]);
      node.say([server("weather", { conditions: [{ type: "Ready", status: "False", reason: "NotReady", message: "played" }] })]);
      await page.getByText("1 not ready").waitFor();
      await page.goto(`${origin}/-/servers/default/weather?tab=usage`);
      await page.getByRole("img", { name: /^CPU over the last hour/ }).waitFor();
      await page.getByRole("button", { name: "Suspend" }).click();
      await page.getByRole("alertdialog").getByRole("button", { name: "Suspend" }).click();
      await page.getByRole("alertdialog").waitFor({ state: "detached" });
      await until("it is suspended", async () => (await worker.call("GET", "/v1/audit")).some(({ what: deed }) => /suspend/i.test(deed)));
      await page.goto(`${origin}/-/nodes`);
      await page.getByRole("button", { name: "Enrol a node" }).first().click();
      await page.getByLabel("Name", { exact: true }).fill("edge-02");
      await page.getByRole("button", { name: "Make a join token" }).click();
      await page.getByText(`mcplet join ${worker.url}`).first().waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("alertdialog").getByRole("button", { name: "End the token" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("API token").waitFor();
      assert.equal((await context.cookies(worker.url)).length, 0);
      assert.deepEqual(faults, []);
      await context.close();
    });

    test("is the only one: a page of another origin reads nothing, changes nothing and opens no socket", { timeout: 120_000 }, async () => {
      // Somebody who is signed in, at the Worker itself or by the page that is let in, and comes by that page of another.
      for (const [signedInAt, near] of [[worker.url, "127.0.0.1"], [origin, host]]) {
        const foreign = await serveForeign(near);
        const { page, context } = await openPage(browser, { url: signedInAt }, { token: worker.operator });
        await page.getByText("Live", { exact: true }).waitFor();
        await page.goto(foreign.url);
        const tried = await page.evaluate(async (url) => {
          const tell = (request) => request.then(() => "answered", () => "refused");
          const reads = await tell(fetch(`${url}/v1/whoami`, { credentials: "include" }));
          // Asked for before, by the browser.
          const deletes = await tell(fetch(`${url}/v1/servers/default/weather`, { method: "DELETE", credentials: "include" }));
          const calls = await tell(fetch(`${url}/default/weather/mcp`, { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: "{}" }));
          // A simple request is sent without asking first.
          await fetch(`${url}/v1/servers/default/weather/restart`, { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => undefined);
          const socket = await new Promise((resolve) => {
            const ws = new WebSocket(`${url.replace("http", "ws")}/v1/watch`, ["mcpfleet.v1"]);
            ws.onopen = () => resolve("open");
            ws.onerror = () => resolve("refused");
          });
          return { reads, deletes, calls, socket };
        }, worker.url);
        assert.deepEqual(tried, { reads: "refused", deletes: "refused", calls: "refused", socket: "refused" }, signedInAt);
        assert.ok(!(await worker.call("GET", "/v1/audit")).some(({ what: deed }) => /restart|delete/i.test(deed)));
        assert.ok((await worker.call("GET", "/v1/servers")).some(({ name }) => name === "weather"));
        await context.close();
        await foreign.end();
      }
      // What a browser goes by, said to one origin and to no other, not even to one that begins like it.
      for (const [asker, allowed] of [[origin, origin], [`${origin}0`, null], ["http://127.0.0.1:3000", null], ["null", null]]) {
        const response = await fetch(`${worker.url}/v1/servers`, { method: "OPTIONS", headers: { Origin: asker, "Access-Control-Request-Method": "GET" } });
        assert.equal(response.headers.get("access-control-allow-origin"), allowed, asker);
        await response.body?.cancel();
      }
    });
  });
}

// Behind Cloudflare Access, as docs/dashboard.md has it: in front of the Worker's name, with OPTIONS let through. Nobody types a token.
describe("a dashboard behind Access", { skip, concurrency: 1 }, () => {
  const OPERATOR = "ops@example.com";
  const VIEWER = "eye@example.com";
  let dir, worker, origin, endPages, node, access, door;
  before(async () => {
    if (skip) return;
    dir = temporary();
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    access = await playAccess({ operators: [OPERATOR], viewers: [VIEWER] });
    worker = await startWorker(join(dir, "worker"), { ...access.settings, dashboardOrigin: origin });
    door = await access.before(worker.url);
    await makePages(door.url, join(dir, "dist"));
    endPages = await servePages(join(dir, "dist"), port);
    node = await fleetOfOne(worker);
  });
  after(async () => {
    if (skip) return;
    node?.close();
    await endPages?.();
    await worker?.end();
    await access?.end();
    remove(dir);
  });

  test("knows who looks without a token, is live and acts in that person's name", { timeout: 240_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { address: `${door.url}/-/` });
    await page.getByRole("heading", { name: "Sign in to the team" }).waitFor(); // the door is shut
    await page.goto(door.signIn(OPERATOR));
    await page.getByText("Live", { exact: true }).waitFor();
    assert.equal(await page.getByLabel("API token").count(), 0);
    await page.locator(".person-name").getByText(OPERATOR).waitFor();
    assert.deepEqual((await context.cookies(door.url)).map(({ name }) => name), ["CF_Authorization"], "no cookie of ours");
    node.say([server("weather", { conditions: [{ type: "Ready", status: "False", reason: "NotReady", message: "played" }] })]);
    await page.getByText("1 not ready").waitFor();
    await page.goto(`${door.url}/-/servers/default/weather`);
    await page.getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    const [deed] = await worker.call("GET", "/v1/audit");
    assert.deepEqual([deed.who, deed.subject], [OPERATOR, "default/weather"]);
    node.say([server("weather")]);
    assert.deepEqual(faults, []);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to the team" }).waitFor(); // also Access knows nobody any more
    await page.goto(`${door.url}/-/`);
    await page.getByRole("heading", { name: "Sign in to the team" }).waitFor();
    await context.close();
  });

  test("at an origin of its own says where to sign in, and works once that is done", { timeout: 240_000 }, async () => {
    const { page, context, faults } = await openPage(browser, worker, { address: `${origin}/-/` });
    await page.getByRole("alert").getByText("there is no answer").waitFor();
    await page.getByText(`Behind Cloudflare Access: open ${door.url} in this browser once, sign in there and come back.`).waitFor();
    assert.ok(faults.length > 0 && faults.every((text) => text.includes("CORS policy")), `what a browser refuses, and nothing else: ${faults.join("; ")}`);
    faults.length = 0;
    await page.goto(door.signIn(OPERATOR));
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await page.goto(`${origin}/-/servers/default/weather`);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator(".person-name").getByText(OPERATOR).waitFor();
    await page.getByRole("button", { name: /^(Suspend|Resume)$/ }).waitFor();
    await page.goto(`${origin}/-/servers/default/weather?tab=usage`);
    await page.getByRole("img", { name: /^CPU over the last hour/ }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test("lets a viewer see and not act, and somebody without a role do neither", { timeout: 240_000 }, async (t) => {
    const gateway = await playGateway([{ name: "find", inputSchema: { type: "object" } }], "found");
    t.after(() => gateway.end());
    await worker.call("PATCH", "/v1/nodes/edge-01", { body: { tunnel: gateway.url } });
    const { page, context, faults } = await openPage(browser, worker, { address: door.signIn(VIEWER) });
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator(".person-name").getByText(VIEWER).waitFor();
    for (const [path, there] of [["servers/default/weather", "Conditions"], ["nodes/edge-01", "Conditions"], ["history", "first"], ["apply", "an operator applies it"]]) {
      await page.goto(`${door.url}/-/${path}`);
      await page.getByText(there).or(page.locator(".conditions")).first().waitFor();
      assert.equal(await page.getByRole("button", { name: /^(Restart|Suspend|Resume|Delete|Cordon|Drain|Rotate|Revoke|Forget|Set|Roll back|Review)$/ }).count(), 0, path);
    }
    await page.goto(`${door.url}/-/servers/default/weather?tab=tools`);
    await page.getByText("an operator runs it").waitFor();
    const answers = await page.evaluate(async () => {
      const post = async (path, method, body) => (await fetch(path, { method, headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).status;
      return [
        await post("/v1/servers/default/weather/restart", "POST"),
        await post("/v1/servers/default/weather", "DELETE"),
        await post("/v1/nodes/edge-01/revoke", "POST"),
        await post("/v1/nodes/edge-01", "PATCH", { tunnel: null }),
        await post("/default/weather/mcp", "POST", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "find", arguments: {} } }),
      ];
    });
    assert.deepEqual(answers, Array(5).fill(403));
    assert.deepEqual(gateway.calls, []);
    assert.deepEqual(faults, []);
    await page.goto(door.signIn("nobody@example.com"));
    await page.getByRole("heading", { name: "No role in this fleet" }).waitFor();
    await page.getByText("You are nobody@example.com").waitFor();
    assert.equal(await page.getByRole("navigation").count(), 0);
    await context.close();
  });
});
