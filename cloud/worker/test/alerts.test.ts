import { createHmac } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import {
  alarm,
  bindings,
  call,
  clockAt,
  delivered,
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
  ring,
} from "./kit.js";
import { updateAlerts } from "../src/fleet/alert_book.js";
import { factsOf } from "../src/fleet/lookout.js";
import { emptyDown } from "../src/fleet/down.js";
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

  it("hold up neither the next look nor the next alarm when a webhook hangs", async () => {
    const clock = clockAt(FUTURE);
    let answer = () => {};
    const hanging = new Promise<void>((resolve) => (answer = resolve));
    const seen = outside({}, async () => (await hanging, ok()));
    await putStatus("edge-1", await deviceToken("edge-1"), statusOf("edge-1", 1, [{ name: "a", conditions: [{ type: "Available", status: "False", reason: "CrashLoopBackOff" }] }]));
    const alarmAt = () => inFleet((_, state) => state.storage.getAlarm());
    for (let look = 0; look < 8; ++look) {
      await inFleet((instance, state) => {
        state.storage.sql.exec("DELETE FROM notes WHERE key='sweep-at'");
        return instance.alarm();
      });
      await vi.waitFor(() => expect(seen.bodies).toHaveLength(3));
      expect(await alarmAt()).toBeLessThanOrEqual(Date.now() + 30_000);
      expect(await alarmAt()).toBeGreaterThan(Date.now()); // and not at once, again and again
      clock.advance(30_000);
    }
    // It was silent meanwhile, and was found so in time.
    expect((await call("GET", "/v1/down")).result.nodes).toEqual(["edge-1"]);
    answer();
    await delivered();
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
    clock.advance(13 * 86_400_000);
    await sweep();
    expect(await raised()).toEqual([]); // it is over
  });

  it("of one node are so many at a time, and told so often, whatever names it makes up", async () => {
    const clock = clockAt(FUTURE);
    const seen = outside({}, ok);
    const token = await deviceToken("edge-1");
    const looping = (name: string) => ({ name, conditions: [{ type: "Available", status: "False", reason: "CrashLoopBackOff" }] });
    for (let round = 0; round < 6; ++round) {
      await putStatus("edge-1", token, statusOf("edge-1", round, Array.from({ length: 70 }, (_, i) => looping(`r${round}-${i}`))));
      await sweep();
      await ring(); // of so many letters two hundred at once
      clock.advance(30_000);
      expect(await raised()).toHaveLength(51);
    }
    expect(await raised()).toContain("ManyAlerts/edge-1");
    const told = seen.bodies.map((body) => JSON.parse(body)).filter((body) => body.state === "raised");
    expect(told.length).toBeGreaterThanOrEqual(199);
    expect(told.length).toBeLessThanOrEqual(206);
    // What was told is told to be over, and nothing else.
    await putStatus("edge-1", token, statusOf("edge-1", 9, []));
    await sweep();
    for (let i = 0; i < 6; ++i) await ring();
    const cleared = seen.bodies.map((body) => JSON.parse(body)).filter((body) => body.state === "cleared");
    expect(new Set(cleared.map((body) => body.subject))).toEqual(new Set(told.map((body) => body.subject)));
  });

  it("that are over make way for new ones, each node's for its own", async () => {
    clockAt(FUTURE);
    await inFleet((_, state) => {
      const { sql } = state.storage;
      const add = (key: string, subject: string, cleared: number | null) =>
        sql.exec("INSERT INTO alerts(key,kind,subject,message,severity,raised,cleared) VALUES(?,'CrashLoop',?,'','critical',1,?)", key, subject, cleared);
      for (let i = 0; i < 10_001; ++i) add(`loud ${i}`, `loud/default/s${i}`, 1000 + i);
      for (let i = 0; i < 3; ++i) add(`quiet ${i}`, `quiet/default/s${i}`, 1);
      add("open", "head", null);
      updateAlerts(sql, [{ key: "new", kind: "NodeOffline", subject: "n", message: "", severity: "critical" }], [], Date.now(), () => true);
      const left = (prefix: string) => Number(sql.exec("SELECT count(*) AS n FROM alerts WHERE key LIKE ?", `${prefix}%`).one().n);
      expect([left("loud"), left("quiet"), left("new"), left("open")]).toEqual([500, 3, 1, 1]);
      expect(sql.exec("SELECT 1 FROM alerts WHERE key='loud 10000'").toArray()).toHaveLength(1);
    });
  });

  it("are listed with the open ones first, however many are over", async () => {
    await inFleet((_, state) => {
      for (let i = 0; i < 1100; ++i)
        state.storage.sql.exec("INSERT INTO alerts(key,kind,subject,message,severity,raised,cleared) VALUES(?,'CrashLoop',?,'','critical',?,?)", `k${i}`, `s${i}`, i, i < 3 ? null : 5000);
    });
    const { result } = await call("GET", "/v1/alerts?all=true", { as: VIEWER });
    expect(result).toHaveLength(1000);
    expect(result.slice(0, 4).map((alert: { key: string }) => alert.key)).toEqual(["k2", "k1", "k0", "k1099"]);
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
    await ring();
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
    endpoint: "",
  };
  const facts = (more: Partial<Facts>): Facts => ({
    nodes: [],
    notReadySince: {},
    tokens: [],
    unsignedWebhooks: false,
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
  it("of tokens is that they end soon, of nodes and of pipelines, not that they have ended", () => {
    const token = (subject: string, expires: number | undefined) => ({ kind: "TokenExpires" as const, subject, what: "it", expires });
    expect(kinds({ tokens: [token("a", 1_000_999), token("b", 1_001_001), token("c", undefined), token("d", 1_000_000)] })).toEqual(["TokenExpires/a"]);
  });
  it("of webhooks is that nothing signs what they get", () => {
    expect(kinds({ unsignedWebhooks: true })).toEqual(["WebhooksUnsigned/webhooks"]);
  });
  it("of the fleet are a frozen list, a foreign head, a clone", () => {
    expect(kinds({ frozen: true, foreignHead: "x", nodes: [node({ cloned: true, servers: [] })] })).toEqual([
      "CloneSuspected/n",
      "ForeignHead/head",
      "DownListFrozen/fleet",
    ]);
  });
});

describe("facts", () => {
  it("know the tokens of pipelines, and whether webhooks are signed", async () => {
    const pipeline = { name: "ci", sha256: "0".repeat(64), role: "operator" as const, expires: "2035-01-05T00:00:00Z" };
    await inFleet((instance, state) => {
      const facts = factsOf(state.storage.sql, emptyDown(), new Map(), [pipeline, { ...pipeline, name: "forever", expires: undefined }], false);
      expect(evaluate(facts, { notReadyMs: 1, tokenWarningMs: 14 * 86_400_000 }, Date.parse(FUTURE))).toMatchObject([
        { key: "ApiTokenExpires/ci", message: "the API token ci ends 2035-01-05T00:00:00.000Z" },
      ]);
      const signs = (key: string | undefined) => {
        const of = instance as unknown as { env: { WEBHOOK_KEY?: string | undefined }; signsNothing(): boolean };
        const { env } = of;
        of.env = { ...env, WEBHOOK_KEY: key };
        const nothing = of.signsNothing();
        of.env = env;
        return !nothing;
      };
      expect([signs("k"), signs(undefined), signs("")]).toEqual([true, false, false]);
    });
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
  it("of many is that of the worst, or of all in one", { timeout: 60_000 }, async () => {
    const at = Date.parse(FUTURE);
    clockAt(FUTURE);
    await inFleet((_, { storage: { sql } }) => {
      sql.exec(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<9999) INSERT INTO transitions(subject,at,up) SELECT printf('server/n%03d/default/s%05d', i/50, i), ?1-86400000, 1 FROM n",
        at,
      );
      // The last by name is the worst.
      sql.exec("INSERT INTO transitions(subject,at,up) VALUES('server/n199/default/s09999',?1,0),('server/n199/default/s09998',?2,0),('server/n000/default/s00000',?3,NULL)", at - 43_200_000, at - 3_600_000, at - 86_399_000);
    });
    const query = "subject=server/&since=2034-12-31T12:00:00Z&bars=2";
    const { result } = await call("GET", `/v1/uptime?${query}`, { as: VIEWER });
    expect(result).toHaveLength(1000);
    expect(result.slice(0, 3)).toMatchObject([
      { subject: "server/n199/default/s09999", uptime: { ratio: 0.5 }, bars: [1, 0] },
      { subject: "server/n199/default/s09998", bars: [1, 11 / 12] },
      { uptime: { ratio: 1 } },
    ]);
    const all = await call("GET", `/v1/uptime?${query}&mean=true`, { as: VIEWER });
    expect(all.result).toHaveLength(1);
    expect(all.result[0].subject).toBe("server/");
    expect(all.result[0].uptime.ratio).toBeCloseTo(1 - 13 / 24 / 9999, 6);
    expect(all.result[0].bars[1]).toBeCloseTo(1 - 13 / 12 / 9999, 6);
  });

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

  it("of a server is not known while its node is not heard of", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const look = async () => {
      clock.advance(31_000);
      await alarm();
    };
    const server = async () => (await call("GET", "/v1/uptime?subject=server/edge-1/", { as: VIEWER })).result[0].uptime;
    await putStatus("edge-1", token, statusOf("edge-1", 1, [{ name: "a" }]));
    for (let i = 0; i < 6; ++i) await look();
    expect(await raised()).toEqual(["NodeOffline/edge-1"]);
    const dead = await server();
    expect(dead).toMatchObject({ ratio: 1 });
    expect(dead.knownSeconds).toBeLessThan(180);
    clock.advance(36_000_000);
    expect(await server()).toEqual(dead);
    for (let sequence = 2; sequence < 10; ++sequence) {
      await putStatus("edge-1", token, statusOf("edge-1", sequence, [{ name: "a" }]));
      await look();
    }
    expect(await raised()).toEqual([]);
    const before = await server();
    expect(before.knownSeconds).toBeGreaterThan(dead.knownSeconds);
    expect(before.knownSeconds).toBeLessThan(dead.knownSeconds + 8 * 31 + 1);
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
