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
  freshAccount,
  FUTURE,
  headOf,
  inFleet,
  KV,
  moveHeads,
  putBlob,
  putHead,
  snapshotOf,
  valuePath,
  VIEWER,
  watch,
  textOf,
} from "./kit.js";
import { countOperations, failWrites, gatherReads } from "./operations.js";
import { checkCondition, checkSnapshot } from "../src/fleet/head_move.js";
import { Head, parseHead, Snapshot } from "../src/schema/desired.js";

freshAccount();

describe("the head", () => {
  it("moves only by compare-and-swap, forward, and is not deleted", async () => {
    const first = snapshotOf("");
    await putBlob(first.key, first.bytes);
    expect(await putHead(headOf(first.hash, 1), {})).toMatchObject({ status: 428, code: 10040 });
    expect((await putHead(headOf(first.hash, 1), { "If-None-Match": "*" })).status).toBe(200);
    expect(await putHead(headOf(first.hash, 1), { "If-None-Match": "*" })).toMatchObject({ status: 412, code: 10040 });
    const got = await ask("GET", valuePath("CONFIG", "head"));
    expect(got.headers.get("ETag")).toBe('"0.1.1"');
    expect(await textOf(got)).toBe(headOf(first.hash, 1));
    const second = snapshotOf(first.hash);
    await putBlob(second.key, second.bytes);
    expect((await putHead(headOf(second.hash, 2), { "If-Match": '"0.1.0"' })).status).toBe(412);
    expect((await putHead(headOf(second.hash, 1), { "If-Match": '"0.1.1"' })).status).toBe(400);
    expect((await putHead(headOf(second.hash, 2), { "If-Match": '"0.1.1"' })).status).toBe(200);
    expect(
      (await call("PUT", valuePath("CONFIG", "head"), { body: "{}", headers: { "If-Match": '"0.1.2"' } })).status,
    ).toBe(400);
    expect(
      (await call("PUT", valuePath("CONFIG", "head"), { body: "h".repeat(4097), headers: { "If-Match": '"0.1.2"' } }))
        .status,
    ).toBe(400);
  });

  it("moves only onto a snapshot that is there and was made from the current one", async () => {
    const [first] = await moveHeads(1);
    const absent = snapshotOf(first!, { message: "never uploaded" });
    expect(await putHead(headOf(absent.hash, 2), { "If-Match": '"0.1.1"' })).toMatchObject({
      status: 412,
      message: "the head's snapshot is not there",
    });
    const stranger = snapshotOf("", { message: "from nothing" });
    await putBlob(stranger.key, stranger.bytes);
    expect(await putHead(headOf(stranger.hash, 2), { "If-Match": '"0.1.1"' })).toMatchObject({
      status: 412,
      message: "the snapshot was not made from the current one",
    });
    // A restored store raises the epoch, a renewed head keeps its snapshot.
    expect(
      (await putHead(headOf(first!, 2, { validUntil: "2027-01-01T00:00:00Z" }), { "If-Match": '"0.1.1"' })).status,
    ).toBe(200);
    expect((await putHead(headOf(stranger.hash, 1, { epoch: 2 }), { "If-Match": '"0.1.2"' })).status).toBe(200);
  });

  it("lets one of many writers win at a time", async () => {
    const [first] = await moveHeads(1);
    const rivals = Array.from({ length: 8 }, (_, i) => snapshotOf(first!, { message: `rival ${i}` }));
    // Only KV has them: all moves wait for it at once.
    for (const rival of rivals) await bindings.CONFIG.put(rival.key, rival.bytes);
    const answers = await Promise.all(rivals.map((rival) => putHead(headOf(rival.hash, 2), { "If-Match": '"0.1.1"' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
  });

  it("is renewed by one of many at a time as well, where no parent tells them apart", async () => {
    const [first] = await moveHeads(1);
    await inFleet((_, state) => void state.storage.sql.exec("DELETE FROM recent"));
    gatherReads("snapshots/", 4);
    const renewed = (i: number) => putHead(headOf(first!, 2, { validUntil: `2030-01-0${i}T00:00:00Z` }), { "If-Match": '"0.1.1"' });
    const answers = await Promise.all([1, 2, 3, 4].map(renewed));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412, 412, 412]);
  });

  it("answers 304 to a poll that has the newest, with one read of KV at most and no write", async () => {
    const clock = clockAt(FUTURE);
    await moveHeads(1);
    const device = await deviceToken("edge-1");
    const poll = async () => {
      const answer = await ask("GET", valuePath("CONFIG", "head"), {
        as: device,
        headers: { "If-None-Match": '"0.1.1"' },
      });
      expect([answer.status, answer.headers.get("ETag")]).toEqual([304, '"0.1.1"']);
    };
    await poll();
    const operations = countOperations();
    for (let i = 0; i < 10; ++i) await poll();
    expect(operations.counts).toEqual({ reads: 0, writes: 0 }); // the token is remembered for a minute
    for (let i = 0; i < 96; ++i) {
      clock.advance(15 * 60_000);
      await poll();
    }
    await delivered();
    expect(operations.counts).toEqual({ reads: 96, writes: 0 });
  });
});

describe("the decision to move", () => {
  const head = (revision: number, more: object = {}) =>
    Head.parse({ ...JSON.parse(headOf("0".repeat(64), revision)), ...more });
  const at = (revision: number) => ({ head: head(revision), etag: `0.1.${revision}` });
  it("refuses another fleet's head unless the store is founded anew", () => {
    expect(checkCondition(at(1), head(2, { fleet: "b" }), { ifMatch: "0.1.1", ifNoneMatch: false })).toMatchObject({
      status: 400,
    });
    expect(checkCondition(at(1), head(1, { fleet: "b", epoch: 2 }), { ifMatch: "0.1.1", ifNoneMatch: false })).toEqual({
      move: true,
    });
  });
  it("orders by trust, epoch, revision", () => {
    expect(checkCondition(at(5), head(1, { trust: 1, epoch: 0 }), { ifMatch: "0.1.5", ifNoneMatch: false })).toEqual({
      move: true,
    });
    expect(checkCondition(at(5), head(9, { epoch: 0 }), { ifMatch: "0.1.5", ifNoneMatch: false })).toMatchObject({
      status: 400,
    });
  });
  it("needs no parent for the first head", () => {
    const snapshot = Snapshot.parse(JSON.parse(snapshotOf("f".repeat(64)).bytes));
    expect(checkSnapshot(undefined, head(1), snapshot)).toEqual({ move: true });
  });
  it("takes no head with numbers that not every language has", () => {
    expect(parseHead(headOf("0".repeat(64), 2 ** 53))).toMatch(/revision/);
    expect(typeof parseHead(headOf("0".repeat(64), 2 ** 53 - 1))).toBe("object");
  });
});

describe("a commit", () => {
  const pairs = (...more: { key: string; value: string; metadata?: unknown }[]) => JSON.stringify(more);
  const commit = (body: string, headers: Record<string, string>, as?: string) =>
    call("PUT", `${KV}/CONFIG/bulk`, { body, headers, ...(as === undefined ? {} : { as }) });
  const rows = () => inFleet((_, state) => state.storage.sql.exec("SELECT key FROM outbox WHERE kind='mirror-value'").toArray().length);

  it("stores a change and moves the head as one, and tells the nodes of both", async () => {
    const [first] = await moveHeads(1);
    expect((await ask("GET", valuePath("CONFIG", "head"))).headers.get("Mcpfleet-Commit")).toBe("262144");
    const device = await deviceToken("edge-1");
    expect((await ask("GET", valuePath("CONFIG", "head"), { as: device })).headers.get("Mcpfleet-Commit")).toBeNull();
    const node = await watch(device);
    await node.next((text) => text.includes('"revision":1'));
    const next = snapshotOf(first!, { message: "all at once" });
    const body = pairs({ key: next.key, value: next.bytes, metadata: { written: 7 } }, { key: "head", value: headOf(next.hash, 2) });
    expect(await commit(body, { "If-Match": '"0.1.1"' })).toMatchObject({ status: 200 });
    expect(await node.next((text) => text.includes('"values"'))).toContain("all at once");
    await node.next((text) => text.includes('"revision":2'));
    expect(await textOf(ask("GET", valuePath("CONFIG", next.key)))).toBe(next.bytes);
    await delivered();
    expect((await bindings.CONFIG.getWithMetadata(next.key)).metadata).toEqual({ written: 7 });
    // Again, as after an answer that was lost.
    expect(await commit(body, { "If-Match": '"0.1.1"' })).toMatchObject({ status: 412, code: 10040 });
    expect(await call("GET", "/v1/audit")).toMatchObject({ result: [{ what: "head", detail: expect.stringContaining("0.1.2") as string }, {}, {}] });
  });

  it("does nothing at all when the head may not move", async () => {
    await moveHeads(1);
    const stranger = snapshotOf("", { message: "from nothing" });
    const of = (revision: number) => pairs({ key: stranger.key, value: stranger.bytes }, { key: "head", value: headOf(stranger.hash, revision) });
    expect(await commit(of(2), { "If-Match": '"0.1.1"' })).toMatchObject({ status: 412 });
    expect(await commit(of(2), { "If-Match": '"0.1.0"' })).toMatchObject({ status: 412 });
    expect(await commit(of(2), {})).toMatchObject({ status: 428 });
    expect((await ask("GET", valuePath("CONFIG", stranger.key))).status).toBe(404);
    expect(await rows()).toBe(0);
  });

  it("takes values by hash and one head, from operators, and not too much", async () => {
    const first = snapshotOf("");
    const head = { key: "head", value: headOf(first.hash, 1) };
    const value = { key: first.key, value: first.bytes };
    const none = { "If-None-Match": "*" };
    expect(await commit(pairs(value), none)).toMatchObject({ status: 400, message: "a commit has one head" });
    expect(await commit(pairs(value, head, head), none)).toMatchObject({ status: 400 });
    expect(await commit(pairs({ key: "notes/1", value: "x" }, head), none)).toMatchObject({ status: 400 });
    expect(await commit(pairs({ ...value, value: "other bytes" }, head), none)).toMatchObject({ status: 400 });
    expect(await commit(pairs({ ...value, metadata: "m".repeat(300_000) }, head), none)).toMatchObject({ status: 413 });
    expect(await commit(pairs(value, head), none, VIEWER)).toMatchObject({ status: 403 });
    expect(await commit(pairs(value, head), none, await deviceToken("edge-1"))).toMatchObject({ status: 403 });
    expect(await commit(pairs(value, head), none)).toMatchObject({ status: 200 });
  });

  it("keeps the values until KV has them, however long that takes", async () => {
    const clock = clockAt(FUTURE);
    const first = snapshotOf("");
    failWrites(first.key, 8);
    expect(await commit(pairs({ key: first.key, value: first.bytes }, { key: "head", value: headOf(first.hash, 1) }), { "If-None-Match": "*" })).toMatchObject({ status: 200 });
    await delivered();
    await evict();
    for (let minute = 0; minute < 15; ++minute) {
      clock.advance(60_000);
      await putBlob(snapshotOf("", { message: `minute ${minute}` }).key, snapshotOf("", { message: `minute ${minute}` }).bytes); // prunes
      expect((await ask("GET", valuePath("CONFIG", first.key))).status).toBe(200);
      await alarm();
    }
    expect(await bindings.CONFIG.get(first.key)).toBe(first.bytes);
    expect(await rows()).toBe(0);
  });

  it("is refused for a moment while gc deletes one of its values", async () => {
    const first = snapshotOf("");
    await inFleet((instance) => instance.beginDeletion([first.key]));
    const body = pairs({ key: first.key, value: first.bytes }, { key: "head", value: headOf(first.hash, 1) });
    const refused = await commit(body, { "If-None-Match": "*" });
    expect(refused).toMatchObject({ status: 503 });
    await inFleet((instance) => instance.endDeletion([first.key]));
    expect(await commit(body, { "If-None-Match": "*" })).toMatchObject({ status: 200 });
  });
});

describe("the outbox", () => {
  it("tells the watchers and the mirror after a death between commit and send", async () => {
    await moveHeads(1);
    const plain = await watch(await deviceToken("edge-1"), {});
    expect(await plain.next()).toContain('"revision":1');
    const next = snapshotOf(JSON.parse((await bindings.CONFIG.get("head"))!).snapshot, { message: "two" });
    await putBlob(next.key, next.bytes);
    const body = headOf(next.hash, 2);
    // The object commits and gets no further.
    await inFleet(async (instance) => {
      (instance as unknown as { kick(): void }).kick = () => {};
      expect(await instance.commit([], body, { ifMatch: "0.1.1", ifNoneMatch: false }, "")).toEqual({ move: true });
    });
    expect(plain.texts).toHaveLength(1);
    expect(await bindings.CONFIG.get("head")).toContain('"revision":1');
    await evict();
    await alarm(); // which may have come by itself
    expect(await plain.next()).toBe(body);
    // The mirror may be written once a second.
    await inFleet((_, state) => void state.storage.sql.exec("UPDATE outbox SET due=0"));
    await alarm();
    expect(await bindings.CONFIG.get("head")).toBe(body);
    await inFleet((_, state) => expect(state.storage.sql.exec("SELECT * FROM outbox").toArray()).toEqual([]));
  });

  it("mirrors many moves with few writes, at most one a second, and never reads the mirror", async () => {
    const clock = clockAt(FUTURE);
    const operations = countOperations();
    await moveHeads(5); // each a moment after the other
    expect(operations.writesOf("head")).toBe(1);
    clock.advance(1000);
    await alarm();
    expect(operations.writesOf("head")).toBe(2);
    expect(JSON.parse((await bindings.CONFIG.get("head"))!).revision).toBe(5);
    await bindings.CONFIG.put("head", headOf("e".repeat(64), 99));
    expect(await textOf(ask("GET", valuePath("CONFIG", "head")))).toContain('"revision":5');
  });

  it("tries a write that failed again later", async () => {
    const clock = clockAt(FUTURE);
    failWrites("head", 2);
    await moveHeads(1);
    expect(await bindings.CONFIG.get("head")).toBeNull();
    clock.advance(1000);
    await alarm();
    expect(await bindings.CONFIG.get("head")).toBeNull();
    clock.advance(2000);
    await alarm();
    expect(await bindings.CONFIG.get("head")).toContain('"revision":1');
  });
});
