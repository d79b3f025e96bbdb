// The dashboard at an origin of its own: the build for Cloudflare Pages in Pages' own local server, the Worker in workerd, Chromium between them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makePages } from "../../scripts/pages.mjs";
import { freePort, missingBrowser, openBrowser, openPage, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";
import { PlayedNode, server } from "./played.mjs";

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
      await worker.call("POST", "/v1/changes", { body: { message: "first", set: [{ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name: "weather" }, spec: { source: { image: { ref: "ghcr.io/example/weather:1" } } } }] } });
      node = await new PlayedNode(worker, "edge-01").connect();
      node.say([server("weather")]);
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
