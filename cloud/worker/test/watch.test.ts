import { describe, expect, it } from "vitest";
import {
  alarm,
  ask,
  bindings,
  call,
  clockAt,
  delivered,
  deviceToken,
  evict,
  fleet,
  freshAccount,
  FUTURE,
  inFleet,
  KV,
  listen,
  moveHeads,
  OPERATOR,
  putStatus,
  statusOf,
  valuePath,
  VIEWER,
  watch,
  textOf,
  ring,
} from "./kit.js";
import { countOperations } from "./operations.js";
import { SOCKETS_OF_A_PERSON } from "../src/limits.js";
import { decideDown, type DownState, emptyDown, type Seen } from "../src/fleet/down.js";
import { hintsFor } from "../src/fleet/hints.js";
import { rhythmOf } from "../src/fleet/rhythm.js";
import { sha256Hex } from "../src/schema/hash.js";
import { judgeNonce } from "../src/fleet/clone.js";

freshAccount();

// A sweep of the fleet now, whatever the alarm was set to.
async function sweep(): Promise<void> {
  await inFleet((_, state) => void state.storage.sql.exec("DELETE FROM notes WHERE key='sweep-at'"));
  await ring();
}

describe("the push", () => {
  it("sends the head's own bytes at once and after each move, to a client that asks for nothing else", async () => {
    await moveHeads(1);
    const plain = await watch(await deviceToken("edge-1"), {});
    const body = await textOf(ask("GET", valuePath("CONFIG", "head")));
    expect(await plain.next()).toBe(body);
    const people = await watch(VIEWER);
    expect((await people.message("hello")).name).toBe("test viewer");
    expect(await people.next()).toBe(body);
  });

  it("reaches every node, also after the object was away, and each once", async () => {
    const [first] = await moveHeads(1);
    const watchers = await Promise.all(
      ["edge-1", "edge-2", "edge-3"].map(async (node) => watch(await deviceToken(node), {})),
    );
    for (const watcher of watchers) expect(await watcher.next()).toContain('"revision":1');
    await evict();
    const { snapshotOf, putBlob, putHead, headOf } = await import("./kit.js");
    const next = snapshotOf(first!);
    await putBlob(next.key, next.bytes);
    await putHead(headOf(next.hash, 2), { "If-Match": '"0.1.1"' });
    for (const watcher of watchers) expect(await watcher.next()).toContain('"revision":2');
    await alarm();
    for (const watcher of watchers) expect(watcher.texts).toHaveLength(2);
  });

  it("tells nodes the values that a new head names, as far as they are small and of the last seconds", async () => {
    const clock = clockAt(FUTURE);
    const [first] = await moveHeads(1);
    const node = await watch(await deviceToken("edge-1"));
    const person = await watch(VIEWER);
    await person.message("hello");
    await person.next();
    await node.message("hello");
    expect(await node.next()).toContain('"revision":1');
    clock.advance(20_000);
    const { snapshotOf, putBlob, putHead, headOf } = await import("./kit.js");
    const large = JSON.stringify({ pad: "x".repeat(40_000) });
    await putBlob(`objects/${sha256Hex(large)}`, large);
    const next = snapshotOf(first!);
    await putBlob(next.key, next.bytes);
    await putHead(headOf(next.hash, 2), { "If-Match": '"0.1.1"' });
    expect((await node.message("values")).values).toEqual([next.bytes]);
    expect(await node.next()).toContain('"revision":2');
    expect(await person.next()).toContain('"revision":2'); // who reads no values gets none
  });

  it("tells a node how often to come, what is down and who looks", async () => {
    clockAt(FUTURE);
    const watcher = await watch(await deviceToken("edge-1"));
    const hello = await watcher.message("hello");
    expect(hello).toEqual({
      type: "hello",
      name: "node edge-1",
      down: { sequence: 0, nodes: [], frozen: false },
      hints: {
        pingSeconds: 30,
        pollConnectedSeconds: 900,
        pollUnconnectedSeconds: [30, 60],
        reconnectSpreadSeconds: 1,
      },
      nonce: expect.stringMatching(/^[\w-]{22}$/),
      follow: [],
      measure: [],
    });
  });

  it("answers pings without waking, and takes their times for signs of life", async () => {
    const watcher = await watch(await deviceToken("edge-1"));
    watcher.socket.send("ping");
    expect(await watcher.next((text) => text === "pong")).toBe("pong");
    await inFleet(async (_, state) => {
      const [socket] = state.getWebSockets("node:edge-1");
      expect(state.getWebSocketAutoResponseTimestamp(socket!)).toBeInstanceOf(Date);
    });
  });

  it("refuses what is no WebSocket, and pages of another origin", async () => {
    const token = await deviceToken("edge-1");
    expect((await ask("GET", "/v1/watch", { as: token })).status).toBe(426);
    expect(
      (await ask("GET", "/v1/watch", { as: VIEWER, headers: { Upgrade: "websocket", Origin: "https://evil.example" } }))
        .status,
    ).toBe(403);
  });

  it("answers messages that are none with an error and goes on", async () => {
    const watcher = await watch(await deviceToken("edge-1"));
    for (const text of ["{", "[]", '{"type":"other"}', '{"type":"status"}', '{"type":"nonce","nonce":1}'])
      watcher.socket.send(text);
    for (let i = 0; i < 5; ++i) expect((await watcher.message("error")).message).not.toBe("");
    watcher.socket.send("ping");
    expect(await watcher.next((text) => text === "pong")).toBe("pong");
  });

  it("has places for so many sockets of one person, and others have theirs", { timeout: 60_000 }, async () => {
    clockAt(FUTURE);
    for (let i = 0; i < SOCKETS_OF_A_PERSON; ++i) await watch(VIEWER);
    expect((await ask("GET", "/v1/watch", { as: VIEWER, headers: { Upgrade: "websocket", "Sec-WebSocket-Protocol": "mcpfleet.v1" } })).status).toBe(503);
    await watch(OPERATOR);
    await watch(await deviceToken("edge-1"));
  });

  it("ends for messages that are too big or no text, and for the oldest of too many sockets of one node", async () => {
    const token = await deviceToken("edge-1");
    const big = await watch(token);
    big.socket.send("x".repeat(1024 * 1024 + 4097));
    expect(await big.closed).toBe(1009);
    const binary = await watch(token);
    binary.socket.send(new Uint8Array([1]));
    expect(await binary.closed).toBe(1003);
    const many: Awaited<ReturnType<typeof watch>>[] = [];
    for (let i = 0; i < 5; ++i) many.push(await watch(token));
    expect(await many[0]!.closed).toBe(1008);
    many[1]!.socket.send("ping");
    expect(await many[1]!.next((text) => text === "pong")).toBe("pong");
  });

  it("ends with the token: revoked, replaced or expired", async () => {
    const clock = clockAt(FUTURE);
    const revoked = await watch(await deviceToken("edge-1"));
    expect((await call("POST", "/v1/nodes/edge-1/revoke")).result).toEqual({ tokens: 1, secrets: [] });
    expect(await revoked.closed).toBe(1008);
    const old = await deviceToken("edge-2");
    const replaced = await watch(old);
    const renewed = (await call("POST", "/v1/device/token", { as: old })).result.token as string;
    expect((await ask("GET", "/v1/whoami", { as: old })).status).toBe(200); // until the new one is used
    await watch(renewed);
    expect(await replaced.closed).toBe(1008);
    expect(
      (await call("PUT", valuePath("SERVER_STATE", "nodes/edge-2"), { as: old, body: statusOf("edge-2", 1) })).status,
    ).toBe(401);
    // A node's ends when its token expires, though it says nothing.
    const silent = await watch(await deviceToken("edge-4"));
    const plain = await watch(await deviceToken("edge-4"), {});
    clock.advance(365 * 86_400_000 - 1000);
    await sweep();
    expect([silent.socket.readyState, plain.socket.readyState]).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
    clock.advance(1000);
    await sweep();
    expect([await silent.closed, await plain.closed]).toEqual([1008, 1008]);
    // A person's socket ends when the identity does.
    const attachment = {
      name: "ops@example.com",
      plain: false,
      connectedAt: Date.now(),
      expires: Date.now() + 60_000,
      statuses: true,
    };
    const person = await fleet().fetch(
      new Request("https://fleet/watch", {
        headers: { Upgrade: "websocket", "Mcpfleet-Attachment": JSON.stringify(attachment) },
      }),
    );
    const people = listen(person.webSocket!);
    clock.advance(61_000);
    await sweep();
    expect(await people.closed).toBe(1008);
  });
});

