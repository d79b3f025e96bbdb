import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  ask,
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
  KV,
  putBlob,
  putHead,
  snapshotOf,
  statusOf,
  putStatus,
  textOf,
  valuePath,
  VIEWER,
  watch,
  ring,
} from "./kit.js";
import { failWrites } from "./operations.js";
import { forgetDevices } from "../src/auth/device.js";
import { mentions } from "../src/fleet/secrets.js";
import { sha256Hex } from "../src/schema/hash.js";

freshAccount();

const ID = "0123456789abcdef0123456789abcdef";
const key = (fill: number) => Buffer.alloc(32, fill).toString("base64");
function presented(node: string, fill = 1): object {
  const keys = { signing: key(fill), sealing: key(fill + 100) };
  return {
    node,
    keys,
    mac: createHmac("sha256", "the secret")
      .update(JSON.stringify([node, keys]))
      .digest("hex"),
  };
}
const enrol = (body: object = { node: "edge-1" }) => call("PUT", `/v1/joins/${ID}`, { body });
const redeem = (body: object = presented("edge-1"), id = ID) =>
  call("POST", `/v1/joins/${id}/redeem`, { as: "", body });

describe("enrolment", () => {
  it("knows nodes by labels alone: what Kubernetes calls a Node is made one before", async () => {
    const longest = "x".repeat(63);
    for (const [index, node] of ["a", "0", "edge-1", longest].entries())
      expect((await call("PUT", `/v1/joins/${String(index).repeat(32)}`, { body: { node } })).status, node).toBe(200);
    for (const node of ["", "n1.a", "Edge-1", "-a", "a-", "a_b", "a/b", `${longest}x`])
      expect((await enrol({ node })).status, node).toBe(400);
  });

  it("gives the node that presents its keys a token, and the operator what it presented", async () => {
    expect((await enrol({ node: "edge-1", labels: { site: "berlin" }, ttlSeconds: 600 })).result).toMatchObject({
      id: ID,
      node: "edge-1",
      state: "Pending",
      labels: { site: "berlin" },
    });
    const joined = await redeem();
    expect(joined).toMatchObject({
      status: 200,
      result: { token: expect.stringMatching(/^mcp1_edge-1_[\w-]{43}$/), fleet: "" },
    });
    expect((await ask("GET", "/v1/whoami", { as: joined.result.token })).status).toBe(200);
    expect((await call("GET", `/v1/joins/${ID}`)).result).toMatchObject({
      state: "Joined",
      presented: presented("edge-1"),
    });
    expect((await call("GET", "/v1/nodes/edge-1")).result.keys).toEqual((presented("edge-1") as { keys: object }).keys);
    expect((await call("GET", "/v1/joins")).result).toHaveLength(1);
    // Nothing that could be used is stored.
    await inFleet((_, state) => {
      const everything = JSON.stringify(
        ["tokens", "joins", "nodes", "outbox", "notes"].map((table) =>
          state.storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
        ),
      );
      expect(everything).not.toContain((joined.result.token as string).slice(-43));
    });
  });

  it("lets the same keys repeat it, with a new token in place of the lost one, and nobody else", async () => {
    await enrol();
    const lost = (await redeem()).result.token as string;
    const again = (await redeem()).result.token as string;
    expect(again).not.toBe(lost);
    forgetDevices();
    expect((await ask("GET", "/v1/whoami", { as: lost })).status).toBe(401);
    expect((await ask("GET", "/v1/whoami", { as: again })).status).toBe(200);
    expect(await redeem(presented("edge-1", 2))).toMatchObject({ status: 409 });
    expect((await ask("GET", "/v1/whoami", { as: again })).status).toBe(200);
  });

  it("ends: expired, revoked, never made, for another name", async () => {
    const clock = clockAt(FUTURE);
    await enrol({ node: "edge-1", ttlSeconds: 60 });
    expect((await redeem(presented("edge-2"))).status).toBe(404);
    expect((await redeem(presented("edge-1"), "f".repeat(32))).status).toBe(404);
    clock.advance(60_000);
    expect((await redeem()).status).toBe(410);
    expect((await call("GET", `/v1/joins/${ID}`)).result.state).toBe("Expired");
    const other = "1".repeat(32);
    await call("PUT", `/v1/joins/${other}`, { body: { node: "edge-2" } });
    await call("DELETE", `/v1/joins/${other}`);
    expect((await redeem(presented("edge-2"), other)).status).toBe(410);
  });

  it.each([
    ["a name that is no label", { ...presented("edge-1"), node: "Edge 1" }],
    ["a key that is too short", { ...presented("edge-1"), keys: { signing: "AAAA", sealing: key(1) } }],
    ["no HMAC", { node: "edge-1", keys: { signing: key(1), sealing: key(2) } }],
    ["a secret beside it", { ...presented("edge-1"), secret: "s" }],
  ])("refuses %s", async (_, body) => {
    await enrol();
    expect((await redeem(body)).status).toBe(400);
    expect((await call("GET", `/v1/joins/${ID}`)).result.state).toBe("Pending");
  });

  it("does not take an id twice, nor one that can be guessed", async () => {
    await enrol();
    expect((await enrol({ node: "edge-2" })).status).toBe(409);
    expect((await call("PUT", "/v1/joins/1", { body: { node: "edge-2" } })).status).toBe(400);
  });
});

