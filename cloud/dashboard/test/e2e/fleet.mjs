// A real fleet for the browser: the Worker in workerd, mcplet and MCP servers. Programs are those of $MCPFLEET_BIN (a build directory)
// and $MCPFLEET_TEST_SERVER; Chromium is Debian's. What is not there makes `missing` say so: then all is skipped, loudly; with
// MCPFLEET_TEST_STRICT=1, as scripts/test runs it, which has installed all of it, that is a failure.
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { start } from "../../../worker/test/e2e/server.mjs";

const bin = process.env.MCPFLEET_BIN ?? "";
const testServer = process.env.MCPFLEET_TEST_SERVER ?? join(bin, "mcp_test_server");
const browserPath = process.env.MCPFLEET_CHROMIUM ?? "/usr/bin/chromium";
const built = fileURLToPath(new URL("../../../worker/public/index.html", import.meta.url));
const run = promisify(execFile);
export const deadline = 90_000;
export const shots = process.env.MCPFLEET_SHOTS ?? fileURLToPath(new URL("../../test-results", import.meta.url));

const absent = (files) => files.filter((file) => !existsSync(file));
export const missingBrowser = absent([browserPath, built]).map((file) => (file === built ? `${file} (npm run build)` : `${file} (scripts/install-deps --test)`));
export const missing = [...missingBrowser, ...(bin === "" ? ["$MCPFLEET_BIN"] : absent([join(bin, "mcplet"), join(bin, "mcpctl"), testServer]))];
export const skipFor = (list) => (list.length === 0 ? false : `not there: ${list.join(", ")}`);
if (missing.length > 0 && process.env.MCPFLEET_TEST_STRICT === "1") throw new Error(`MCPFLEET_TEST_STRICT=1, and not there: ${missing.join(", ")}`);
// scripts/test looks for lines that begin so.
if (missing.length > 0 && process.env.NODE_TEST_CONTEXT !== undefined) console.log(`skipped: dashboard in a browser: not there: ${missing.join(", ")}`);

export async function until(what, look, within = deadline) {
  let last;
  for (const end = Date.now() + within; Date.now() < end; ) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${within} ms: ${what}${last === undefined ? "" : `: ${last.message}`}`);
}

export async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

// The Worker with an operator and a viewer, `more` tokens and further settings. `again` starts it anew where it was, once it has ended.
export async function startWorker(dir, { more = [], ...settings } = {}) {
  mkdirSync(dir, { recursive: true });
  const token = (name, role) => {
    const value = randomBytes(24).toString("hex");
    return { value, entry: { name, role, sha256: createHash("sha256").update(value).digest("hex") } };
  };
  const operator = token("ada", "operator");
  const viewer = token("vera", "viewer");
  writeFileSync(join(dir, "operator-token"), operator.value);
  writeFileSync(join(dir, "settings.json"), JSON.stringify({ tokens: [operator.entry, viewer.entry, ...more], loopbackTunnels: true, ...settings }));
  const begin = async (...words) => ({ ...(await start(dir, "--settings", join(dir, "settings.json"), ...words)), operator: operator.value, viewer: viewer.value });
  const server = await begin();
  return { ...server, again: () => begin("--port", new URL(server.url).port) };
}

export const manifest = (name, more = "") => `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata: {name: ${name}}
spec:
  source: {process: {path: ${testServer}}}
  securityContext: {enforcement: BestEffort}
${more}`;

export function config(node, dir, url, gateway) {
  return `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPletConfiguration
metadata: {name: ${node}}
spec:
  stateDirectory: ${join(dir, node, "state")}
  runDirectory: ${join(dir, node, "run")}
  admin: {port: 0}
  gateway: {port: ${gateway}}
  runtimes: {docker: {enabled: Never}}
  store: {type: Remote, url: ${url}, tokenFile: ${join(dir, node, "token")}}
`;
}

// A mcplet with its configuration in `file`.
class Mcplet {
  start() {
    this.child = spawn(join(bin, "mcplet"), ["--config", this.file], { stdio: "ignore" });
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }
  async stop() {
    if (this.child === undefined) return;
    this.child.kill("SIGTERM");
    await this.exited;
    this.child = undefined;
  }
  async end() {
    await this.stop();
    await run(join(bin, "mcplet"), ["--config", this.file, "--drain"], { timeout: 60_000 }).catch(() => undefined);
  }
}

export class Node extends Mcplet {
  constructor(name, dir, url) {
    super();
    Object.assign(this, { name, dir, url });
    this.file = join(dir, name, "mcplet.yaml");
    mkdirSync(join(dir, name), { recursive: true });
  }
  async prepare() {
    this.port = await freePort();
    this.gateway = `http://127.0.0.1:${this.port}`;
    writeFileSync(this.file, config(this.name, this.dir, this.url, this.port));
  }
  async join(token) {
    const file = join(this.dir, this.name, "join");
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    return run(join(bin, "mcplet"), ["join", this.url, "--name", this.name, "--token-file", file, "--config", this.file], { timeout: deadline });
  }
}

