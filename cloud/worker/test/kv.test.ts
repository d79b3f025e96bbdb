import { describe, expect, it } from "vitest";
import {
  ask,
  bindings,
  call,
  delivered,
  deviceToken,
  fleet,
  freshAccount,
  headOf,
  inFleet,
  KV,
  moveHeads,
  OPERATOR,
  putBlob,
  putHead,
  snapshotOf,
  valuePath,
  VIEWER,
  textOf,
} from "./kit.js";
import { sha256Hex } from "../src/schema/hash.js";

freshAccount();
const blob = (bytes: string) => `objects/${sha256Hex(bytes)}`;

describe("the KV protocol", () => {
  it("gives a value back as it was put, under a key with every special character", async () => {
    const bytes = new Uint8Array([0, 255, 13, 10, 45, 45, 120, 34, 123, 125]);
    for (const key of ["a/b%2F c", "a/b/ c", "ä?&=#+;%", "x y", "100%", "...", "a\\b\"'"]) {
      expect((await call("PUT", valuePath("SERVER_STATE", key), { body: bytes })).status).toBe(200);
      const got = await ask("GET", valuePath("SERVER_STATE", key));
      expect([key, ...new Uint8Array(await got.arrayBuffer())]).toEqual([key, ...bytes]);
      expect(await bindings.SERVER_STATE.get(key, "arrayBuffer")).not.toBeNull(); // exactly that key, decoded once
    }
  });

  it("tells a missing key from a missing namespace", async () => {
    expect(await call("GET", valuePath("CONFIG", "absent"))).toMatchObject({ status: 404, code: 10009 });
    expect(await call("GET", valuePath("NOWHERE", "absent"))).toMatchObject({ status: 404, code: 10013 });
    expect(await call("GET", "/elsewhere")).toMatchObject({ status: 404, code: 7003 });
    expect(await call("PATCH", valuePath("CONFIG", "x"))).toMatchObject({ status: 405 });
  });

  it("keeps metadata and expiration of a multipart put, with the value byte for byte", async () => {
    const value = "with\r\nlines\r\n--b";
    const body = `--bb\r\nContent-Disposition: form-data; name="value"\r\n\r\n${value}\r\n--bb\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"ready":true}\r\n--bb--\r\n`;
    const put = await call("PUT", `${valuePath("SERVER_STATE", "x/a")}?expiration_ttl=120`, {
      body,
      headers: { "Content-Type": "multipart/form-data; boundary=bb" },
    });
    expect(put.status).toBe(200);
    expect(await textOf(ask("GET", valuePath("SERVER_STATE", "x/a")))).toBe(value);
    expect((await call("GET", `${KV}/SERVER_STATE/metadata/x%2Fa`)).result).toEqual({ ready: true });
    const { result, info } = await call("GET", `${KV}/SERVER_STATE/keys?prefix=x%2F`);
    expect(result).toEqual([{ name: "x/a", metadata: { ready: true }, expiration: expect.any(Number) }]);
    expect(info).toEqual({ count: 1, cursor: "" });
  });

  it("takes values in bulk, reads up to a hundred, and pages lists", async () => {
    const pairs = Array.from({ length: 25 }, (_, i) => ({
      key: `p/${String(i).padStart(2, "0")}`,
      value: `v${i}`,
      metadata: { i },
    }));
    expect(
      (await call("PUT", `${KV}/SERVER_STATE/bulk`, { body: [...pairs, { key: "bin", value: "/wA=", base64: true }] }))
        .result,
    ).toEqual({ successful_key_count: 26, unsuccessful_keys: [] });
    const first = await call("GET", `${KV}/SERVER_STATE/keys?prefix=p%2F&limit=10`);
    const second = await call(
      "GET",
      `${KV}/SERVER_STATE/keys?prefix=p%2F&limit=1000&cursor=${encodeURIComponent(first.info.cursor)}`,
    );
    expect([...first.result, ...second.result].map((key: { name: string }) => key.name)).toEqual(
      pairs.map((pair) => pair.key),
    );
    expect((await call("POST", `${KV}/SERVER_STATE/bulk/get`, { body: { keys: ["p/01", "absent"] } })).result).toEqual({
      values: { "p/01": "v1", absent: null },
    });
    expect(
      (await call("POST", `${KV}/SERVER_STATE/bulk/get`, { body: { keys: ["p/02"], withMetadata: true } })).result
        .values["p/02"],
    ).toEqual({ value: "v2", metadata: { i: 2 } });
    expect(
      (
        await call("POST", `${KV}/SERVER_STATE/bulk/get`, {
          body: { keys: Array.from({ length: 101 }, (_, i) => `k${i}`) },
        })
      ).status,
    ).toBe(400);
    expect(
      (await call("DELETE", `${KV}/SERVER_STATE/bulk`, { body: ["p/00", "absent"] })).result.successful_key_count,
    ).toBe(2);
    expect((await call("POST", `${KV}/SERVER_STATE/bulk/delete`, { body: ["bin"] })).status).toBe(200);
    expect((await ask("GET", valuePath("SERVER_STATE", "bin"))).status).toBe(404);
  });

  it.each([
    ["a key of 513 bytes", "PUT", valuePath("SERVER_STATE", "k".repeat(513)), "v", 400],
    ["an expiration below a minute", "PUT", `${valuePath("SERVER_STATE", "k")}?expiration_ttl=59`, "v", 400],
    ["an expiration that is no number", "PUT", `${valuePath("SERVER_STATE", "k")}?expiration=soon`, "v", 400],
    ["a limit of 9", "GET", `${KV}/SERVER_STATE/keys?limit=9`, undefined, 400],
    ["a limit of 1001", "GET", `${KV}/SERVER_STATE/keys?limit=1001`, undefined, 400],
    ["a cursor of somebody else", "GET", `${KV}/DEVICE_TOKENS/keys?cursor=%21`, undefined, 400],
    ["a bulk that is no list", "PUT", `${KV}/SERVER_STATE/bulk`, "{}", 400],
    ["a pair without a value", "PUT", `${KV}/SERVER_STATE/bulk`, '[{"key":"a"}]', 400],
    ["a value that is not base64", "PUT", `${KV}/SERVER_STATE/bulk`, '[{"key":"a","value":"%","base64":true}]', 400],
    [
      "a bulk of more than 10 MB",
      "PUT",
      `${KV}/SERVER_STATE/bulk`,
      JSON.stringify([{ key: "a", value: "v".repeat(10_000_000) }]),
      413,
    ],
    ["keys that are no list", "POST", `${KV}/SERVER_STATE/bulk/get`, '{"keys":"a"}', 400],
    [
      "more than 10000 keys",
      "POST",
      `${KV}/SERVER_STATE/bulk/delete`,
      JSON.stringify(Array.from({ length: 10_001 }, (_, i) => `k${i}`)),
      400,
    ],
  ])("refuses %s and changes nothing", async (_, method, path, body, status) => {
    const answered = await call(method, path, body === undefined ? {} : { body });
    expect(answered.status).toBe(status);
    expect(answered.code).toBeGreaterThan(0);
    expect((await bindings.SERVER_STATE.list()).keys).toEqual([]);
  });

  it("refuses metadata of more than 1024 bytes", async () => {
    const body = [{ key: "a", value: "v", metadata: "m".repeat(1023) }];
    expect((await call("PUT", `${KV}/SERVER_STATE/bulk`, { body })).status).toBe(413);
  });

  it("takes an immutable value only under its hash, and for ever", async () => {
    expect((await putBlob(blob("{}"), "{}")).status).toBe(200);
    for (const key of [blob("{}"), blob("{}").replace("objects", "shards"), "snapshots/x"]) {
      expect((await putBlob(key, "[]")).status).toBe(400);
      expect((await call("PUT", `${KV}/CONFIG/bulk`, { body: [{ key, value: "[]" }] })).status).toBe(400);
    }
    expect((await call("PUT", `${valuePath("CONFIG", blob("x"))}?expiration_ttl=600`, { body: "x" })).status).toBe(400);
    expect((await putBlob(blob("o".repeat(1024 * 1024 + 1)), "o".repeat(1024 * 1024 + 1))).status).toBe(413);
  });

  it("answers an immutable value that KV still misses from the object's buffer, also one of several rows", async () => {
    const big = JSON.stringify("s".repeat(3 * 1024 * 1024));
    const shard = `shards/${sha256Hex(big)}`;
    await call("PUT", `${KV}/CONFIG/bulk`, {
      body: [
        { key: blob("{}"), value: "{}" },
        { key: shard, value: big },
      ],
    });
    await bindings.CONFIG.delete(blob("{}"));
    await bindings.CONFIG.delete(shard);
    const device = await deviceToken("edge-1");
    expect(await textOf(ask("GET", valuePath("CONFIG", blob("{}")), { as: device }))).toBe("{}");
    const { result } = await call("POST", `${KV}/CONFIG/bulk/get`, {
      as: device,
      body: { keys: [shard, blob("absent")] },
    });
    expect(result.values[shard]).toBe(big);
    expect(result.values[blob("absent")]).toBeNull();
  });

  it("lets a node read the desired state by key and nothing else of CONFIG", async () => {
    await moveHeads(1);
    await call("PUT", valuePath("CONFIG", "proposals/1"), { body: "secret plans" });
    const device = await deviceToken("edge-1");
    expect((await ask("GET", valuePath("CONFIG", "head"), { as: device })).status).toBe(200);
    expect((await ask("GET", valuePath("CONFIG", "proposals/1"), { as: device })).status).toBe(403);
    expect(
      (await call("POST", `${KV}/CONFIG/bulk/get`, { as: device, body: { keys: ["head", "proposals/1"] } })).status,
    ).toBe(403);
  });

  it("reports what one invocation can't write, for the client to try again", async () => {
    const pairs = Array.from({ length: 905 }, (_, i) => ({ key: `p/${i}`, value: "v" }));
    const { result } = await call("PUT", `${KV}/SERVER_STATE/bulk`, { body: pairs });
    expect(result.successful_key_count).toBe(900);
    expect(result.unsuccessful_keys).toEqual(["p/900", "p/901", "p/902", "p/903", "p/904"]);
  });
});