describe("a connect that races a revocation", () => {
  it("hears nothing: its token is looked at again where the socket is held", async () => {
    await moveHeads(1);
    const token = await deviceToken("edge-1");
    await call("POST", "/v1/nodes/edge-1/revoke");
    const attachment = { node: "edge-1", tokenHash: sha256Hex(token), name: "node edge-1", plain: false, connectedAt: Date.now() };
    const headers = { Upgrade: "websocket", "Mcpfleet-Attachment": JSON.stringify(attachment) };
    const hub = bindings.HUB.get(bindings.HUB.idFromName("hub-0"));
    for (const place of [fleet(), hub]) {
      const socket = listen((await place.fetch(new Request("https://fleet/watch", { headers }))).webSocket!);
      expect([await socket.closed, socket.texts]).toEqual([1008, []]);
    }
    expect((await call("GET", "/v1/nodes/edge-1")).result.connected).toBe(false);
  });
});

describe("statuses", () => {
  it("reach who watches at once, and KV at most once a minute and only when something changed", async () => {
    const clock = clockAt(FUTURE);
    const device = await deviceToken("edge-1");
    const watcher = await watch(device);
    const people = await watch(VIEWER);
    const operations = countOperations();
    const send = async (status: object) => {
      watcher.socket.send(JSON.stringify({ type: "status", status }));
      return (await watcher.message("status-stored")).sequence as number;
    };
    expect(await send(statusOf("edge-1", 1, [{ name: "a" }]))).toBe(1);
    expect((await people.message("status")).status.sequence).toBe(1);
    // Heartbeats and sequence numbers are no news.
    for (let sequence = 2; sequence <= 20; ++sequence)
      expect(await send(statusOf("edge-1", sequence, [{ name: "a" }]))).toBe(sequence);
    clock.advance(1000);
    for (let sequence = 21; sequence <= 40; ++sequence)
      await send(statusOf("edge-1", sequence, [{ name: sequence % 2 ? "b" : "a" }]));
    expect(people.texts.filter((text) => text.includes('"type":"status"'))).toHaveLength(21);
    await delivered();
    expect(operations.writesOf("nodes/edge-1")).toBe(1);
    expect(JSON.parse((await bindings.SERVER_STATE.get("nodes/edge-1"))!).sequence).toBe(1);
    await send(statusOf("edge-1", 41, [{ name: "b" }]));
    clock.advance(59_000);
    await alarm();
    expect(operations.writesOf("nodes/edge-1")).toBe(2);
    expect(JSON.parse((await bindings.SERVER_STATE.get("nodes/edge-1"))!).sequence).toBe(41);
    // Steady state: nothing is written for hours.
    for (let minute = 0; minute < 120; minute += 15) {
      clock.advance(15 * 60_000);
      await send(statusOf("edge-1", 50 + minute, [{ name: "b" }]));
      await alarm();
    }
    expect(operations.counts.writes).toBe(2);
  });

  it("are read and listed by people as soon as they are written, with the row of the node table", async () => {
    for (const node of ["edge-1", "edge-2", "other"]) {
      expect(
        (
          await putStatus(
            node,
            await deviceToken(node),
            statusOf(node, 1, [{ name: "a" }, { name: "b", ready: "False", reason: "X" }]),
          )
        ).status,
      ).toBe(200);
    }
    const { result } = await call("GET", `${KV}/SERVER_STATE/keys?prefix=nodes%2Fedge`, { as: VIEWER });
    expect(result.map((key: { name: string }) => key.name)).toEqual(["nodes/edge-1", "nodes/edge-2"]);
    expect(result[0].metadata).toMatchObject({
      bootId: "boot1",
      sequence: 1,
      servers: 2,
      ready: 1,
      state: "True",
      version: "0.1.0",
      head: "0.1.1",
    });
    const one = await (await ask("GET", valuePath("SERVER_STATE", "nodes/edge-1"), { as: VIEWER })).json();
    expect(one).toEqual(statusOf("edge-1", 1, [{ name: "a" }, { name: "b", ready: "False", reason: "X" }]));
    const servers = await call("GET", "/v1/servers", { as: VIEWER });
    expect(
      servers.result.map(
        (server: { node: string; name: string; ready: string }) => `${server.node}/${server.name}/${server.ready}`,
      ),
    ).toEqual(["edge-1/a/True", "edge-1/b/False", "edge-2/a/True", "edge-2/b/False", "other/a/True", "other/b/False"]);
    const page = await call("GET", "/v1/servers?limit=2", { as: VIEWER });
    expect([page.result.length, page.info.cursor]).toEqual([4, "edge-2"]);
    expect((await call("GET", "/v1/servers?limit=2&cursor=edge-2", { as: VIEWER })).result).toHaveLength(2);
  });

  it("have one writer, and an older one changes nothing", async () => {
    const device = await deviceToken("edge-1");
    expect((await putStatus("edge-1", device, statusOf("edge-1", 5))).status).toBe(200);
    expect((await putStatus("edge-1", device, statusOf("edge-1", 4, [{ name: "late" }]))).status).toBe(200);
    expect((await call("GET", valuePath("SERVER_STATE", "nodes/edge-1"))).status).toBe(200);
    expect(JSON.parse(await textOf(ask("GET", valuePath("SERVER_STATE", "nodes/edge-1")))).sequence).toBe(5);
    expect((await putStatus("edge-1", device, statusOf("edge-1", 1, [], { bootId: "boot2" }))).status).toBe(200);
    expect(JSON.parse(await textOf(ask("GET", valuePath("SERVER_STATE", "nodes/edge-1")))).bootId).toBe("boot2");
    expect((await putStatus("edge-2", device, statusOf("edge-2", 1))).status).toBe(403);
    expect((await putStatus("edge-1", device, statusOf("edge-2", 9))).status).toBe(400);
    expect((await putStatus("edge-1", OPERATOR, statusOf("edge-1", 9))).status).toBe(403);
    expect(
      (await call("PUT", valuePath("SERVER_STATE", "nodes/edge-1"), { as: device, body: "s".repeat(1024 * 1024 + 1) }))
        .status,
    ).toBe(413);
  });
});

