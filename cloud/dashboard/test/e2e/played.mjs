// Nodes that are only played: sockets of devices that say statuses, for views of many objects and of hostile ones.

export const server = (name, more = {}) => ({
  namespace: "default",
  name,
  uid: name,
  observedGeneration: 1,
  revision: "a".repeat(64),
  conditions: [{ type: "Ready", status: "True", reason: "Ready", message: "", lastTransitionTime: "2026-11-28T10:00:00Z" }],
  serverInfo: { name: "played", version: "1", protocolVersion: "2025-11-25" },
  catalog: { tools: 3 },
  restarts: { count: 0 },
  ...more,
});

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
    Object.assign(this, { worker, name, sequence: 0, measured: [], events: [], servers: [], tellsUsage: true });
  }
  async connect() {
    const { token } = await this.worker.call("POST", `/v1/nodes/${this.name}/tokens`);
    this.socket = new WebSocket(`${this.worker.url.replace("http", "ws")}/v1/watch`, { protocols: ["mcpfleet.v1"], headers: { Authorization: `Bearer ${token}` } });
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
      conditions: [{ type: "Ready", status: "True", reason: "Ready", message: "", lastTransitionTime: "2026-11-28T10:00:00Z" }],
      servers,
      ...more,
    };
    this.socket.send(JSON.stringify({ type: "status", status }));
  }
  log(name, lines) {
    this.socket.send(JSON.stringify({ type: "log", namespace: "default", server: name, lines }));
  }
  close() {
    this.socket.close();
  }
}
