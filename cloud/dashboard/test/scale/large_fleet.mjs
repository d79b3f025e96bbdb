// 200 nodes with 50 servers each, and three that run on all of them, all desired by an apply, with 200 versions, labels, alerts of many
// kinds by the Worker's own rules, logs and an audit list: what each page has to show when a fleet is large. Names are those of walk.mjs.
import { until } from "../e2e/fleet.mjs";
import { condition, nodeConditions, playGateway, PlayedNode, server } from "../e2e/played.mjs";

export const NODES = 200;
export const SERVERS = 50;
const AWAY = 3; // the last ones have gone
export const ALIVE = NODES - AWAY;
export const ALL = NODES * SERVERS + 3;
export const GOLD = NODES * 5; // servers with tier=gold
const TOOLS = 300;
const VERSIONS = 200;
const PART = 500; // objects of one change, the most that the Worker takes
export const CHANGED = 10; // servers of a node that are other ones each time it speaks
const PING_MS = 100; // one node gives a sign of life, then the next

const nodeName = (index) => `edge-${String(index).padStart(2, "0")}`;
const labelsOf = (at) => ({ tier: at % 10 === 0 ? "gold" : at % 3 === 0 ? "bronze" : "silver", team: ["search", "support", "billing", "research"][at % 4] });
const object = (kind, name, labels, spec = {}, annotations) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind, metadata: { name, labels, ...(annotations === undefined ? {} : { annotations }) }, spec });
const serverObject = (name, labels, spec = {}, annotations) => object("MCPServer", name, labels, { source: { image: { ref: `ghcr.io/example/${name}:1.4.2` } }, ...spec }, annotations);

const failed = (reason, message) => [condition("Accepted", "True", "Accepted"), condition("Available", "False", reason, message), condition("Ready", "False", reason, message)];
const crash = {
  conditions: failed("CrashLoopBackOff", "exit code 1; started again in 40 s"),
  restarts: { count: 14, lastExitCode: 1, lastReason: "Error", lastAt: "2026-11-28T15:00:00Z", stderrTail: "Error: connect ECONNREFUSED 10.0.4.12:5432\n    at Socket.emit (node:events:518:28)\n" },
  instances: [{ id: "0123456789abcdef", runtime: "Process", state: "Exited", revision: "b".repeat(64), startedAt: "2026-11-28T15:00:00Z" }],
};
const notReady = { conditions: failed("ProbeFailed", "no answer within 5 s, three times") };
const unpinned = { conditions: [...server("maps").conditions, condition("ToolsPinned", "False", "ToolsChanged", "changed: tool-007; not pinned: tool-011")] };
const full = { conditions: nodeConditions(condition("DiskPressure", "True", "LittleSpace", "12 MiB are free below the state directory")) };
const tools = Array.from({ length: TOOLS }, (_, at) => ({
  name: `tool-${String(at).padStart(3, "0")}`,
  description: `Finds what is asked for, in place ${at}, and says where it is.`,
  inputSchema: { type: "object", properties: { text: { type: "string", description: "what to look for" }, limit: { type: "integer", default: 10 } }, required: ["text"] },
  annotations: { readOnlyHint: at % 3 !== 0, ...(at % 7 === 0 ? { destructiveHint: true } : {}) },
}));

