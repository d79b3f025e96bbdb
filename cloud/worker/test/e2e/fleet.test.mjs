// mcplet and mcpctl, as they are built, against the Worker: a token, apply, push, Ready, status, routed MCP, revoke,
// restart of the Worker. Needs the programs in $MCPFLEET_BIN (a build directory), and mcp_test_server there or at
// $MCPFLEET_TEST_SERVER; skipped without.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { start } from "./server.mjs";

const bin = process.env.MCPFLEET_BIN ?? "";
const testServer = process.env.MCPFLEET_TEST_SERVER ?? join(bin, "mcp_test_server");
const missing = [join(bin, "mcplet"), join(bin, "mcpctl"), testServer].filter((file) => !existsSync(file));
const skip = missing.length === 0 ? false : `not built: ${missing.join(", ")}`;
const run = promisify(execFile);
const deadline = 30_000;

let dir;
let server;
let mcplet;
let gateway;

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const mcpctl = (...args) => run(join(bin, "mcpctl"), args, { env: { PATH: process.env.PATH, HOME: dir, MCPFLEET_CONFIG: join(dir, "context") }, timeout: deadline });

async function until(what, look) {
  for (const end = Date.now() + deadline; Date.now() < end; ) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${deadline} ms: ${what}`);
}

const manifest = (name) => `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata: {name: ${name}, namespace: default}
spec:
  source: {process: {path: ${testServer}}}
  securityContext: {enforcement: BestEffort}
`;

async function apply(name) {
  writeFileSync(join(dir, `${name}.yaml`), manifest(name));
  const { stdout } = await mcpctl("apply", "-f", join(dir, `${name}.yaml`));
  assert.match(stdout, new RegExp(`${name} created`));
}
const answers = (name) => until(`${name} answers at the gateway`, async () => (await fetch(`${gateway}/default/${name}/healthz`)).ok);

function startMcplet() {
  const child = spawn(join(bin, "mcplet"), ["--config", join(dir, "mcplet.yaml")], { stdio: "ignore" });
  return { pid: child.pid, end: () => new Promise((resolve) => (child.once("exit", resolve), child.kill("SIGTERM"))) };
}

before(async () => {
  if (skip) return;
  dir = mkdtempSync(join(tmpdir(), "mcpfleet-fleet-"));
  server = await start(join(dir, "worker"));
  const port = await freePort();
  gateway = `http://127.0.0.1:${port}`;
  writeFileSync(join(dir, "operator"), `${server.operator}\n`, { mode: 0o600 });
  const set = spawn(join(bin, "mcpctl"), ["config", "set-context", "w", "--server", server.url, "--token-stdin", "--use"], {
    env: { PATH: process.env.PATH, HOME: dir, MCPFLEET_CONFIG: join(dir, "context") },
    stdio: ["pipe", "ignore", "inherit"],
  });
  set.stdin.end(`${server.operator}\n`);
  assert.equal(await new Promise((resolve) => set.once("exit", resolve)), 0);
  await mcpctl("store", "token", "create", "--node", "edge-1", "--out", join(dir, "token"));
  writeFileSync(
    join(dir, "mcplet.yaml"),
    `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPletConfiguration
metadata: {name: edge-1}
spec:
  stateDirectory: ${join(dir, "state")}
  runDirectory: ${join(dir, "run")}
  admin: {port: 0}
  gateway: {port: ${port}}
  runtimes: {docker: {enabled: Never}}
  store: {type: Remote, url: ${server.url}, tokenFile: ${join(dir, "token")}}
`,
  );
  mcplet = startMcplet();
});

after(async () => {
  if (skip) return;
  await mcplet.end();
  await run(join(bin, "mcplet"), ["--config", join(dir, "mcplet.yaml"), "--drain"], { timeout: 60_000 });
  await server.end();
  rmSync(dir, { recursive: true });
});

test("what is applied reaches the node by push and is Ready for everybody", { skip }, async () => {
  await until("the node is connected", async () => (await server.call("GET", "/v1/nodes/edge-1")).connected);
  await apply("one");
  const begun = performance.now();
  await answers("one");
  console.log(`# apply answered, server answers MCP after ${(performance.now() - begun).toFixed(0)} ms`);
  await until("one is Ready in the aggregate", async () => (await server.call("GET", "/v1/servers")).some((each) => each.name === "one" && each.ready === "True"));
  assert.match((await mcpctl("get", "mcpservers")).stdout, /one +1\/1 +Ready/);
  assert.match((await mcpctl("get", "nodes")).stdout, /edge-1 +Ready/);
});

test("clients reach it by the Worker's URL, in a session", { skip }, async () => {
  await server.call("PATCH", "/v1/nodes/edge-1", { body: { tunnel: gateway } });
  const headers = { Accept: "application/json, text/event-stream", "Content-Type": "application/json" };
  const post = (body, more = {}) => server.request("POST", "/default/one/mcp", { body, headers: { ...headers, ...more } });
  const begun = await post({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } } });
  assert.equal(begun.status, 200, await begun.clone().text());
  const session = { "Mcp-Session-Id": begun.headers.get("Mcp-Session-Id") };
  assert.equal((await post({ jsonrpc: "2.0", method: "notifications/initialized" }, session)).status, 202);
  const called = await (await post({ jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "echo", arguments: { message: "through the Worker" } } }, session)).text();
  assert.match(called, /through the Worker/);
  const ended = await server.request("DELETE", "/default/one/mcp", { headers: session });
  assert.ok(ended.ok);
  assert.equal((await post({ jsonrpc: "2.0", id: 3, method: "tools/list" }, session)).status, 404);
});

test("a Worker that was away is found again, and what was applied then arrives", { skip }, async () => {
  const port = new URL(server.url).port;
  await server.kill();
  server = await start(join(dir, "worker"), "--port", port);
  await apply("two");
  await answers("two");
  await answers("one");
});

test("a revoked node hears nothing more, and what it runs runs on", { skip }, async () => {
  await until("the node is connected", async () => (await server.call("GET", "/v1/nodes/edge-1")).connected);
  const { tokens, secrets } = await server.call("POST", "/v1/nodes/edge-1/revoke");
  assert.deepEqual([tokens, secrets], [1, []]);
  assert.equal((await server.call("GET", "/v1/nodes/edge-1")).connected, false);
  await apply("three");
  assert.equal((await fetch(`${gateway}/default/one/healthz`)).status, 200);
  assert.equal((await fetch(`${gateway}/default/three/healthz`)).status, 404);
});
