// A signed fleet: what no node would follow is not stored, so nobody without its keys can use up a version or a number.
import { describe, expect, it } from "vitest";
import { ask, bindings, call, clockAt, delivered, deviceToken, freshAccount, FUTURE, headOf, inFleet, KV, moveHeads, putBlob, putHead, snapshotOf, textOf, valuePath } from "./kit.js";
import { newKey, of, putTrust, signed, signedFleet, trustOf } from "./signer.js";
import { checkCondition } from "../src/fleet/head_move.js";
import { canonicalize } from "../src/manifest/canonical.js";
import { Head } from "../src/schema/desired.js";
import { sha256Hex } from "../src/schema/hash.js";
import { parseTrust, trustVersionOf } from "../src/schema/trust.js";

freshAccount();

const drop = (version: number | string) => call("DELETE", valuePath("CONFIG", `trust/${version}`));
const text = (version: number) => textOf(ask("GET", valuePath("CONFIG", `trust/${version}`)));

describe("the trust chain", () => {
  it("begins with a document that its own roots signed, written once", async () => {
    const [root, head, thief] = [await newKey(), await newKey(), await newKey()];
    for (const body of ["roots", "{}", "[]", await trustOf(1, of([root]), of([head]), []), await trustOf(1, of([root]), of([head]), [thief])])
      expect([400, 403]).toContain((await putTrust(1, body)).status);
    expect(await putTrust(1, await trustOf(1, of([root]), of([head]), [head]))).toMatchObject({ status: 403, code: 10041, message: expect.stringContaining(root.public) as string });
    const first = await trustOf(1, of([root]), of([head]), [root]);
    expect((await call("PUT", `${valuePath("CONFIG", "trust/1")}?expiration_ttl=600`, { body: first })).status).toBe(400);
    expect((await call("PUT", `${KV}/CONFIG/bulk`, { body: [{ key: "trust/1", value: first }] })).status).toBe(400);
    expect((await putTrust(1, first, { "If-None-Match": "*" })).status).toBe(200);
    expect((await putTrust(1, first)).status).toBe(200);
    expect((await putTrust(1, first, { "If-None-Match": "*" })).status).toBe(412);
    expect((await putTrust(1, await trustOf(1, of([root]), of([thief]), [root]))).status).toBe(412);
    expect(await text(1)).toBe(first);
    expect(await bindings.CONFIG.get("trust/1")).toBe(first);
  });

  it("goes on with the next version only, signed by enough roots of the one before and by enough of its own", async () => {
    const [root, other, head, thief] = [await newKey(), await newKey(), await newKey(), await newKey()];
    expect((await putTrust(1, await trustOf(1, of([root, other], 2), of([head]), [root, other]))).status).toBe(200);
    const next = (version: number, by: (typeof root)[], more = {}) => trustOf(version, of([root, other], 2), of([thief]), by, more);
    expect((await putTrust(2, await trustOf(2, of([thief]), of([thief]), [thief]))).status).toBe(403);
    expect((await putTrust(2, await next(2, [root]))).status).toBe(403);
    expect((await putTrust(2, await next(2, [root, other], { fleet: "b" }))).status).toBe(403);
    expect((await putTrust(2, await next(3, [root, other]))).status).toBe(400);
    expect((await putTrust(3, await next(3, [root, other]))).status).toBe(412);
    for (const key of ["0", "01", "2 ", "x", "9007199254740992"]) expect((await putTrust(key, await next(2, [root, other]))).status).toBe(400);
    // The roots that were and those that come.
    expect((await putTrust(2, await trustOf(2, of([thief]), of([head]), [root, other]))).status).toBe(403);
    expect((await putTrust(2, await trustOf(2, of([thief]), of([head]), [root, other, thief]))).status).toBe(200);
    // Nodes read them from the object: whoever writes to KV replaces none.
    await bindings.CONFIG.put("trust/2", "garbage");
    const device = await deviceToken("edge-1");
    expect(await textOf(ask("GET", valuePath("CONFIG", "trust/2"), { as: device }))).toBe(await text(2));
    expect((await call("POST", `${KV}/CONFIG/bulk/get`, { as: device, body: { keys: ["trust/2", "trust/3"] } })).result.values).toEqual({ "trust/2": await text(2), "trust/3": null });
  });

  it("takes a signed document in no other spelling than the one that nodes read", async () => {
    const [root, head] = [await newKey(), await newKey()];
    const first = await trustOf(1, of([root]), of([head]), [root]);
    const json = JSON.parse(first) as Record<string, unknown>;
    for (const body of [` ${first}`, first.replace('"version":1', '"version":1.0'), first.replace("{", '{"version":1,'), canonicalize({ ...json, more: 1 }), first.replace(root.public, `${root.public}=`)])
      expect((await putTrust(1, body)).status).toBe(400);
    for (const time of ["2026-02-30T00:00:00Z", "2026-11-28", "1969-12-31T23:59:59Z", "soon"]) expect(parseTrust(await trustOf(1, of([root]), of([head]), [root], { time }))).toContain("time");
    expect(parseTrust(await trustOf(1, of([root], 2), of([head]), [root]))).toContain("threshold");
    expect(parseTrust(await trustOf(1, of([root, root]), of([head]), [root]))).toContain("twice");
    expect(parseTrust(await trustOf(1, of([]), of([head]), [root]))).toContain("roots");
    expect([trustVersionOf("trust/7"), trustVersionOf("trust/07"), trustVersionOf("trusts/7")]).toEqual([7, undefined, undefined]);
  });

  it("lets a document go that the head has not moved to, the newest first, and no other", async () => {
    const [root, head] = [await newKey(), await newKey()];
    const hash = await signedFleet(root, head);
    for (const version of [2, 3]) await putTrust(version, await trustOf(version, of([root]), of([head]), [root]));
    expect((await drop(1)).status).toBe(412);
    expect((await drop(2)).status).toBe(412);
    expect((await call("POST", `${KV}/CONFIG/bulk/delete`, { body: ["trust/3", "trust/2"] })).status).toBe(412);
    expect((await drop(3)).status).toBe(200);
    expect((await ask("GET", valuePath("CONFIG", "trust/3"))).status).toBe(404);
    expect((await putTrust(3, await trustOf(3, of([root]), of([root]), [root]))).status).toBe(200);
    expect((await drop(3)).status).toBe(200);
    expect((await putHead(await signed(headOf(hash, 1, { trust: 2 }), [head]), { "If-Match": '"1.1.1"' })).status).toBe(200);
    expect((await drop(2)).status).toBe(412);
  });

  it("is taken in as an older Worker had stored it, as far as it is one", async () => {
    const [root, head] = [await newKey(), await newKey()];
    const documents = [await trustOf(1, of([root]), of([head]), [root]), "squatted"];
    for (const [index, body] of documents.entries()) {
      await bindings.CONFIG.put(`trust/${index + 1}`, body);
      await inFleet((_, state) => void state.storage.sql.exec("INSERT INTO notes(key,value) VALUES(?,?)", `once/trust/${index + 1}`, JSON.stringify(sha256Hex(body))));
    }
    expect((await putTrust(1, await trustOf(1, of([head]), of([head]), [head]))).status).toBe(412);
    const second = await trustOf(2, of([root]), of([head]), [root]);
    expect((await putTrust(2, second, { "If-None-Match": "*" })).status).toBe(200);
    expect([await text(1), await text(2)]).toEqual([documents[0], second]);
  });
});