// Each request on a connection of its own: workerd ends one that it kept while it was long at work, just when the next request comes.
function unkept(worker) {
  const request = (method, path, { headers, ...more } = {}) => worker.request(method, path, { ...more, headers: { Connection: "close", ...headers } });
  const call = async (method, path, given) => {
    const response = await request(method, path, given);
    const { result, errors } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${errors[0].message}`);
    return result;
  };
  return { ...worker, request, call };
}

export class LargeFleet {
  constructor(worker) {
    // `turn`: rises each time a node speaks; `troubled`: some servers are in trouble that goes by.
    Object.assign(this, { worker: unkept(worker), nodes: [], turn: 0, head: "", troubled: true });
  }
  async apply(set, message) {
    ({ head: this.head } = await this.worker.call("POST", "/v1/changes", { body: { message, set } }));
    return this.head;
  }
  async start() {
    const nodes = Array.from({ length: NODES }, (_, index) => object("MCPNode", nodeName(index), { site: ["berlin", "oslo", "lisbon", "turin"][index % 4] }));
    const servers = nodes.flatMap(({ metadata: { name } }) => Array.from({ length: SERVERS }, (_, at) => serverObject(`${name}-${at}`, labelsOf(at), { placement: { nodes: [name] } })));
    const pins = { tools: { pins: Object.fromEntries(tools.slice(0, 20).map(({ name }) => [name, `sha256:${"0".repeat(64)}`])) } };
    const all = [...nodes, ...servers, serverObject("weather", { tier: "silver" }), serverObject("github", { tier: "silver" }), serverObject("maps", { tier: "silver" }, pins)];
    let versions = 0;
    for (let at = 0; at < all.length; at += PART) await this.apply(all.slice(at, at + PART), `part ${++versions} of the fleet`);
    await this.worker.call("POST", "/v1/nodes/edge-05/cordon");
    for (; versions < VERSIONS; ++versions) await this.touch(`weather: note ${versions}`);
    for (let index = 0; index < NODES; ++index) this.nodes.push(await new PlayedNode(this.worker, nodeName(index)).connect());
    this.gateway = await playGateway(tools, "found");
    await this.worker.call("PATCH", `/v1/nodes/${nodeName(0)}`, { body: { tunnel: this.gateway.url } });
    for (const node of this.nodes) this.say(node);
    for (const node of this.nodes.slice(ALIVE)) node.close();
    let pinged = 0;
    this.pings = setInterval(() => this.nodes[pinged++ % ALIVE].socket.send("ping"), PING_MS);
  }
  // A change of one object, as an apply in the middle of the day.
  touch(note) {
    return this.apply([serverObject("weather", { tier: "silver" }, {}, { note })], note);
  }
  say(node) {
    const index = this.nodes.indexOf(node);
    const turn = ++this.turn;
    node.turn = turn;
    node.head = this.head;
    const own = Array.from({ length: SERVERS }, (_, at) => {
      const ill = (at === 20 && index % 2 === 0) || (at === 22 && index < 100 && this.troubled) ? crash : at === 21 && index % 4 === 0 ? notReady : {};
      return server(`${node.name}-${at}`, { ...(at < CHANGED ? { restarts: { count: turn } } : {}), ...ill });
    });
    node.say([...own, server("weather"), server("github", crash), server("maps", { ...unpinned, catalog: { tools: TOOLS } })], { acceptedHead: this.head, ...(index % 40 === 3 ? full : {}) });
  }
  // 500 changed servers a second, by the clock: who was held up catches up.
  async change(seconds) {
    const begun = performance.now();
    let turns = 0;
    for (let at = 0; (at = performance.now() - begun) < seconds * 1000; ) {
      for (const due = (at / 1000) * (500 / CHANGED); turns < due; ++turns) this.say(this.nodes[turns % ALIVE]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return turns * CHANGED;
  }
  // Alerts that are raised when a sweep comes, and some that are over then; lines of logs.
  async age() {
    const open = async () => (await this.worker.call("GET", "/v1/alerts")).length;
    await until("servers in trouble raise alerts", async () => (await open()) >= 2 * ALIVE + 150, 180_000);
    this.troubled = false;
    for (const node of this.nodes.slice(0, ALIVE)) this.say(node);
    for (const [index, node] of this.nodes.slice(0, 5).entries()) {
      const from = Date.now() - 600_000 + index * 10;
      await node.store(Array.from({ length: 1000 }, (_, at) => ({ server: "weather", time: new Date(from + at * 500).toISOString(), text: `GET /forecast/${at} 200 in ${(at * 7) % 90} ms`, stream: at % 50 === 0 ? "stderr" : "stdout" })));
    }
    await until("trouble that went by is past", async () => (await this.worker.call("GET", "/v1/alerts?all=true")).some(({ cleared }) => cleared !== null), 180_000);
  }
  async end() {
    clearInterval(this.pings);
    for (const node of this.nodes) node.close();
    await this.gateway?.end();
  }
}
