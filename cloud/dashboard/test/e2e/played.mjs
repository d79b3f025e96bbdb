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

export class PlayedNode {
  constructor(worker, name) {
    Object.assign(this, { worker, name, sequence: 0 });
  }
  async connect() {
    const { token } = await this.worker.call("POST", `/v1/nodes/${this.name}/tokens`);
    this.socket = new WebSocket(`${this.worker.url.replace("http", "ws")}/v1/watch`, { protocols: ["mcpfleet.v1"], headers: { Authorization: `Bearer ${token}` } });
    await new Promise((resolve, reject) => {
      this.socket.addEventListener("open", resolve, { once: true });
      this.socket.addEventListener("error", () => reject(new Error("refused")), { once: true });
    });
    return this;
  }
  say(servers, more = {}) {
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
