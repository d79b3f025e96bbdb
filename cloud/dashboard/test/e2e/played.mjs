// Nodes that are only played: sockets of devices that say statuses, for views of many objects and of hostile ones.
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

const at = "2026-11-28T10:00:00Z";
export const condition = (type, status, reason, message = "") => ({ type, status, reason, message, lastTransitionTime: at });
// What a node that is well says of itself (edge-runtime/mcplet/node_conditions.cc): of pressure, False is the good one.
export const nodeConditions = (...other) => {
  const well = [
    condition("StoreReachable", "True", "StoreAnswers"),
    condition("DesiredStateFresh", "True", "HeadAccepted"),
    condition("RuntimeReady", "True", "RuntimesUsable", "Process 6.12"),
    condition("ClockSynced", "True", "Synchronised"),
    condition("DiskPressure", "False", "EnoughSpace"),
    condition("MemoryPressure", "False", "EnoughMemory"),
    condition("Ready", "True", "NodeReady"),
    condition("GatewayReady", "True", "Listening"),
  ];
  return [...well.filter(({ type }) => !other.some((each) => each.type === type)), ...other];
};

export const server = (name, more = {}) => ({
  namespace: "default",
  name,
  uid: name,
  observedGeneration: 1,
  revision: "a".repeat(64),
  conditions: [condition("Accepted", "True", "Accepted"), condition("Available", "True", "Running"), condition("Ready", "True", "Ready")],
  serverInfo: { name: "played", version: "1", protocolVersion: "2025-11-25" },
  catalog: { tools: 3 },
  restarts: { count: 0 },
  ...more,
});

// A server as it is applied.
export const object = (name, more = {}, metadata = {}) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name, ...metadata }, spec: { source: { image: { ref: `ghcr.io/example/${name}:1.4.2` } }, ...more } });

export const sample = (at, more = {}) => ({ at, seconds: 60, cpu: 0.25, memory: 96 * 2 ** 20, sessions: 2, calls: 12, errors: 1, p50: 18, p99: 240, ...more });
// An hour as a server may have had it.
const hourUntil = (until) =>
  Array.from({ length: 60 }, (_, index) => {
    const wave = Math.sin(index / 7) + 1.2;
    return sample(until - (59 - index) * 60_000, { cpu: 0.2 * wave, memory: (80 + index) * 2 ** 20, sessions: index % 9, calls: Math.round(20 * wave), errors: index % 13 === 0 ? 3 : 0, ...(index < 5 ? { p50: null, p99: null, calls: 0, errors: 0 } : { p50: 12 * wave, p99: 90 * wave }) });
  });

export class PlayedNode {
  constructor(worker, name) {
    // `measured`: who is looked at, as it was told last; `events`: of each server.
    Object.assign(this, { worker, name, sequence: 0, measured: [], events: [], servers: [], tellsUsage: true, chunks: 0 });
  }
  async connect() {
    ({ token: this.token } = await this.worker.call("POST", `/v1/nodes/${this.name}/tokens`));
    this.socket = new WebSocket(`${this.worker.url.replace("http", "ws")}/v1/watch`, { protocols: ["mcpfleet.v1"], headers: { Authorization: `Bearer ${this.token}` } });
    await new Promise((resolve, reject) => {
      this.socket.addEventListener("open", resolve, { once: true });
      this.socket.addEventListener("error", () => reject(new Error("refused")), { once: true });
    });
    this.socket.addEventListener("message", ({ data }) => {
      const message = data.startsWith("{") ? JSON.parse(data) : {};
      if (message.type === "measure") this.onMeasure(message.servers);
      if (message.type === "hello") this.onMeasure(message.measure ?? []);
    });
    return this;
  }
  onMeasure(servers) {
    this.measured = servers.filter(({ node }) => node === undefined || node === this.name);
    if (!this.tellsUsage) return;
    for (const { namespace, server: name, history } of this.measured) {
      if (history && name === undefined) this.use(this.servers.map((each) => ({ namespace: each.namespace, server: each.name, samples: [sample(Date.now())] })));
      if (history && name !== undefined) this.use([{ namespace, server: name, samples: hourUntil(Date.now()), events: this.events }]);
    }
  }
  // What servers use, to who looks.
  use(servers) {
    this.socket.send(JSON.stringify({ type: "usage", servers }));
  }
  say(servers, more = {}) {
    this.servers = servers;
    const status = {
      node: this.name,
      bootId: "played",
      sequence: ++this.sequence,
      version: "1.5.0",
      heartbeat: new Date().toISOString().replace(/\.\d+Z/, "Z"),
      acceptedHead: "0.1.1",
      runtimes: ["Process"],
      capacity: { cpus: 4, memoryBytes: 8 * 2 ** 30 - 1, diskBytes: 118 * 2 ** 30 },
      conditions: nodeConditions(),
      servers,
      ...more,
    };
    this.socket.send(JSON.stringify({ type: "status", status }));
  }
  log(name, lines) {
    this.socket.send(JSON.stringify({ type: "log", namespace: "default", server: name, lines }));
  }
  // Lines that are stored, as a node uploads them.
  async store(lines) {
    const times = lines.map(({ time }) => time).sort();
    const chunk = gzipSync(lines.map((line) => JSON.stringify({ namespace: "default", stream: "stdout", ...line })).join("\n"));
    const response = await this.worker.request("PUT", `/v1/logs/${this.name}/played-${++this.chunks}`, { token: this.token, body: chunk, headers: { "Mcpfleet-First": times[0], "Mcpfleet-Last": times.at(-1) } });
    if (!response.ok) throw new Error(await response.text());
  }
  close() {
    this.socket.close();
  }
}