describe("a node that floods", () => {
  const flip = (sequence: number, servers: number) =>
    statusOf("edge-1", sequence, Array.from({ length: servers }, (_, i) => ({ name: `s${i}`, ready: sequence % 2 ? ("True" as const) : ("False" as const) })));

  it("is told to be slow, on the socket and beside it, and the others are heard", async () => {
    const clock = clockAt(FUTURE);
    const device = await deviceToken("edge-1");
    const watcher = await watch(device);
    for (let sequence = 1; sequence <= 61; ++sequence) watcher.socket.send(JSON.stringify({ type: "status", status: statusOf("edge-1", sequence) }));
    expect(await watcher.message("slow")).toEqual({ type: "slow", retryAfterSeconds: 1 });
    const refused = await ask("PUT", valuePath("SERVER_STATE", "nodes/edge-1"), { as: device, body: statusOf("edge-1", 62) });
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "1"]);
    await refused.text();
    watcher.socket.send(JSON.stringify({ type: "nonce", nonce: "x" }));
    await watcher.message("slow");
    expect((await putStatus("edge-2", await deviceToken("edge-2"), statusOf("edge-2", 1))).status).toBe(200);
    clock.advance(1000);
    for (const [sequence, status] of [[63, 200], [64, 200], [65, 429]] as const) expect((await putStatus("edge-1", device, statusOf("edge-1", sequence))).status).toBe(status);
    expect(JSON.parse(await textOf(ask("GET", valuePath("SERVER_STATE", "nodes/edge-1")))).sequence).toBe(64);
    // Large ones count for more.
    clock.advance(60_000);
    const large = (sequence: number) => putStatus("edge-1", device, statusOf("edge-1", sequence, [], { pad: "x".repeat(1024 * 1024 - 1000) }));
    const answers: number[] = [];
    for (let i = 0; i < 10; ++i) answers.push((await large(100 + i)).status);
    expect(answers).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 429, 429]);
  });

  it("loses its own oldest history, and knows what is now", async () => {
    const clock = clockAt(FUTURE);
    const device = await deviceToken("edge-1");
    const count = (prefix: string) => inFleet((_, state) => Number(state.storage.sql.exec("SELECT count(*) AS n FROM transitions WHERE subject LIKE ?", `${prefix}%`).one().n));
    await inFleet((_, { storage: { sql } }) => {
      sql.exec("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<49998) INSERT INTO transitions(subject,at,up) SELECT 'server/edge-1/default/old', i, i%2 FROM n");
      sql.exec("INSERT INTO transitions(subject,at,up) VALUES('server/edge-1/default/steady',1,1),('server/edge-1/default/gone',1,1),('server/edge-1/default/gone',2,NULL),('server/edge-10/default/a',1,1)");
    });
    for (const sequence of [1, 2, 3]) {
      clock.advance(1000);
      expect((await putStatus("edge-1", device, flip(sequence, 500))).status).toBe(200);
    }
    expect(await count("server/edge-1/")).toBeLessThanOrEqual(45_501);
    expect([await count("server/edge-1/default/s"), await count("server/edge-1/default/steady"), await count("server/edge-1/default/gone"), await count("server/edge-10/")]).toEqual([1501, 1, 0, 1]);
  });

  it("can't keep a row of the node table that KV refuses", async () => {
    const watcher = await watch(await deviceToken("edge-1"));
    watcher.socket.send(JSON.stringify({ type: "status", status: statusOf("edge-1", 1), metadata: { pad: "x".repeat(2000) } }));
    await watcher.message("status-stored");
    await delivered();
    expect((await bindings.SERVER_STATE.getWithMetadata("nodes/edge-1")).metadata).toMatchObject({ sequence: 1, version: "0.1.0" });
  });
});