describe("a signed head", () => {
  it("moves only when enough head keys of its document have signed it", async () => {
    const [root, head, thief] = [await newKey(), await newKey(), await newKey()];
    const hash = await signedFleet(root, head);
    const at = { "If-Match": '"1.1.1"' };
    const next = headOf(hash, 2, { trust: 1, validUntil: "2036-01-01T00:00:00Z" });
    for (const [body, why] of [
      [next, "0 of the 1"],
      [await signed(next, [thief]), head.public],
      [(await signed(next, [head])).replace("2036-01-01", "2037-01-01"), "0 of the 1"],
      [await signed(headOf(hash, 2, { trust: 1, fleet: "b".repeat(32), epoch: 2 }), [head]), "another fleet"],
      [await signed(headOf(hash, 1, { trust: 2 }), [head]), "trust/2, which is not there"],
      [await signed(headOf(hash, 1, { trust: 2 ** 53 - 1 }), [head]), "not there"],
      [next.replace("2036-01-01", "\\ud800"), "can't be signed"],
    ] as const)
      expect(await putHead(body, at)).toMatchObject({ status: 403, code: 10041, message: expect.stringContaining(why) as string });
    // In a commit as well, where nothing of it is stored then.
    const stranger = snapshotOf(hash, { message: "stranger" });
    const commit = await call("PUT", `${KV}/CONFIG/bulk`, { headers: at, body: [{ key: stranger.key, value: stranger.bytes }, { key: "head", value: next }] });
    expect([commit.status, (await ask("GET", valuePath("CONFIG", stranger.key))).status]).toEqual([403, 404]);
    expect((await putHead(await signed(next, [thief, head]), at)).status).toBe(200);
    await delivered();
  });

  it("is judged by a document that has not expired", async () => {
    const clock = clockAt(FUTURE);
    const [root, head] = [await newKey(), await newKey()];
    const hash = await signedFleet(root, head);
    await putTrust(2, await trustOf(2, of([root]), of([head]), [root], { expires: "2035-01-01T13:00:00Z" }));
    expect((await putHead(await signed(headOf(hash, 1, { trust: 2 }), [head]), { "If-Match": '"1.1.1"' })).status).toBe(200);
    clock.advance(3_600_001);
    const late = await signed(headOf(hash, 2, { trust: 2 }), [head]);
    expect(await putHead(late, { "If-Match": '"2.1.1"' })).toMatchObject({ status: 403, message: expect.stringContaining("expired") as string });
    await putTrust(3, await trustOf(3, of([root]), of([head]), [root]));
    expect((await putHead(await signed(headOf(hash, 1, { trust: 3 }), [head]), { "If-Match": '"2.1.1"' })).status).toBe(200);
  });

  it("of whoever stole a head key is worth nothing after a rotation, and never used up the numbers", async () => {
    const [root, stolen, fresh] = [await newKey(), await newKey(), await newKey()];
    const hash = await signedFleet(root, stolen);
    const most = 2 ** 53 - 1;
    for (const jump of [{ epoch: most }, { epoch: 1, revision: most }, { epoch: 1002, revision: 1 }])
      expect((await putHead(await signed(headOf(hash, 1, { trust: 1, ...jump }), [stolen]), { "If-Match": '"1.1.1"' })).status).toBe(400);
    expect((await putHead(await signed(headOf(hash, 1000, { trust: 1, epoch: 1001 }), [stolen]), { "If-Match": '"1.1.1"' })).status).toBe(200);
    expect((await putTrust(2, await trustOf(2, of([root]), of([fresh]), [root]))).status).toBe(200);
    expect((await putHead(await signed(headOf(hash, 1, { trust: 2 }), [fresh]), { "If-Match": '"1.1001.1000"' })).status).toBe(200);
    const stale = await signed(headOf(hash, 2, { trust: 2 }), [stolen]);
    expect((await putHead(stale, { "If-Match": '"2.1.1"' })).status).toBe(403);
  });

  it("is restored with its chain into an empty store, whatever its numbers were", async () => {
    const [root, head] = [await newKey(), await newKey()];
    const snapshot = snapshotOf("");
    await putBlob(snapshot.key, snapshot.bytes);
    for (const version of [1, 2, 3]) expect((await putTrust(version, await trustOf(version, of([root]), of([head]), [root]))).status).toBe(200);
    const restored = await signed(headOf(snapshot.hash, 1, { trust: 3, epoch: 4711 }), [head]);
    expect((await putHead(restored, { "If-None-Match": "*" })).status).toBe(200);
  });
});

