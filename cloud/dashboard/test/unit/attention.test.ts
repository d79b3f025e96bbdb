import { describe, expect, it } from "vitest";
import type { Alert, ObjectRow } from "../../src/api/client";
import { attentionOf, openOf } from "../../src/lib/attention";
import type { Health, NodeRow, ServerRow } from "../../src/live/rows";

const NOW = Date.parse("2026-11-29T12:00:00Z");
const MINUTE = 60_000;
const server = (name: string, health: Health, more: Partial<ServerRow> = {}) => ({ key: `default/${name}`, name, health, reason: "Why", message: "words", pins: "", on: {}, since: NOW, ...more }) as ServerRow;
const node = (name: string, health: Health, more: Partial<NodeRow> = {}) => ({ name, health, message: "words", cloned: false, lastSeen: NOW - MINUTE, desired: undefined, ...more }) as NodeRow;
const alert = (kind: Alert["kind"], more: Partial<Alert> = {}): Alert => ({ key: kind, kind, subject: "head", message: "somebody else", severity: "critical", raised: NOW, cleared: null, acknowledged: null, acknowledged_by: null, ...more });
const names = (servers: ServerRow[], nodes: NodeRow[], open: Alert[] = [], now = NOW) => attentionOf(servers, nodes, open, now).map(({ key }) => key.replace("default/", ""));

describe("what needs attention", () => {
  it("is one list of nodes and servers, the worst first; of equals nodes come first", () => {
    const servers = [server("ready", "ready"), server("degraded", "degraded"), server("failing", "failing"), server("off", "off"), server("offline", "offline"), server("pinned", "ready", { pins: "changed: find" })];
    const nodes = [node("away", "offline"), node("full", "degraded"), node("well", "ready"), node("copied", "ready", { cloned: true })];
    expect(names(servers, nodes)).toEqual(["copied", "failing", "full", "degraded", "pinned", "away", "offline"]);
    expect(attentionOf(servers, nodes, [], NOW).map(({ note }) => note)).toEqual(["two machines seem to use its credentials", "Why: words", "words", "Why: words", "changed: find", "seen 1m ago", "Why: words"]);
  });
  it("shows many servers that fail before many nodes that are only away", () => {
    const away = Array.from({ length: 20 }, (_, at) => node(`away-${at}`, "offline"));
    expect(names([server("failing", "failing")], away)[0]).toBe("failing");
  });
  it("says of a node that is away what that makes of its servers, once and first", () => {
    const alike = Array.from({ length: 20 }, (_, at) => server(`other-${at}`, at < 10 ? "degraded" : "offline", { reason: "NodeOffline", on: { away: "offline", here: "ready" } }));
    const [first, ...more] = attentionOf([...alike, server("loops", "failing"), server("pinned", "degraded", { reason: "NodeOffline", pins: "changed: find", on: { away: "offline" } })], [node("idle", "offline"), node("away", "offline")], [], NOW);
    expect(first).toMatchObject({ kind: "node", key: "away", note: "seen 1m ago; 20 servers less there" });
    expect(more.map(({ key }) => key)).toEqual(["default/loops", "default/pinned", "idle"]);
  });
  it("shows what fails before many nodes that are away, whatever is missed there", () => {
    const away = Array.from({ length: 20 }, (_, at) => node(`away-${at}`, "offline"));
    const missed = away.map(({ name }) => server(`of-${name}`, "offline", { reason: "NodeOffline", on: { [name]: "offline" } }));
    expect(names([...missed, server("failing", "failing")], away).indexOf("failing")).toBe(3);
  });
  it("has a server that nobody takes when that has lasted two minutes", () => {
    const waits = server("waits", "pending", { reason: "NoNode", message: "no node matches its placement", since: NOW });
    expect(names([waits], [], [], NOW + 2 * MINUTE)).toEqual([]);
    expect(attentionOf([waits], [], [], NOW + 2 * MINUTE + 1)).toMatchObject([{ key: "default/waits", note: "No node: no node matches its placement" }]);
    expect(names([server("unknown", "pending", { since: Number.POSITIVE_INFINITY })], [], [], NOW + 99 * MINUTE)).toEqual([]);
  });
  it("has a declared node that has not come in ten minutes", () => {
    const declared = node("new", "pending", { lastSeen: 0, desired: { created: new Date(NOW).toISOString() } as ObjectRow });
    expect(names([], [declared], [], NOW + 9 * MINUTE)).toEqual([]);
    expect(attentionOf([], [declared], [], NOW + 11 * MINUTE)).toMatchObject([{ key: "new", note: "declared 11m ago and has never come: run the join command there, or forget it" }]);
    expect(names([], [node("enrolled", "pending", { lastSeen: 0 })], [], NOW + 99 * MINUTE)).toEqual([]);
  });
  it("has critical alerts that no row tells of, first, until they are acknowledged", () => {
    const open = [alert("ForeignHead"), alert("NodeOffline", { subject: "n" }), alert("TokenExpires", { severity: "warning" }), alert("ForeignHead", { key: "seen", acknowledged: NOW })];
    expect(names([server("failing", "failing")], [], open)).toEqual(["alert ForeignHead", "failing"]);
  });
});

describe("open alerts", () => {
  it("are not none while they are not known", () => {
    expect(openOf({ data: undefined, isError: false })).toEqual({ open: [], fresh: undefined, note: "being read", tone: "" });
    expect(openOf({ data: undefined, isError: true })).toEqual({ open: [], fresh: undefined, note: "could not be read", tone: "" });
    expect(openOf({ data: [], isError: true })).toMatchObject({ fresh: undefined, note: "could not be read", tone: "" });
  });
  it("count those that nobody has acknowledged", () => {
    const over = alert("CrashLoop", { cleared: NOW });
    const seen = alert("ManyAlerts", { acknowledged: NOW });
    expect(openOf({ data: [over], isError: false })).toMatchObject({ fresh: 0, note: "nothing is wrong", tone: "good" });
    expect(openOf({ data: [over, seen], isError: false })).toMatchObject({ fresh: 0, note: "1 more acknowledged", tone: "good" });
    expect(openOf({ data: [over, alert("NodeOffline")], isError: false })).toMatchObject({ fresh: 1, note: "to be looked at", tone: "bad" });
  });
});