describe("a status that is made to hurt", () => {
  it("is refused, and the next one is taken", async () => {
    const device = await deviceToken("edge-1");
    const put = (body: string) => call("PUT", valuePath("SERVER_STATE", "nodes/edge-1"), { as: device, body });
    const deep = (open: string, close: string) => open.repeat(100_000) + close.repeat(100_000);
    for (const body of [
      `{"node":"edge-1","sequence":1,"x":${deep("[", "]")}}`,
      `{"node":"edge-1","sequence":1,"x":${deep('{"a":', "}").replace("}", "1}")}}`,
      `{"node":"edge-1","sequence":-1}`,
      `{"node":"edge-1","sequence":1,"servers":[{"name":""}]}`,
      `{"node":"edge-1","sequence":1,"servers":{}}`,
      "[]",
      "null",
      "",
    ]) {
      expect([body.slice(0, 40), (await put(body)).status]).toEqual([body.slice(0, 40), 400]);
    }
    expect((await put(JSON.stringify({ node: "edge-1", sequence: 1, __proto__: null, constructor: 1 }))).status).toBe(200);
  });
});

describe("the down list", () => {
  const seen = (last: Record<string, number>) => Object.entries(last).map(([node, at]) => ({ node, last: at }));
  const S = 1000;
  const usual = rhythmOf({ downAfterSeconds: 90, upAfterSeconds: 120 });
  const decide = (before: DownState, nodes: readonly Seen[], now: number) => decideDown(before, nodes, now, usual);
  it("has a node after 90 s of silence and loses it after 120 s of steady life", () => {
    const last = { a: 1000 * S, b: 1000 * S, c: 1000 * S, d: 1000 * S };
    let state = decide({ ...emptyDown(), sweptAt: 1000 * S }, seen(last), 1089 * S);
    expect(state.list).toEqual({ sequence: 0, nodes: [], frozen: false });
    state = decide(state, seen({ ...last, b: 1090 * S, c: 1090 * S, d: 1090 * S }), 1090 * S);
    expect(state.list).toEqual({ sequence: 1, nodes: ["a"], frozen: false });
    const alive = (at: number) => seen({ a: at, b: at, c: at, d: at });
    for (const at of [1100, 1130, 1160, 1190]) state = decide(state, alive(at * S), at * S);
    expect(state.list.nodes).toEqual(["a"]);
    // A gap begins the 120 s again.
    state = decide(state, seen({ a: 1100 * S, b: 1195 * S, c: 1195 * S, d: 1195 * S }), 1195 * S);
    for (const at of [1210, 1240, 1270, 1300, 1329]) state = decide(state, alive(at * S), at * S);
    expect(state.list.nodes).toEqual(["a"]);
    state = decide(state, alive(1330 * S), 1330 * S);
    expect(state.list).toEqual({ sequence: 2, nodes: [], frozen: false });
  });

  it("freezes when more than a third vanish together, and thaws when they are back", () => {
    const last = (at: number, gone: string[], since: number) =>
      seen(Object.fromEntries(["a", "b", "c", "d", "e", "f"].map((node) => [node, gone.includes(node) ? since : at])));
    let state = { ...emptyDown(), sweptAt: 970 * S };
    state = decide(state, last(1000 * S, ["a", "b"], 900 * S), 1000 * S);
    expect(state.list).toEqual({ sequence: 1, nodes: ["a", "b"], frozen: false }); // a third is not more than a third
    state = decide(state, last(1100 * S, ["a", "b", "c", "d"], 1000 * S), 1100 * S);
    expect(state.list).toEqual({ sequence: 2, nodes: ["a", "b"], frozen: true });
    state = decide(state, last(1130 * S, ["a", "b"], 900 * S), 1130 * S);
    expect(state.list).toEqual({ sequence: 3, nodes: ["a", "b"], frozen: false });
  });

  it("blames nobody after the object itself was away, and knows that who never came is not there", () => {
    const state = decide({ ...emptyDown(), sweptAt: 1000 * S }, seen({ a: 1000 * S, b: 1000 * S }), 2000 * S);
    expect(state.list.nodes).toEqual([]);
    const before = decide(state, seen({ a: 2000 * S, never: 0 }), 2030 * S);
    expect(before.list).toEqual({ sequence: 1, nodes: ["never"], frozen: false });
    expect(decide(before, seen({ a: 2059 * S, never: 2059 * S }), 2060 * S).list).toEqual({
      sequence: 2,
      nodes: [],
      frozen: false,
    });
  });

  it("goes by the settings: three signs of life and three looks until a node is down", () => {
    expect(usual).toEqual({ downAfterMs: 90 * S, upAfterMs: 120 * S, sweepMs: 30 * S, pingSeconds: 30 });
    const short = rhythmOf({ downAfterSeconds: 15, upAfterSeconds: 20 });
    expect(short).toEqual({ downAfterMs: 15 * S, upAfterMs: 20 * S, sweepMs: 5 * S, pingSeconds: 5 });
    expect(rhythmOf({ downAfterSeconds: 3600, upAfterSeconds: 0 })).toMatchObject({ sweepMs: 30 * S, pingSeconds: 30 });
    const at = (now: number, last: number, before = { ...emptyDown(), sweptAt: now - 5 * S }) =>
      decideDown(before, seen({ a: last, b: now }), now, short);
    expect(at(1014 * S, 1000 * S).list.nodes).toEqual([]);
    let state = at(1015 * S, 1000 * S);
    expect(state.list.nodes).toEqual(["a"]);
    for (const now of [1020, 1025, 1030, 1035]) state = at(now * S, now * S, state);
    expect(state.list.nodes).toEqual(["a"]);
    expect(at(1040 * S, 1040 * S, state).list.nodes).toEqual([]);
  });

  it("is published to nodes and people, raises an alert, and is in uptime", async () => {
    const clock = clockAt(FUTURE);
    const watchers = await Promise.all(
      ["edge-1", "edge-2", "edge-3", "edge-4"].map(async (node) => watch(await deviceToken(node))),
    );
    const people = await watch(VIEWER);
    for (const watcher of watchers) await watcher.message("hello");
    await sweep();
    watchers[0]!.socket.close();
    await watchers[0]!.closed;
    for (const at of [30, 60, 90]) {
      clock.advance(30_000);
      for (const watcher of watchers.slice(1)) {
        watcher.socket.send("ping");
        await watcher.next((text) => text === "pong");
      }
      // Real time answers pings; the sockets' own times are those of the fake clock.
      await inFleet(
        (_, state) => void state.storage.sql.exec("UPDATE nodes SET last_seen=? WHERE node<>'edge-1'", Date.now()),
      );
      await sweep();
      expect([at, (await call("GET", "/v1/down")).result.nodes]).toEqual([at, at < 90 ? [] : ["edge-1"]]);
    }
    expect(await watchers[1]!.message("down")).toEqual({ type: "down", sequence: 1, nodes: ["edge-1"], frozen: false });
    expect((await people.message("down")).nodes).toEqual(["edge-1"]);
    expect(await people.message("alert")).toMatchObject({ state: "raised", kind: "NodeOffline", subject: "edge-1" });
    const uptime = await call("GET", "/v1/uptime?subject=node/edge-1", { as: VIEWER });
    expect(uptime.result[0].uptime).toEqual({ upSeconds: 90, knownSeconds: 90, ratio: 1 });
    clock.advance(90_000);
    expect((await call("GET", "/v1/uptime?subject=node/", { as: VIEWER })).result[0]).toEqual({
      subject: "node/edge-1",
      uptime: { upSeconds: 90, knownSeconds: 180, ratio: 0.5 },
    });
  });
});

