import { createHmac } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import {
  alarm,
  bindings,
  call,
  clockAt,
  deviceToken,
  fleet,
  freshAccount,
  FUTURE,
  headOf,
  inFleet,
  moveHeads,
  outside,
  putBlob,
  putHead,
  putStatus,
  snapshotOf,
  statusOf,
  VIEWER,
  watch,
} from "./kit.js";
import { evaluate, type Facts } from "../src/alerts/evaluate.js";
import { bodyFor, signatureOf, type Notice } from "../src/alerts/message.js";
import { uptimeWithin } from "../src/fleet/uptime.js";
import worker from "../src/index.js";
import { createScheduledController } from "cloudflare:test";

freshAccount();

// A sweep now, with every node alive, and what it posted delivered.
async function sweep(): Promise<void> {
  await inFleet((_, state) => {
    state.storage.sql.exec("UPDATE nodes SET last_seen=?", Date.now());
    state.storage.sql.exec("DELETE FROM notes WHERE key='sweep-at'");
  });
  await alarm();
}
const ok = () => new Response("ok");
const raised = async () =>
  (await call("GET", "/v1/alerts", { as: VIEWER })).result.map((alert: { key: string }) => alert.key);

describe("alerts", () => {
  it("are raised once, told to each webhook in its format, and cleared once", async () => {
    const clock = clockAt(FUTURE);
    const seen = outside({}, ok);
    const token = await deviceToken("edge-1");
    await putStatus("edge-1", token, statusOf("edge-1", 1, [{ name: "a", ready: "False", reason: "ProbeFailed" }]));
    await sweep();
    expect(await raised()).toEqual([]);
    clock.advance(4 * 60_000);
    await sweep();
    expect(seen.bodies).toEqual([]);
    clock.advance(60_000);
    for (let i = 0; i < 3; ++i) {
      await sweep();
      clock.advance(30_000);
    }
    expect(await raised()).toEqual(["ServerNotReady/edge-1/default/a"]);
    expect(seen.requests.map((request) => request.url).sort()).toEqual([
      "https://hooks.example.com/generic",
      "https://hooks.example.com/pagerduty",
      "https://hooks.example.com/slack",
    ]);
    const byHost = Object.fromEntries(
      seen.requests.map((request, i) => [request.url.split("/").pop(), JSON.parse(seen.bodies[i]!)]),
    );
    expect(byHost.generic).toEqual({
      id: expect.any(String),
      state: "raised",
      kind: "ServerNotReady",
      subject: "edge-1/default/a",
      message: "ProbeFailed: m",
      severity: "warning",
      time: "2035-01-01T12:05:00.000Z",
    });
    expect(byHost.slack.text).toContain(":rotating_light:");
    expect(byHost.pagerduty).toMatchObject({
      routing_key: "pd-key",
      event_action: "trigger",
      dedup_key: "mcpfleet/ServerNotReady/edge-1/default/a",
    });
    await putStatus("edge-1", token, statusOf("edge-1", 2, [{ name: "a" }]));
    await sweep();
    await sweep();
    expect(await raised()).toEqual([]);
    expect(seen.bodies).toHaveLength(6);
    expect(JSON.parse(seen.bodies[3]!).state).toBe("cleared");
    expect((await call("GET", "/v1/alerts?all=true", { as: VIEWER })).result).toMatchObject([
      { kind: "ServerNotReady", cleared: expect.any(Number) },
    ]);
  });

  it("are told after a death between deciding and telling, and again until the webhook takes them", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    await putStatus(
      "edge-1",
      token,
      statusOf("edge-1", 1, [
        { name: "a", conditions: [{ type: "ToolsPinned", status: "False", reason: "Changed", message: "read_file" }] },
      ]),
    );
    const down = outside({}, () => new Response("", { status: 503 }));
    await sweep();
    expect(down.bodies).toHaveLength(3);
    const seen = outside({}, ok);
    await alarm();
    expect(seen.bodies).toHaveLength(0); // not before its time
    clock.advance(1000);
    await alarm();
    expect(seen.bodies.map((body) => JSON.parse(body).kind ?? "")).toContain("ToolPinViolated");
    expect(seen.bodies).toHaveLength(3);
    clock.advance(60_000);
    await alarm();
    expect(seen.bodies).toHaveLength(3);
  });

  it("hold up no head when a webhook hangs", async () => {
    clockAt(FUTURE);
    await moveHeads(1);
    const token = await deviceToken("edge-1");
    const node = await watch(token, {});
    await node.next();
    let answer = () => {};
    const hanging = new Promise<void>((resolve) => (answer = resolve));
    const seen = outside({}, async () => {
      await hanging;
      return ok();
    });
    await putStatus(
      "edge-1",
      token,
      statusOf("edge-1", 1, [
        { name: "a", conditions: [{ type: "Available", status: "False", reason: "CrashLoopBackOff" }] },
      ]),
    );
    const sweeping = sweep();
    await vi.waitFor(() => expect(seen.bodies).toHaveLength(3));
    const next = snapshotOf(JSON.parse(node.texts[0]!).snapshot);
    await putBlob(next.key, next.bytes);
    await putHead(headOf(next.hash, 2), { "If-Match": '"0.1.1"' });
    expect(await node.next()).toBe(headOf(next.hash, 2));
    answer();
    await sweeping;
    expect(await raised()).toEqual(["CrashLoop/edge-1/default/a"]);
  });

  it("tell of tokens that end soon", async () => {
    const clock = clockAt(FUTURE);
    outside({}, ok);
    await deviceToken("edge-1");
    await sweep();
    expect(await raised()).toEqual([]);
    clock.advance(352 * 86_400_000);
    await sweep();
    expect(await raised()).toEqual([expect.stringMatching(/^TokenExpires\/edge-1\/[0-9a-f]{12}$/)]);
  });

  it("tell of a head that somebody else wrote into the mirror, which is put right; an older one of ours is no alarm", async () => {
    const clock = clockAt(FUTURE);
    outside({}, ok);
    const cron = () => worker.scheduled(createScheduledController(), bindings);
    await moveHeads(1);
    const old = (await bindings.CONFIG.get("head"))!;
    await cron();
    expect(await raised()).toEqual([]);
    const next = snapshotOf(JSON.parse(old).snapshot);
    await putBlob(next.key, next.bytes);
    await putHead(headOf(next.hash, 2), { "If-Match": '"0.1.1"' });
    clock.advance(1000);
    await alarm();
    await bindings.CONFIG.put("head", old); // KV's cache
    await cron();
    expect(await raised()).toEqual([]);
    await bindings.CONFIG.put("head", headOf("e".repeat(64), 3));
    await cron();
    expect(await raised()).toEqual(["ForeignHead/head"]);
    await inFleet((instance) => instance.alarm());
    expect(await bindings.CONFIG.get("head")).toBe(headOf(next.hash, 2));
    await cron();
    expect(await raised()).toEqual([]);
    clock.advance(11 * 60_000);
    await bindings.CONFIG.put("head", old); // after so long it is somebody's doing
    await cron();
    expect(await raised()).toEqual(["ForeignHead/head"]);
  });
});