// A gateway behind a node's tunnel, in front of one server with these tools, which answers every call with the same text; with `call`, as that
// says: it may tell (notifications) and ask (requests of the server) meanwhile, and gives the result or throws the error.
export async function playGateway(tools, text, { call, serverInfo = { name: "played", version: "1" } } = {}) {
  const calls = [];
  const waiting = new Map();
  const http = createServer(async (request, response) => {
    if (request.url.endsWith("/healthz")) return void response.end("ok");
    if (request.method !== "POST") return void response.writeHead(405).end();
    let body = "";
    for await (const part of request) body += part;
    const { id, method, params, result: answer, error } = JSON.parse(body);
    if (id === undefined) return void response.writeHead(202).end();
    if (method === undefined) {
      waiting.get(id)?.({ answer, error });
      return void response.writeHead(202).end();
    }
    if (method === "tools/call") calls.push(params);
    if (method === "tools/call" && call !== undefined) {
      response.setHeader("Content-Type", "text/event-stream");
      const send = (message) => response.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`);
      const tell = (what, about) => send({ method: what, params: about });
      const ask = (what, about) =>
        new Promise((resolve) => {
          const own = `asked-${waiting.size}`;
          waiting.set(own, resolve);
          send({ id: own, method: what, params: about });
        });
      const end = await Promise.resolve(call(params, { tell, ask })).then((result) => ({ result }), (failure) => ({ error: { code: -32000, message: failure.message } }));
      send({ id, ...end });
      return void response.end();
    }
    const result = {
      initialize: () => ({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo }),
      "tools/list": () => ({ tools }),
      "tools/call": () => ({ content: [{ type: "text", text }] }),
      ping: () => ({}),
    }[method]?.();
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ jsonrpc: "2.0", id, ...(result === undefined ? { error: { code: -32601, message: "unknown" } } : { result }) }));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${http.address().port}`, calls, end: () => (http.closeAllConnections(), new Promise((resolve) => http.close(resolve))) };
}

// The page's socket, through here: what it says and hears is in `sent` and `heard`, and it can be cut, and be kept from coming back.
export async function listenIn(page) {
  const link = { sent: [], heard: [], kept: false, open: new Set() };
  link.cut = async () => {
    link.kept = true;
    for (const close of link.open) await close();
    link.open.clear();
  };
  // Said and heard since: for what comes after a cut.
  link.forget = () => ((link.sent.length = 0), (link.heard.length = 0));
  const note = (list, text) => text.startsWith("{") && list.push(JSON.parse(text));
  await page.routeWebSocket(/v1\/watch/, (socket) => {
    if (link.kept) return void socket.close({ code: 1011 });
    const upstream = socket.connectToServer();
    link.open.add(() => (upstream.close(), socket.close({ code: 1011 })));
    socket.onMessage((text) => (note(link.sent, text), upstream.send(text)));
    upstream.onMessage((text) => (note(link.heard, text), socket.send(text)));
  });
  return link;
}

// What was told to one who came back: whether it was all, and of which nodes the servers.
export function toldSince({ sent, heard }) {
  const states = heard.filter(({ type }) => type === "state");
  return { since: sent.find(({ type }) => type === "sync")?.since, whole: states.map(({ whole }) => whole), servers: Object.fromEntries(states.flatMap(({ nodes }) => nodes.map(({ node, servers }) => [node.node, servers?.map(({ name }) => name) ?? null]))) };
}