describe("a node that is connected", () => {
  const rows = () => inFleet((_, state) => state.storage.sql.exec("SELECT * FROM nodes").toArray());

  it("costs no row while it is, however often it polls", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const watcher = await watch(token);
    await watcher.message("hello");
    await sweep();
    const before = await rows();
    for (let i = 0; i < 5; ++i) {
      clock.advance(15_000);
      await ask("GET", valuePath("CONFIG", "head"), { as: token });
      await sweep();
    }
    expect(await rows()).toEqual(before);
    watcher.socket.close();
    await watcher.closed;
    expect(await rows()).toMatchObject([{ connected: 0, last_seen: Date.now() }]);
  });

  it("was there until the last look when it goes without a word", async () => {
    const clock = clockAt(FUTURE);
    await deviceToken("edge-1");
    await sweep();
    const looked = Date.now();
    await inFleet(
      (_, state) => void state.storage.sql.exec("UPDATE nodes SET connected=1, last_seen=?", looked - 3_600_000),
    );
    clock.advance(30_000);
    await sweep();
    expect(await rows()).toMatchObject([{ connected: 0, last_seen: looked }]);
    expect((await call("GET", "/v1/down")).result.nodes).toEqual([]);
  });
});

describe("a cloned node", () => {
  it("is told by a number that was replaced, or by none; a lost answer is no clone", () => {
    const state = { issued: "n2", confirmed: "n1" };
    expect([judgeNonce(state, "n2"), judgeNonce(state, "n1"), judgeNonce(state, "n0"), judgeNonce(state, "")]).toEqual([
      "fresh",
      "fresh",
      "clone",
      "clone",
    ]);
    expect(judgeNonce({ issued: "n1", confirmed: "" }, "")).toBe("fresh");
  });

  it("is flagged and raises an alert; the node itself is not", async () => {
    const token = await deviceToken("edge-1");
    const connect = async (nonce: string) => {
      const watcher = await watch(token, {
        "Sec-WebSocket-Protocol": "mcpfleet.v1",
        ...(nonce === "" ? {} : { "Mcpfleet-Nonce": nonce }),
      });
      const hello = await watcher.message("hello");
      watcher.socket.send(JSON.stringify({ type: "nonce", nonce: hello.nonce }));
      watcher.socket.send(JSON.stringify({ type: "status", status: statusOf("edge-1", 1) }));
      await watcher.message("status-stored");
      return hello.nonce as string;
    };
    const first = await connect("");
    const second = await connect(first);
    expect((await call("GET", "/v1/nodes/edge-1")).result).toMatchObject({ connected: true, cloned: false });
    await connect(first); // a copy of the disk from before
    expect((await call("GET", "/v1/nodes/edge-1")).result).toMatchObject({ cloned: true });
    await connect(second);
    await sweep();
    expect((await call("GET", "/v1/alerts")).result).toMatchObject([{ kind: "CloneSuspected", subject: "edge-1" }]);
  });
});

