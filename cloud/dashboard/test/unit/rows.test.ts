import { describe, expect, it } from "vitest";
import type { FeedNode, ObjectRow, ServerSummary } from "../../src/api/client";
import { isMeant, verdictOf } from "../../src/lib/conditions";
import { endpointOf } from "../../src/lib/endpoint";
import { filterNodes, sortNodes } from "../../src/lib/filter";
import { stepOf } from "../../src/lib/grid";
import { isBehind } from "../../src/lib/rollout";
import { changed } from "../../src/lib/search";
import { nodeRow, readyText, readyWords, seenText, splitOf, spreadOf } from "../../src/live/rows";

const condition = (type: string, status: "True" | "False" | "Unknown", reason = type, message = "") => ({ type, status, reason, message });
// As a healthy node reports them (edge-runtime/mcplet/node_conditions.cc).
const WELL = [condition("StoreReachable", "True", "StoreAnswers"), condition("DiskPressure", "False", "EnoughSpace"), condition("MemoryPressure", "False", "EnoughMemory"), condition("Ready", "True", "NodeReady")];
const feed = (conditions: FeedNode["conditions"], more: Partial<FeedNode> = {}): FeedNode => ({ node: "n", connected: true, lastSeen: 1, cloned: false, version: "1", head: "0.1.1", runtimes: [], capacity: { cpus: 0, memoryBytes: 0, diskBytes: 0 }, conditions, ...more });
const row = (conditions: FeedNode["conditions"], more: Partial<FeedNode> = {}, down = false) => nodeRow(more.node ?? "n", feed(conditions, more), [], down, undefined);
const but = (type: string, status: "True" | "False" | "Unknown", reason: string, message = "") => WELL.map((each) => (each.type === type ? condition(type, status, reason, message) : each));

describe("a condition", () => {
  it("is judged by its type: the True of pressure is bad", () => {
    expect(WELL.map(verdictOf)).toEqual(["good", "good", "good", "good"]);
    expect(verdictOf(condition("DiskPressure", "True"))).toBe("bad");
    expect(verdictOf(condition("MemoryPressure", "True"))).toBe("bad");
    expect(verdictOf(condition("StoreReachable", "False"))).toBe("bad");
    for (const type of ["DiskPressure", "Verified"]) expect(verdictOf(condition(type, "Unknown"))).toBe("open");
  });
  it("that is meant so is neither good nor bad", () => {
    expect(verdictOf(condition("Available", "False", "Suspended"))).toBe("open");
    expect(verdictOf(condition("DesiredStateFresh", "False", "NoHead"))).toBe("open");
    expect([isMeant("Completed"), isMeant("CrashLoopBackOff"), isMeant(undefined)]).toEqual([true, false, false]);
  });
});

