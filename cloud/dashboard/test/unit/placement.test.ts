import { describe, expect, it } from "vitest";
import type { ObjectRow, ServerSummary } from "../../src/api/client";
import { stageOf } from "../../src/lib/rollout";
import { hashOfText } from "../../src/lib/sha256";
import { DeclaredNodes, matchesPlacement } from "../../src/live/placement";
import { type OnNode, serverRow } from "../../src/live/rows";

const object = (name: string, more: Partial<ObjectRow> = {}): ObjectRow => ({ kind: "MCPServer", namespace: "default", name, uid: name, generation: 1, hash: name, created: "2026-11-28T00:00:00Z", labels: {}, source: "image", suspended: false, unschedulable: false, drained: false, replicas: null, nodes: null, selector: null, hostname: "", ...more });
const declare = (name: string, more: Partial<ObjectRow> = {}) => object(name, { kind: "MCPNode", namespace: "", ...more });
const NODES = Array.from({ length: 8 }, (_, at) => declare(`edge-${at}`, { labels: { site: at % 2 === 0 ? "berlin" : "paris" } }));
const placed = (server: ObjectRow, nodes = NODES, down: string[] = []) => [...new DeclaredNodes(nodes).place(server, new Set(down))];
const with_ = (at: number, more: Partial<ObjectRow>) => NODES.map((node, each) => (each === at ? { ...node, ...more } : node));

describe("a hash", () => {
  it("is that of SHA-256", () => {
    expect(hashOfText("")).toEqual([0x141cfc98, 0x42c4b0e3]);
    expect(hashOfText("abc")).toEqual([0xeacf018f, 0xbf1678ba]);
    expect(hashOfText("x".repeat(200))).toEqual([0x40830132, 0x3ec220aa]);
  });
});

describe("placement", () => {
  it("is by names, and by all labels of a selector; an empty list names nobody in particular", () => {
    const on = (more: Partial<ObjectRow>, node = "a", labels = { site: "berlin", arch: "arm64" }) => matchesPlacement(object("s", more), node, labels);
    expect([on({}), on({ nodes: [] }), on({ nodes: ["a", "b"] }), on({ nodes: ["ab"] })]).toEqual([true, true, true, false]);
    expect([on({ selector: { site: "berlin" } }), on({ selector: { site: "berlin", gpu: "yes" } }), on({ nodes: ["b"], selector: { site: "berlin" } })]).toEqual([true, false, false]);
  });
  it("of replicas is by the hashes that nodes go by, the best first", () => {
    expect(placed(object("weather", { replicas: 3 }))).toEqual(["edge-3", "edge-7", "edge-1"]);
    expect(placed(object("notes", { replicas: 3 }))).toEqual(["edge-6", "edge-7", "edge-2"]);
    expect(placed(object("x".repeat(60), { namespace: "tools", replicas: 3 }))).toEqual(["edge-4", "edge-2", "edge-3"]);
    expect(placed(object("b", { namespace: "a", replicas: 2 }))).toEqual(["edge-2", "edge-5"]);
  });
  it("of replicas leaves out who is cordoned, drained, down or does not match, and moves no other", () => {
    const weather = object("weather", { replicas: 2 });
    expect(placed(weather, with_(3, { unschedulable: true }))).toEqual(["edge-7", "edge-1"]);
    expect(placed(weather, with_(3, { drained: true }))).toEqual(["edge-7", "edge-1"]);
    expect(placed(weather, NODES, ["edge-7"])).toEqual(["edge-3", "edge-1"]);
    expect(placed({ ...weather, nodes: ["edge-0"] })).toEqual(["edge-0"]);
    expect(placed({ ...weather, replicas: 8, selector: { site: "paris" } }).sort()).toEqual(["edge-1", "edge-3", "edge-5", "edge-7"]);
  });
});

const summary = (more: Partial<ServerSummary> = {}): ServerSummary => ({ namespace: "default", name: "weather", ready: "True", reason: "Ready", message: "", looping: false, pinsViolated: "", restarts: 0, tools: 1, protocol: "", generation: 1, revision: "r", endpoint: "", ...more });
const on = (node: string, more: Partial<ServerSummary> = {}, offline = false): OnNode => ({ node, offline, summary: summary(more) });
const rowOf = (places: OnNode[], desired: ObjectRow | undefined, { nodes = NODES, known = places.map(({ node }) => node), down = [] as string[] } = {}) =>
  serverRow("default/weather", places, desired, 1, { declared: new DeclaredNodes(nodes), down: new Set(down), known: new Map(known.map((node) => [node, places.some((each) => each.node === node && each.offline)])) });