describe("hints", () => {
  it("spread polls and reconnects by the size of the fleet", () => {
    expect(hintsFor(0, 30)).toMatchObject({ pollUnconnectedSeconds: [30, 60], reconnectSpreadSeconds: 1 });
    expect(hintsFor(5000, 30)).toMatchObject({ pollUnconnectedSeconds: [250, 500], reconnectSpreadSeconds: 100 });
    expect(hintsFor(100_000, 30)).toMatchObject({ pollUnconnectedSeconds: [900, 1800], reconnectSpreadSeconds: 300 });
  });

  it("keep a node up that has no socket, in a fleet of some hundred", () => {
    for (const seconds of [15, 90, 600]) {
      const { pingSeconds, downAfterMs } = rhythmOf({ downAfterSeconds: seconds, upAfterSeconds: 0 });
      for (const nodes of [1, 20 * pingSeconds]) {
        expect(hintsFor(nodes, pingSeconds).pollUnconnectedSeconds[1] * 1000).toBeLessThan(downAfterMs);
      }
    }
  });
});

describe("following logs", () => {
  it("asks the nodes for lines while somebody looks, and passes on those that he wants", async () => {
    const node = await watch(await deviceToken("edge-1"));
    await node.message("hello");
    const people = await watch(VIEWER);
    people.socket.send(JSON.stringify({ type: "follow", namespace: "default", server: "a" }));
    expect(await node.message("follow")).toEqual({ type: "follow", servers: [{ namespace: "default", server: "a" }] });
    const lines = [{ time: "2026-11-28T12:00:00Z", text: "hello" }];
    node.socket.send(JSON.stringify({ type: "log", namespace: "default", server: "b", lines }));
    node.socket.send(JSON.stringify({ type: "log", namespace: "default", server: "a", lines }));
    expect(await people.message("log")).toEqual({
      type: "log",
      node: "edge-1",
      namespace: "default",
      server: "a",
      lines,
    });
    people.socket.send(JSON.stringify({ type: "unfollow" }));
    expect(await node.message("follow")).toEqual({ type: "follow", servers: [] });
  });

  it("lets no node flood who looks", async () => {
    clockAt(FUTURE);
    const node = await watch(await deviceToken("edge-1"));
    const flood = JSON.stringify({
      type: "log",
      namespace: "default",
      server: "a",
      lines: Array.from({ length: 5 }, () => ({ time: "2026-11-28T12:00:00Z", text: "x".repeat(30_000) })),
    });
    node.socket.send(flood);
    node.socket.send(flood);
    expect(await node.message("slow")).toEqual({ type: "slow", retryAfterSeconds: 1 });
  });
});