// A node with a token that an operator made: for tests that are not about enrolment.
export async function givenNode(name, dir, worker) {
  const node = new Node(name, dir, worker.url);
  await node.prepare();
  const { token } = await worker.call("POST", `/v1/nodes/${name}/tokens`);
  writeFileSync(join(dir, name, "token"), token, { mode: 0o600 });
  await worker.call("PATCH", `/v1/nodes/${name}`, { body: { tunnel: node.gateway } });
  node.start();
  return node;
}

export const temporary = () => mkdtempSync(join(tmpdir(), "mcpfleet-dashboard-"));
export const remove = (dir) => rmSync(dir, { recursive: true, force: true });

export async function openBrowser(...more) {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-dev-shm-usage", ...more] });
  mkdirSync(shots, { recursive: true });
  return browser;
}

// A node with a store of its own, as the quickstart makes it: mcplet serves the dashboard.
export class LoneNode extends Mcplet {
  constructor(name, dir) {
    super();
    Object.assign(this, { name, dir: join(dir, name) });
    this.file = join(this.dir, "mcplet.yaml");
    mkdirSync(this.dir, { recursive: true });
  }
  async prepare() {
    const [admin, store, gateway] = [await freePort(), await freePort(), await freePort()];
    writeFileSync(
      this.file,
      `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPletConfiguration
metadata: {name: ${this.name}}
spec:
  stateDirectory: ${join(this.dir, "state")}
  runDirectory: ${join(this.dir, "run")}
  admin: {port: ${admin}}
  gateway: {port: ${gateway}}
  runtimes: {docker: {enabled: Never}}
  store: {type: Embedded, port: ${store}}
`,
    );
    this.env = { ...process.env, MCPFLEET_CONFIG: join(this.dir, "contexts"), DISPLAY: "", WAYLAND_DISPLAY: "" };
    this.store = `http://127.0.0.1:${store}`;
    this.admin = `http://127.0.0.1:${admin}`;
  }
  async mcpctl(...words) {
    return (await run(join(bin, "mcpctl"), words, { env: this.env, timeout: deadline })).stdout.trim();
  }
  // Waits until it answers; then mcpctl talks to it over its socket or, with the admin token, by TCP.
  async ready(admin = `unix://${join(this.dir, "run", "mcplet.sock")}`) {
    await until(`${this.name} answers`, async () => (await fetch(`${this.admin}/livez`)).ok);
    const set = run(join(bin, "mcpctl"), ["config", "set-context", "here", "--server", this.store, "--admin", admin, "--token-stdin", "--use"], { env: this.env, timeout: deadline });
    const tokens = [join("store", "operator-token"), "admin-token"].map((file) => readFileSync(join(this.dir, "state", file), "utf8").trim());
    set.child.stdin.end(`${tokens.join("\n")}\n`);
    await set;
  }
}

// A page in which nothing may go wrong unseen: errors of scripts, refusals of the policy.
export async function openPage(browser, worker, { token, address = `${worker.url}/-/`, theme = "light", width = 1360, height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  // Generous: these run beside whatever else the machine does.
  context.setDefaultTimeout(deadline);
  context.setDefaultNavigationTimeout(2 * deadline);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(text)) faults.push(text);
  });
  await page.goto(address);
  if (token !== undefined) await signIn(page, token);
  return { page, context, faults };
}

export async function signIn(page, token) {
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

// How much slower than an idle machine of 2026 this one is now, by a fixed loop in the page: budgets are stretched by it, but no further
// than `most`.
export const slowness = (page, most) =>
  page.evaluate(
    ({ usual, bound }) => {
      const begun = performance.now();
      let sum = 0;
      for (let at = 0; at < 2e7; ++at) sum = (sum * 31 + at) | 0;
      return sum === 0.5 ? 0 : Math.min(bound, Math.max(1, (performance.now() - begun) / usual));
    },
    { usual: 60, bound: most },
  );

export const readText = (file) => readFileSync(file, "utf8");
