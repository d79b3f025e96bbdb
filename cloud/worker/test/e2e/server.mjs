// dev/serve.mjs as a child, for tests in Node. Ended by its pid.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const serve = fileURLToPath(new URL("../../dev/serve.mjs", import.meta.url));
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
export const KV = "/client/v4/accounts/local/storage/kv/namespaces";

export async function start(dir, ...more) {
  const child = spawn(process.execPath, [serve, "--dir", dir, ...more], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  const lines = createInterface({ input: child.stdout });
  const url = await Promise.race([
    new Promise((resolve) => lines.once("line", resolve)),
    ended.then((how) => Promise.reject(new Error(`serve.mjs ended: ${how}`))),
  ]);
  const operator = readFileSync(join(dir, "operator-token"), "utf8").trim();
  const request = (method, path, { token = operator, body, headers = {} } = {}) =>
    fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
  const call = async (method, path, given) => {
    const response = await request(method, path, given);
    const json = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${json.errors[0].message}`);
    return json.result;
  };
  return {
    url,
    pid: child.pid,
    operator,
    request,
    call,
    end: () => {
      child.kill("SIGTERM");
      return ended;
    },
    // As a power cut: workerd, which holds the objects, and its parent.
    kill: () => {
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
      child.kill("SIGKILL");
      for (const pid of children) process.kill(Number(pid), "SIGKILL");
      return ended;
    },
  };
}

export const value = (namespace, key) => `${KV}/${namespace}/values/${encodeURIComponent(key)}`;

// Uploads a snapshot made on `parent` and moves the head to it; its hash. `moving` is called in between.
export async function moveHead(server, parent, revision, moving = () => {}) {
  const snapshot = JSON.stringify({
    author: "",
    message: `move ${revision}`,
    parent,
    shards: Array(64).fill(""),
    time: "2026-11-28T00:00:00Z",
  });
  const hash = sha256(snapshot);
  await server.call("PUT", value("CONFIG", `snapshots/${hash}`), { body: snapshot });
  const head = JSON.stringify({
    epoch: 1,
    fleet: "a".repeat(32),
    revision,
    signatures: [],
    snapshot: hash,
    time: "2026-11-28T00:00:00Z",
    trust: 0,
    validUntil: "",
  });
  const on = revision === 1 ? { "If-None-Match": "*" } : { "If-Match": `"0.1.${revision - 1}"` };
  moving();
  await server.call("PUT", value("CONFIG", "head"), { body: head, headers: on });
  return hash;
}

// A socket of /v1/watch with the texts that came.
export function watch(server, token, protocols = []) {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/watch`, {
    protocols,
    headers: { Authorization: `Bearer ${token}` },
  });
  const texts = [];
  const waiting = new Set();
  socket.addEventListener("message", (event) => {
    texts.push({ text: event.data, at: performance.now() });
    for (const look of waiting) look();
  });
  const until = (matches) =>
    new Promise((resolve) => {
      const look = () => {
        const found = texts.find(({ text }) => matches(text));
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const closed = new Promise((resolve) => socket.addEventListener("close", (event) => resolve(event.code)));
  return { socket, texts, until, closed };
}

export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}