describe("hubs", () => {
  it("hold the sockets of nodes, hear what the fleet tells and pass on what nodes say", async () => {
    const hub = bindings.HUB.get(bindings.HUB.idFromName("hub-0"));
    await moveHeads(1);
    const token = await deviceToken("edge-1");
    const attachment = {
      node: "edge-1",
      tokenHash: sha256Hex(token),
      name: "node edge-1",
      plain: false,
      connectedAt: Date.now(),
    };
    const response = await hub.fetch(
      new Request("https://fleet/watch", {
        headers: { Upgrade: "websocket", "Mcpfleet-Attachment": JSON.stringify(attachment) },
      }),
    );
    const node = listen(response.webSocket!);
    expect((await node.message("hello")).nonce).toMatch(/^[\w-]{22}$/);
    expect(await node.next()).toContain('"revision":1');
    node.socket.send(JSON.stringify({ type: "status", status: statusOf("edge-1", 7) }));
    expect((await node.message("status-stored")).sequence).toBe(7);
    await hub.broadcastHead('{"x":1}', "0.1.9", ["value"]);
    expect((await node.message("values")).values).toEqual(["value"]);
    expect(await node.next()).toBe('{"x":1}');
    expect(await hub.liveness()).toMatchObject([{ node: "edge-1" }]);
    await hub.closeSockets({ hashes: [sha256Hex(token)] }, "revoked");
    expect(await node.closed).toBe(1008);
    expect(await fleet().listNodes("edge-1")).toMatchObject([{ node: "edge-1" }]);
  });
});