describe("the counters of a head", () => {
  const head = (more: Record<string, unknown>) => Head.parse(JSON.parse(headOf("0".repeat(64), 1, more)));
  const decide = (before: Record<string, unknown> | undefined, next: Record<string, unknown>) => checkCondition(before === undefined ? undefined : { head: head(before), etag: "e" }, head(next), before === undefined ? { ifNoneMatch: true } : { ifMatch: "e", ifNoneMatch: false }).move;
  it("rise step by step, so that no move takes the room of the next", () => {
    expect(decide({ revision: 7 }, { revision: 8 })).toBe(true);
    expect(decide({ revision: 7 }, { revision: 1008 })).toBe(false);
    expect(decide({ epoch: 7 }, { epoch: 1008 })).toBe(false);
    expect(decide({ epoch: 7, revision: 5000 }, { epoch: 8, revision: 1 })).toBe(true);
    expect(decide({ epoch: 7 }, { epoch: 8, revision: 1001 })).toBe(false);
    expect(decide({ epoch: 2 ** 53 - 1 }, { trust: 1, epoch: 1 })).toBe(true);
    expect(decide({ epoch: 5 }, { trust: 3, epoch: 6 })).toBe(true);
    expect(decide(undefined, { epoch: 2 ** 52, revision: 2 ** 52 })).toBe(true);
    expect(decide(undefined, { epoch: 2 ** 53 - 1 })).toBe(false);
  });

  it("are bounded in a fleet that nobody signs, where a token is all there is", async () => {
    const [hash] = await moveHeads(1);
    expect((await putHead(headOf(hash!, 1, { epoch: 2 ** 53 - 1 }), { "If-Match": '"0.1.1"' })).status).toBe(400);
    expect((await putHead(headOf(hash!, 1, { trust: 2 ** 53 - 1 }), { "If-Match": '"0.1.1"' })).status).toBe(403);
    expect((await putHead(headOf(hash!, 1, { epoch: 2 }), { "If-Match": '"0.1.1"' })).status).toBe(200);
  });
});