describe("a node", () => {
  it("that is well is ready, although its pressure is False", () => {
    expect(row(WELL)).toMatchObject({ health: "ready" });
  });
  it("that is Ready with a full disk or another trouble is degraded, and says all of them", () => {
    expect(row(but("DiskPressure", "True", "LittleSpace", "12 MiB are free"))).toMatchObject({ health: "degraded", reason: "LittleSpace", message: "Little space: 12 MiB are free" });
    const two = [...but("DiskPressure", "True", "LittleSpace", "12 MiB are free"), condition("LogsShipped", "False", "Waiting")];
    expect(row(two)).toMatchObject({ health: "degraded", message: "Little space: 12 MiB are free; Waiting" });
    expect(row(two).search).toContain("diskpressure");
  });
  it("that is not Ready, away or never came is that first", () => {
    expect(row(but("Ready", "False", "NoRuntime", "none"))).toMatchObject({ health: "failing", reason: "NoRuntime", message: "none" });
    expect(row(but("DiskPressure", "True", "LittleSpace"), { connected: false })).toMatchObject({ health: "offline" });
    expect(row(WELL, {}, true)).toMatchObject({ health: "offline", reason: "Offline" });
    expect(row([], { lastSeen: 0 })).toMatchObject({ health: "pending" });
  });
  it("is found by how it is, why, what it has and what it may", () => {
    const words = (search: string, ...wanted: string[]) => wanted.filter((word) => !search.includes(word));
    expect(words(row(WELL, { connected: false, runtimes: ["Docker", "Process"] }).search, "offline", "disconnected", "docker", "process")).toEqual([]);
    expect(words(row(but("DiskPressure", "True", "LittleSpace"), { cloned: true }).search, "degraded", "diskpressure", "littlespace", "copied")).toEqual([]);
    expect(row(WELL).search).not.toMatch(/offline|cordoned|copied/);
    const declared = { unschedulable: true, drained: true, labels: { site: "oslo" } } as unknown as ObjectRow;
    expect(words(nodeRow("n", feed(WELL), [], false, declared).search, "cordoned", "drained", "site=oslo", "ready")).toEqual([]);
    const nodes = [row(WELL, { node: "a" }), row(WELL, { node: "b", connected: false })];
    expect(filterNodes(nodes, { text: "", health: "offline" }).map(({ name }) => name)).toEqual(["b"]);
    expect(filterNodes(nodes, { text: "-offline", health: "" }).map(({ name }) => name)).toEqual(["a"]);
  });
  it("that is away has servers as it said last, and was seen then", () => {
    const three = Array.from({ length: 3 }, (_, at) => ({ ready: at === 0 ? "False" : "True" })) as ServerSummary[];
    const here = nodeRow("n", feed(WELL), three, false, undefined);
    const away = nodeRow("n", feed(WELL, { connected: false, lastSeen: 1000 }), three, false, undefined);
    expect([readyText(here), readyWords(here), seenText(here)]).toEqual(["2/3", "2 of 3", "now"]);
    expect([readyText(away), readyWords(away), seenText(away, 1000 + 125_000), seenText(away, 1000)]).toEqual(["was 2/3", "2 of 3, as last reported", "2m ago", "just now"]);
    expect([seenText(row([], { lastSeen: 0, connected: false })), readyText(nodeRow("n", undefined, [], false, undefined))]).toEqual(["never", "0/0"]);
  });
  it("is counted by how it is and by what it runs, and sorted the worst first", () => {
    const nodes = [row(WELL, { node: "a" }), row(but("DiskPressure", "True", "LittleSpace"), { node: "b", head: "0.1.2" }), row(WELL, { node: "c", connected: false }), row(WELL, { node: "d", head: "0.1.2" })];
    expect(splitOf(nodes)).toEqual([["ready", 2], ["offline", 1], ["degraded", 1]]);
    expect(spreadOf(nodes)).toEqual([["0.1.2", 2], ["0.1.1", 1]]);
    expect(sortNodes(nodes, "health", false).map(({ name }) => name)).toEqual(["b", "c", "a", "d"]);
    expect(sortNodes(nodes, "seen", true).map(({ name }) => name)).toEqual(["a", "b", "d", "c"]);
    const heads = ["0.1.10", "0.1.9", "0.2.1"].map((head) => row(WELL, { node: head, head }));
    expect(sortNodes(heads, "head", false).map(({ name }) => name)).toEqual(["0.1.9", "0.1.10", "0.2.1"]);
  });
  it("is behind with an older version only: it may be ahead of the page, or have told of none", () => {
    expect(["0.1.9", "0.1.10", "0.1.11", "0.2.1", ""].map((head) => isBehind(head, "0.1.10"))).toEqual([true, false, false, false, false]);
    expect(isBehind("0.1.9", undefined)).toBe(false);
  });
});

describe("the map", () => {
  const widths = [3, 0, 1];
  const step = (key: string, at: number, column: number) => stepOf(key, at, column, widths.length, (each) => widths[each] ?? 0);
  it("is walked by arrows, over nodes without servers, and not beyond its ends", () => {
    expect(step("ArrowRight", 0, 1)).toEqual([0, 2]);
    expect(step("ArrowRight", 0, 2)).toBeUndefined();
    expect(step("ArrowDown", 0, 2)).toEqual([2, 0]);
    expect(step("ArrowUp", 2, 0)).toEqual([0, 0]);
    expect(step("ArrowUp", 0, 0)).toBeUndefined();
    expect([step("End", 0, 0), step("Home", 0, 2), step("x", 0, 0)]).toEqual([[0, 2], [0, 0], undefined]);
  });
});

describe("an address", () => {
  it("leaves out what is empty", () => {
    expect(changed({ q: "a", desc: true }, { q: "", desc: false })).toEqual({});
    expect(changed<{ q?: string; sort?: string }>({ q: "a" }, { sort: "name" })).toEqual({ q: "a", sort: "name" });
  });
  it("of a server is its host name's, or what its node says where others get there, else of the origin that routes to it", () => {
    const at = (endpoint: string, hostname = "", onNode = false) => endpointOf({ namespace: "d", name: "s", endpoint, desired: { hostname } }, "https://w", onNode);
    expect(at("")).toEqual({ url: "https://w/d/s/mcp", text: "/d/s/mcp" });
    expect(at("http://127.0.0.1:8700/d/s/mcp")).toEqual({ url: "https://w/d/s/mcp", text: "/d/s/mcp" });
    expect(at("http://[::1]:8700/d/s/mcp").url).toBe("https://w/d/s/mcp");
    expect(at("http://127.0.0.1:8700/d/s/mcp", "", true).url).toBe("http://127.0.0.1:8700/d/s/mcp");
    expect(at("", "", true)).toEqual({ url: "", text: "" });
    expect(at("https://mcp.example.com/mcp").text).toBe("https://mcp.example.com/mcp");
    expect(at("http://127.0.0.1.example.com/mcp").url).toBe("http://127.0.0.1.example.com/mcp");
    expect(at("https://n1.example.com/d/s/mcp", "mcp.example.com").url).toBe("https://mcp.example.com/d/s/mcp");
  });
});