describe("deleting the desired state", () => {
  it("is refused for what the head needs and for what is minutes old, and works for the rest", async () => {
    const object = "{}";
    const shardBytes = JSON.stringify([
      { kind: "MCPServer", namespace: "default", name: "a", uid: "u", generation: 1, hash: sha256Hex(object) },
    ]);
    const shards = Array.from({ length: 64 }, (_, i) => (i === 0 ? sha256Hex(shardBytes) : ""));
    const snapshot = snapshotOf("", { shards });
    const needed = [blob(object), `shards/${sha256Hex(shardBytes)}`, snapshot.key];
    // By KV itself, as if they had been written long ago.
    await bindings.CONFIG.put(needed[0]!, object);
    await bindings.CONFIG.put(needed[1]!, shardBytes);
    await bindings.CONFIG.put(snapshot.key, snapshot.bytes);
    await bindings.CONFIG.put(blob("old"), "old");
    expect((await putHead(headOf(snapshot.hash, 1), { "If-None-Match": "*" })).status).toBe(200);
    await putBlob(blob("new"), "new");
    for (const key of [...needed, blob("new")])
      expect([key, (await call("POST", `${KV}/CONFIG/bulk/delete`, { body: [blob("old"), key] })).status]).toEqual([
        key,
        412,
      ]);
    expect(await bindings.CONFIG.get(blob("old"))).toBe("old");
    expect((await call("POST", `${KV}/CONFIG/bulk/delete`, { body: [blob("old")] })).status).toBe(200);
    expect(await bindings.CONFIG.get(blob("old"))).toBeNull();
    expect((await call("DELETE", valuePath("CONFIG", "head"))).status).toBe(428);
  });

  it("is not written while gc deletes it: it would be gone with the old one", async () => {
    expect(await fleet().beginDeletion([blob("a"), blob("b")])).toBeUndefined();
    const refused = await ask("PUT", valuePath("CONFIG", blob("a")), { body: "a" });
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([503, "1"]);
    await refused.text();
    const bulk = ["b", "c"].map((value) => ({ key: blob(value), value }));
    expect((await call("PUT", `${KV}/CONFIG/bulk`, { body: bulk })).status).toBe(503);
    expect(await bindings.CONFIG.get(blob("c"))).toBeNull();
    expect((await putBlob(blob("c"), "c")).status).toBe(200);
    await fleet().endDeletion([blob("a")]);
    expect((await putBlob(blob("a"), "a")).status).toBe(200);
    // A gc that died is waited for no longer than one may take.
    expect((await putBlob(blob("b"), "b")).status).toBe(503);
    await inFleet((_, state) => state.storage.sql.exec("UPDATE deleting SET until=?", Date.now()));
    expect((await putBlob(blob("b"), "b")).status).toBe(200);
    // It is over with the answer, whatever that was.
    await bindings.CONFIG.put(blob("old"), "old");
    expect((await call("POST", `${KV}/CONFIG/bulk/delete`, { body: [blob("old")] })).status).toBe(200);
    expect((await putBlob(blob("old"), "old")).status).toBe(200);
  });
});