describe("device tokens", () => {
  it("are good for reads at once, though KV has no mirror of them yet", async () => {
    const token = await deviceToken("edge-1");
    await bindings.DEVICE_TOKENS.delete(`tokens/${sha256Hex(token)}`);
    expect((await call("GET", valuePath("CONFIG", "head"), { as: token })).status).toBe(404);
  });

  it("end for writes, push and enrolment at once, for reads within five minutes, whatever the mirror says", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    const name = `tokens/${sha256Hex(token)}`;
    const mirror = (await bindings.DEVICE_TOKENS.get(name))!;
    expect((await call("GET", valuePath("CONFIG", "head"), { as: token })).status).toBe(404);
    await call("POST", "/v1/nodes/edge-1/revoke");
    await delivered();
    expect((await putStatus("edge-1", token, statusOf("edge-1", 1))).status).toBe(401);
    expect((await ask("GET", "/v1/watch", { as: token, headers: { Upgrade: "websocket" } })).status).toBe(401);
    expect((await call("PUT", "/v1/logs/edge-1/boot-1", { as: token, body: "x" })).status).toBe(401);
    expect((await call("POST", "/v1/device/token", { as: token })).status).toBe(401);
    // A minute of memory and a mirror whose removal has not reached this place.
    await bindings.DEVICE_TOKENS.put(name, mirror);
    expect((await call("GET", valuePath("CONFIG", "head"), { as: token })).status).toBe(404);
    await bindings.DEVICE_TOKENS.delete(name);
    clock.advance(61_000);
    expect((await call("GET", valuePath("CONFIG", "head"), { as: token })).status).toBe(401);
  });

  it("expire, and a mirror of an expired one lets nobody in", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    clock.advance(365 * 86_400_000);
    forgetDevices();
    expect((await call("GET", valuePath("CONFIG", "head"), { as: token })).status).toBe(401);
    expect((await call("POST", "/v1/device/token", { as: token })).status).toBe(401);
  });

  it("are renewed by the node itself, also when the answer was lost", async () => {
    const first = await deviceToken("edge-1");
    const lost = (await call("POST", "/v1/device/token", { as: first })).result.token as string;
    const second = (await call("POST", "/v1/device/token", { as: first })).result.token as string;
    expect((await putStatus("edge-1", second, statusOf("edge-1", 1))).status).toBe(200);
    expect((await putStatus("edge-1", first, statusOf("edge-1", 2))).status).toBe(401);
    expect(
      (await call("GET", "/v1/nodes/edge-1")).result.tokens.map((token: { id: string }) => token.id).sort(),
    ).toEqual([sha256Hex(second).slice(0, 12)]);
    expect((await putStatus("edge-1", lost, statusOf("edge-1", 3))).status).toBe(401);
    await delivered();
    expect(await bindings.DEVICE_TOKENS.get(`tokens/${sha256Hex(lost)}`)).toBeNull();
  });

  it("are few: a node gets no more than it can use, and the oldest ends with one too many", async () => {
    const clock = clockAt(FUTURE);
    const rows = () => inFleet((_, state) => Number(state.storage.sql.exec("SELECT count(*) AS n FROM tokens").one().n));
    const live = async () => (await call("GET", "/v1/nodes/edge-1")).result.tokens.length as number;
    let token = await deviceToken("edge-1");
    for (let i = 0; i < 10; ++i) expect((await call("POST", "/v1/device/token", { as: token })).status).toBe(200);
    expect(await live()).toBe(2);
    const refused = await ask("POST", "/v1/device/token", { as: token });
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "60"]);
    await refused.text();
    // One after the other, each used.
    for (let i = 0; i < 40; ++i) {
      clock.advance(60_000);
      token = (await call("POST", "/v1/device/token", { as: token })).result.token as string;
      expect((await putStatus("edge-1", token, statusOf("edge-1", i))).status).toBe(200);
    }
    expect(await live()).toBe(1);
    expect(await rows()).toBe(22); // it, and those that ended last
    // Of an operator, who may make more.
    const socket = await watch(token);
    for (let i = 0; i < 15; ++i) await deviceToken("edge-1");
    expect((await ask("GET", "/v1/whoami", { as: token })).status).toBe(200);
    await deviceToken("edge-1");
    expect(await live()).toBe(16);
    expect(await socket.closed).toBe(1008);
    expect((await putStatus("edge-1", token, statusOf("edge-1", 99))).status).toBe(401);
    expect(await rows()).toBe(36);
  });

  it("have a mirror that is written in the end, though KV fails at first", async () => {
    const clock = clockAt(FUTURE);
    const token = "t".repeat(43);
    failWrites(`tokens/${sha256Hex(token)}`, 1);
    await fleet().putToken(sha256Hex(token), "edge-1", "me");
    await delivered();
    await ring();
    expect(await bindings.DEVICE_TOKENS.get(`tokens/${sha256Hex(token)}`)).toBeNull();
    clock.advance(1000);
    await ring();
    expect(await bindings.DEVICE_TOKENS.get(`tokens/${sha256Hex(token)}`)).toContain('"edge-1"');
  });
});

