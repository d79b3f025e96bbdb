// A fleet that looks like one: places with machines, servers with their tools, one machine away and one server that does not come up. Played:
// for pictures and for a first look.
import { condition, nodeConditions, PlayedNode, server } from "../test/e2e/played.mjs";

const SERVERS = [
  ["weather", 4, "gold"],
  ["filesystem", 11, "gold"],
  ["github", 38, "gold"],
  ["calendar", 7, "silver"],
  ["search", 2, "gold"],
  ["postgres", 9, "gold"],
  ["browser", 21, "silver"],
  ["mail", 12, "silver"],
  ["notes", 6, "bronze"],
  ["translate", 3, "bronze"],
  ["maps", 5, "silver"],
  ["metrics", 8, "silver"],
  ["tickets", 14, "gold"],
  ["images", 4, "bronze"],
];
const SITES = ["berlin", "berlin", "oslo", "oslo", "lisbon", "lisbon", "lisbon", "turin"];
const AWAY = 7; // with the last two servers only: one machine is not the fleet
const CRASH = {
  conditions: [condition("Accepted", "True", "Accepted"), condition("Available", "False", "CrashLoopBackOff", "exit code 1; started again in 40 s"), condition("Ready", "False", "CrashLoopBackOff", "exit code 1; started again in 40 s")],
  restarts: { count: 14, lastExitCode: 1, lastReason: "Error", stderrTail: "Error: connect ECONNREFUSED 10.0.4.12:5432\n    at Socket.emit (node:events:518:28)\n" },
};
const on = (at, index) => (index === AWAY ? at > 11 : at % 3 !== 0 || index % 4 !== 1);

// Its nodes, to be closed by who asked; one is already.
export async function playFleet(worker) {
  const metadata = (name, labels) => ({ name, labels });
  const nameOf = (index) => `edge-${String(index + 1).padStart(2, "0")}`;
  await worker.call("POST", "/v1/changes", {
    body: {
      message: "move tickets to 2.1",
      set: [
        ...SERVERS.map(([name, , tier], at) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: metadata(name, { tier }), spec: { source: { image: { ref: `ghcr.io/acme/${name}:2.1.0` } }, placement: { nodes: SITES.flatMap((_, index) => (on(at, index) ? [nameOf(index)] : [])) } } })),
        ...SITES.map((site, index) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: metadata(nameOf(index), { site }), spec: {} })),
      ],
    },
  });
  const { head } = await worker.call("GET", "/v1/desired");
  const nodes = [];
  for (const [index] of SITES.entries()) {
    const node = await new PlayedNode(worker, nameOf(index)).connect();
    nodes.push(node);
    const own = SERVERS.filter((_, at) => on(at, index)).map(([name, tools]) => server(name, { catalog: { tools }, serverInfo: { name, version: "2.1.0", protocolVersion: "2025-11-25" }, ...(name === "postgres" && index < 3 ? CRASH : {}) }));
    node.events = [{ time: new Date().toISOString(), firstTime: new Date().toISOString(), type: "Normal", reason: "Started", message: "instance 8c41f2 started", count: 1 }];
    const full = index === 4 ? { conditions: nodeConditions(condition("DiskPressure", "True", "LittleSpace", "180 MiB are free below the state directory")) } : {};
    node.say(own, { acceptedHead: head, ...full });
  }
  nodes[AWAY].close();
  return nodes;
}