describe("what is wrong", () => {
  const server = {
    namespace: "default",
    name: "a",
    ready: "False" as const,
    reason: "X",
    message: "m",
    looping: false,
    pinsViolated: "",
    restarts: 0,
    tools: 0,
    protocol: "",
    generation: 1,
    revision: "",
  };
  const facts = (more: Partial<Facts>): Facts => ({
    nodes: [],
    notReadySince: {},
    tokens: [],
    foreignHead: undefined,
    frozen: false,
    ...more,
  });
  const kinds = (more: Partial<Facts>, now = 1_000_000) =>
    evaluate(facts(more), { notReadyMs: 300_000, tokenWarningMs: 1000 }, now).map((alert) => alert.key);
  const node = (more: object) => ({ node: "n", down: false, cloned: false, servers: [server], ...more });
  it("of a node that is down is one thing, whatever its servers did", () => {
    expect(kinds({ nodes: [node({ down: true })], notReadySince: { "n/default/a": 0 } })).toEqual(["NodeOffline/n"]);
  });
  it("of a server is not Ready for long, or a crash loop at once, not both", () => {
    expect(kinds({ nodes: [node({})], notReadySince: { "n/default/a": 700_001 } })).toEqual([]);
    expect(kinds({ nodes: [node({})], notReadySince: { "n/default/a": 700_000 } })).toEqual([
      "ServerNotReady/n/default/a",
    ]);
    expect(
      kinds({ nodes: [node({ servers: [{ ...server, looping: true }] })], notReadySince: { "n/default/a": 0 } }),
    ).toEqual(["CrashLoop/n/default/a"]);
  });
  it("of the fleet are a frozen list, a foreign head, a clone", () => {
    expect(kinds({ frozen: true, foreignHead: "x", nodes: [node({ cloned: true, servers: [] })] })).toEqual([
      "CloneSuspected/n",
      "ForeignHead/head",
      "DownListFrozen/fleet",
    ]);
  });
});