// The rule of mcpctl: cli/fleet.cc.
describe("a server", () => {
  it("with fewer nodes than replicas is not Ready, however well those are", () => {
    const three = object("weather", { replicas: 3 });
    const row = rowOf([on("edge-0"), on("edge-1")], three, { nodes: NODES.slice(0, 2) });
    expect(row).toMatchObject({ ready: 2, total: 3, health: "degraded", reason: "TooFewNodes", message: "3 replicas are wanted; nodes that match, are schedulable and not down: 2" });
    expect(rowOf([], three, { nodes: [] })).toMatchObject({ ready: 0, total: 3, health: "failing", reason: "TooFewNodes" });
  });
  it("with replicas is counted where it is placed, not where it still runs", () => {
    const row = rowOf([on("edge-3"), on("edge-7", { ready: "False", reason: "CrashLoopBackOff", message: "m" }), on("edge-0", { restarts: 9 })], object("weather", { replicas: 2 }));
    expect(row).toMatchObject({ ready: 1, total: 2, health: "degraded", reason: "CrashLoopBackOff", restarts: 0, nodes: ["edge-0", "edge-3", "edge-7"] });
    expect(rowOf([on("edge-3"), on("edge-0")], object("weather", { replicas: 2 }))).toMatchObject({ ready: 1, total: 2, health: "pending", reason: "NotReported", missing: ["edge-7"] });
  });
  it("without replicas is wanted on each node that came and that it is placed on", () => {
    expect(rowOf([on("edge-0")], object("weather"), { known: ["edge-0", "edge-1"] })).toMatchObject({ ready: 1, total: 2, health: "pending", message: "edge-1 has not reported it yet" });
    expect(rowOf([on("edge-0")], object("weather"), { known: ["edge-0", "edge-1"], nodes: with_(1, { unschedulable: true }) })).toMatchObject({ ready: 1, total: 1, health: "ready" });
    expect(rowOf([on("edge-0")], object("weather", { selector: { site: "berlin" } }), { known: ["edge-0", "edge-1"] })).toMatchObject({ total: 1, health: "ready" });
  });
  it("is Ready where the desired generation is", () => {
    const two = object("weather", { generation: 2 });
    expect(rowOf([on("a", { generation: 2 }), on("b", { generation: 1 })], two)).toMatchObject({ ready: 1, total: 2, health: "pending", reason: "Progressing", message: "b has not seen generation 2 yet", generation: 1 });
    expect(rowOf([on("a"), on("b")], two)).toMatchObject({ ready: 0, health: "pending", reason: "Progressing" });
    expect(rowOf([on("a", { generation: 2 }), on("b", { generation: 2 })], two)).toMatchObject({ ready: 2, health: "ready", generation: 2 });
    // What is wrong with the new one goes before what has not come yet.
    expect(rowOf([on("a", { generation: 2, ready: "False", reason: "PullFailed" }), on("b")], two)).toMatchObject({ health: "failing", reason: "PullFailed" });
  });
  it("that nobody takes says why", () => {
    const nowhere = (more: Partial<ObjectRow>, nodes: ObjectRow[], known: string[]) => rowOf([], object("weather", more), { nodes, known });
    expect(nowhere({ selector: { site: "mars" } }, NODES, ["edge-0"])).toMatchObject({ health: "pending", reason: "NoNode", total: 0, message: "no node matches its placement (site=mars)" });
    expect(nowhere({ nodes: ["none"] }, NODES, ["edge-0"]).message).toBe("no node matches its placement (nodes none)");
    expect(nowhere({ nodes: ["edge-0"] }, with_(0, { unschedulable: true }), ["edge-0"]).message).toBe("every node that matches its placement is cordoned or drained");
    expect(nowhere({ nodes: ["edge-1"] }, NODES, ["edge-0"]).message).toBe("no node that matches its placement has come yet");
    expect(nowhere({}, [], []).message).toBe("there is no node yet");
    expect(rowOf([], object("weather", { suspended: true, selector: { site: "mars" } })).health).toBe("off");
  });
  it("that is placed on a node that is away and never told of it is offline", () => {
    const row = serverRow("default/weather", [], object("weather"), 1, { declared: new DeclaredNodes(), down: new Set(), known: new Map([["a", true]]) });
    expect(row).toMatchObject({ health: "offline", reason: "NodeOffline", ready: 0, total: 1 });
  });
  it("that nobody desires any more is counted as it is reported", () => {
    expect(rowOf([on("a", { generation: 7 })], undefined)).toMatchObject({ ready: 1, total: 1, health: "ready", since: Number.POSITIVE_INFINITY });
  });
});

describe("a roll-out", () => {
  const two = object("weather", { generation: 2 });
  it("is over when every node has the generation, and says how many do", () => {
    expect(stageOf(rowOf([on("a", { generation: 2 }), on("b")], two), 2)).toEqual({ health: "pending", reason: "Progressing", note: "1 of 2 on generation 2, 1 ready: b has not seen generation 2 yet" });
    expect(stageOf(rowOf([on("a", { generation: 2 }), on("b", { generation: 2 })], two), 2)).toEqual({ health: "ready", reason: "Ready", note: "2 of 2 on generation 2, 2 ready" });
  });
  it("is not begun while this page knows only of what was before", () => {
    expect(stageOf(rowOf([on("a"), on("b")], object("weather")), 2)).toEqual({ health: "pending", reason: "Waiting", note: "0 of 2 on generation 2" });
    expect(stageOf(undefined, 1)).toMatchObject({ health: "pending", reason: "Waiting" });
  });
});

describe("two hundred nodes", () => {
  it("are chosen from for a quarter second's 125 servers within a frame of 50 ms, and once for each", () => {
    const nodes = new DeclaredNodes(Array.from({ length: 200 }, (_, at) => declare(`edge-${at}`)));
    const servers = Array.from({ length: 125 }, (_, at) => object(`server-${at}`, { replicas: 3 }));
    const took = (down: Set<string>) => {
      const begun = performance.now();
      for (const server of servers) nodes.place(server, down);
      return performance.now() - begun;
    };
    const best = Math.min(...Array.from({ length: 7 }, () => took(new Set())));
    console.log(`125 placements on 200 nodes: ${best.toFixed(1)} ms`);
    expect(best).toBeLessThan(50);
    const none = new Set<string>();
    expect(nodes.place(servers[0]!, none)).toBe(nodes.place(servers[0]!, none));
    expect(nodes.place(servers[0]!, new Set(nodes.place(servers[0]!, none)))).not.toEqual(nodes.place(servers[0]!, none));
  });
});