describe("tokens in DEVICE_TOKENS", () => {
  it("are listed, shown and revoked as mcpctl does it, and KV has a mirror", async () => {
    const token = "t".repeat(40);
    const key = `tokens/${sha256Hex(token)}`;
    const entry = JSON.stringify({ node: "edge-1", createdAt: "2026-11-28T00:00:00Z", author: "me@here" });
    expect((await call("PUT", valuePath("DEVICE_TOKENS", key), { body: entry })).status).toBe(200);
    const { result } = await call("GET", `${KV}/DEVICE_TOKENS/keys?prefix=tokens%2F`);
    expect(result).toEqual([
      {
        name: key,
        metadata: { node: "edge-1", author: "me@here", createdAt: expect.any(String), expiresAt: expect.any(String) },
      },
    ]);
    await delivered();
    expect(JSON.parse((await bindings.DEVICE_TOKENS.get(key))!)).toMatchObject({ node: "edge-1", author: "me@here" });
    expect((await ask("GET", "/v1/whoami", { as: token })).status).toBe(200);
    expect((await call("DELETE", valuePath("DEVICE_TOKENS", key))).status).toBe(200);
    expect((await ask("GET", "/v1/whoami", { as: token })).status).toBe(401);
    await delivered();
    expect(await bindings.DEVICE_TOKENS.get(key)).toBeNull();
    expect((await call("GET", `${KV}/DEVICE_TOKENS/keys`)).result).toEqual([]);
  });

  it("take no other keys and no other shape, and are not for viewers", async () => {
    expect((await call("PUT", valuePath("DEVICE_TOKENS", "x"), { body: '{"node":"a"}' })).status).toBe(400);
    expect(
      (await call("PUT", valuePath("DEVICE_TOKENS", `tokens/${"0".repeat(64)}`), { body: '{"node":"A B"}' })).status,
    ).toBe(400);
    expect((await call("GET", `${KV}/DEVICE_TOKENS/keys`, { as: VIEWER })).status).toBe(403);
    expect((await call("GET", `${KV}/DEVICE_TOKENS/keys`, { as: OPERATOR })).status).toBe(200);
  });
});