describe("messages to webhooks", () => {
  const notice: Notice = {
    key: "CrashLoop/n",
    kind: "CrashLoop",
    subject: "n",
    message: "<!channel> & co",
    severity: "critical",
    state: "raised",
    at: 0,
    id: "i",
  };
  it("mention nobody in Slack", () => {
    expect(JSON.parse(bodyFor({ url: "https://x", format: "slack" }, notice)).text).toContain(
      "&lt;!channel&gt; &amp; co",
    );
  });
  it("are signed with their time", () => {
    const mac = createHmac("sha256", "k").update("12.body").digest("hex");
    expect(signatureOf("k", "body", 12)).toBe(`t=12,v1=${mac}`);
  });
});

describe("uptime", () => {
  it("counts neither what is not known nor what is meant to be down", () => {
    const at = [
      { at: 100_000, up: true },
      { at: 160_000, up: false },
      { at: 190_000, up: null },
      { at: 250_000, up: true },
    ];
    expect(uptimeWithin(at, 0, 300_000)).toEqual({ upSeconds: 110, knownSeconds: 140, ratio: 110 / 140 });
    expect(uptimeWithin(at, 170_000, 180_000)).toEqual({ upSeconds: 0, knownSeconds: 10, ratio: 0 });
    expect(uptimeWithin([], 0, 1000)).toEqual({ upSeconds: 0, knownSeconds: 0, ratio: null });
  });

  it("of a server is recorded from its statuses, for as long as it is asked for", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const status = async (sequence: number, more: object) =>
      putStatus("edge-1", token, statusOf("edge-1", sequence, [{ name: "a", ...more }]));
    await status(1, {});
    clock.advance(600_000);
    await status(2, { ready: "False", reason: "ProbeFailed" });
    clock.advance(200_000);
    await status(3, { ready: "False", reason: "Suspended" });
    clock.advance(3_600_000);
    await putStatus("edge-1", token, statusOf("edge-1", 4));
    const { result } = await call("GET", "/v1/uptime?subject=server/edge-1/", { as: VIEWER });
    expect(result).toEqual([
      { subject: "server/edge-1/default/a", uptime: { upSeconds: 600, knownSeconds: 800, ratio: 0.75 } },
    ]);
    const part = await call(
      "GET",
      "/v1/uptime?subject=server/edge-1/default/a&since=2035-01-01T12:05:00Z&until=2035-01-01T12:11:40Z",
      { as: VIEWER },
    );
    expect(part.result[0].uptime).toEqual({ upSeconds: 300, knownSeconds: 400, ratio: 0.75 });
    expect((await call("GET", "/v1/uptime?subject=x&since=2036-01-01T00:00:00Z", { as: VIEWER })).status).toBe(400);
    expect(await fleet().uptime("node/nobody", 0, 1)).toEqual([
      { subject: "node/nobody", uptime: { upSeconds: 0, knownSeconds: 0, ratio: null } },
    ]);
  });
});