describe("revoking a node", () => {
  it("names the secrets that it could open", async () => {
    const secret = (name: string, nodes: string[]) =>
      JSON.stringify({
        kind: "MCPSecret",
        metadata: { name },
        spec: { recipients: nodes.map((node) => ({ node, sealed: "…" })) },
      });
    const objects = [secret("a", ["edge-1", "edge-2"]), secret("b", ["edge-2"]), secret("c", ["edge-1"])];
    const entries = objects.map((bytes, i) => ({
      kind: "MCPSecret",
      namespace: "default",
      name: "abc"[i],
      uid: `u${i}`,
      generation: 1,
      hash: sha256Hex(bytes),
    }));
    const shard = JSON.stringify(entries);
    const snapshot = snapshotOf("", {
      shards: Array.from({ length: 64 }, (_, i) => (i === 7 ? sha256Hex(shard) : "")),
    });
    for (const bytes of objects) await putBlob(`objects/${sha256Hex(bytes)}`, bytes);
    await putBlob(`shards/${sha256Hex(shard)}`, shard);
    await putBlob(snapshot.key, snapshot.bytes);
    await putHead(headOf(snapshot.hash, 1), { "If-None-Match": "*" });
    await deviceToken("edge-1");
    expect((await call("POST", "/v1/nodes/edge-1/revoke")).result).toEqual({
      tokens: 1,
      secrets: ["default/a", "default/c"],
    });
    expect((await call("DELETE", "/v1/nodes/edge-1")).result).toEqual({ secrets: ["default/a", "default/c"] });
  });

  it("says that it does not know when the state can't be read", async () => {
    await deviceToken("edge-1");
    await inFleet(
      (_, state) =>
        void state.storage.sql.exec(
          "INSERT INTO head(id,body,etag,at) VALUES(1,?,'0.1.1',0)",
          headOf("d".repeat(64), 1),
        ),
    );
    expect((await call("POST", "/v1/nodes/edge-1/revoke")).result).toEqual({ tokens: 1, secrets: null });
  });

  it("ends its join token too, and deleting forgets its status here and in KV", async () => {
    await enrol();
    const token = (await redeem()).result.token as string;
    await putStatus("edge-1", token, statusOf("edge-1", 1));
    await delivered();
    expect(await bindings.SERVER_STATE.get("nodes/edge-1")).not.toBeNull();
    expect((await call("DELETE", "/v1/nodes/edge-1")).status).toBe(200);
    await delivered();
    expect((await redeem()).status).toBe(410);
    expect((await call("GET", "/v1/nodes")).result).toEqual([]);
    expect((await call("GET", `${KV}/SERVER_STATE/keys?prefix=nodes%2F`, { as: VIEWER })).result).toEqual([]);
    expect(await bindings.SERVER_STATE.get("nodes/edge-1")).toBeNull();
    expect((await call("DELETE", "/v1/nodes/edge-1")).status).toBe(404);
    expect(await textOf(ask("GET", "/v1/health", { as: "" }))).toBe("ok\n");
  });

  it("looks for the node's name anywhere in a secret", () => {
    expect([
      mentions({ keys: { "edge-1": "x" } }, "edge-1"),
      mentions([{ a: ["edge-1"] }], "edge-1"),
      mentions({ a: "edge-10", n: 1, z: null }, "edge-1"),
    ]).toEqual([true, true, false]);
  });
});

describe("tunnels", () => {
  it.each([
    ["edge-1.example.com", 200],
    ["https://edge-1.example.com", 200],
    ["http://127.0.0.1:8700", 200], // the tests allow loopback
    ["http://edge-1.example.com", 400],
    ["https://edge-1.example.com:8443", 400],
    ["https://user:pw@edge-1.example.com", 400],
    ["edge-1.example.com/path", 400],
    ["10.0.0.1", 400],
    ["[fe80::1]", 400],
    ["", 400],
  ])("%j is answered with %i", async (tunnel, status) => {
    await deviceToken("edge-1");
    expect((await call("PATCH", "/v1/nodes/edge-1", { body: { tunnel } })).status).toBe(status);
  });
});
