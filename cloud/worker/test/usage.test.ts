// What servers use, live: relayed to who looks, bounded, kept nowhere.
import { describe, expect, it } from "vitest";
import { LOOKS, MEASURED_SERVERS, USAGE_BYTES, USAGE_SAMPLES } from "../src/limits.js";
import { measuredOf, partFor, type UsageSample } from "../src/fleet/usage.js";
import { clockAt, deviceToken, evict, freshAccount, FUTURE, inFleet, OPERATOR, ring, VIEWER, watch, type Watcher } from "./kit.js";
import { countOperations } from "./operations.js";

freshAccount();

const sample = (more: Partial<UsageSample> = {}): UsageSample => ({ at: 1_795_000_000_000, seconds: 60, cpu: 0.25, memory: 1e8, sessions: 2, calls: 10, errors: 1, p50: 12.5, p99: 80, ...more });
const event = { time: "2026-11-28T10:00:00Z", firstTime: "2026-11-28T09:00:00Z", type: "Warning", reason: "BackOff", message: "m", count: 3 };
const usage = (server: string, more: object = {}) => ({ namespace: "default", server, samples: [sample()], ...more });
const say = (watcher: Watcher, message: object) => watcher.socket.send(JSON.stringify(message));
// Waits until everything that was said before has been dealt with.
async function settled(watcher: Watcher): Promise<void> {
  say(watcher, { type: "nothing-of-this-name" });
  await watcher.message("error");
}
const usagesOf = (watcher: Watcher) => watcher.texts.map((text) => JSON.parse(text)).filter(({ type }) => type === "usage");

describe("who looks at a server", () => {
  it("is told what its node sends, an hour first, and the node is told when nobody looks any more", async () => {
    const node = await watch(await deviceToken("edge-1"));
    expect((await node.message("hello")).measure).toEqual([]);
    const viewer = await watch(VIEWER);
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    expect((await node.message("measure")).servers).toEqual([{ namespace: "default", server: "a", history: true }]);
    say(node, { type: "usage", servers: [usage("a", { events: [event] }), usage("b")] });
    expect(await viewer.message("usage")).toEqual({ type: "usage", node: "edge-1", servers: [usage("a", { events: [event] })] });
    // A second one begins: he has nothing yet, of his alone.
    const operator = await watch(OPERATOR);
    say(operator, { type: "measure", namespace: "default", server: "b", node: "edge-1" });
    expect((await node.message("measure")).servers).toEqual([
      { namespace: "default", server: "a" },
      { namespace: "default", server: "b", node: "edge-1", history: true },
    ]);
    say(viewer, { type: "unmeasure" });
    expect((await node.message("measure")).servers).toEqual([{ namespace: "default", server: "b", node: "edge-1" }]);
    operator.socket.close();
    expect((await node.message("measure")).servers).toEqual([]);
  });
  it("is told of that server and node alone; of a node, the last sample of each of its servers", async () => {
    const one = await watch(await deviceToken("edge-1"));
    const two = await watch(await deviceToken("edge-2"));
    const viewer = await watch(VIEWER);
    const other = await watch(OPERATOR);
    say(viewer, { type: "measure", namespace: "default", server: "a", node: "edge-2" });
    say(other, { type: "measure", node: "edge-1" });
    await settled(viewer);
    await settled(other);
    say(one, { type: "usage", servers: [usage("a", { samples: [sample(), sample({ at: 1_795_000_060_000 })], events: [event] }), usage("b")] });
    say(two, { type: "usage", servers: [usage("a")] });
    expect(await viewer.message("usage")).toMatchObject({ node: "edge-2" });
    expect(await other.message("usage")).toEqual({ type: "usage", node: "edge-1", servers: [usage("a", { samples: [sample({ at: 1_795_000_060_000 })] }), usage("b")] });
    await settled(one);
    expect([usagesOf(viewer).length, usagesOf(other).length]).toEqual([1, 1]);
  });
  it("goes on after the object or a node was away", async () => {
    const token = await deviceToken("edge-1");
    const node = await watch(token);
    const viewer = await watch(VIEWER);
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    await node.message("measure");
    await evict();
    say(node, { type: "usage", servers: [usage("a")] });
    expect((await viewer.message("usage")).node).toBe("edge-1");
    const back = await watch(token);
    expect((await back.message("hello")).measure).toEqual([{ namespace: "default", server: "a", history: true }]);
  });
  it("leaves nothing behind: no row, no write of KV", async () => {
    const node = await watch(await deviceToken("edge-1"));
    const viewer = await watch(VIEWER);
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    await node.message("measure");
    await ring(); // the look that a node's first connect asks for
    const rows = () => inFleet((_, state) => state.storage.sql.exec("SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM status) + (SELECT count(*) FROM outbox) AS n").one().n);
    const before = await rows();
    const { counts } = countOperations();
    for (let at = 0; at < 20; ++at) say(node, { type: "usage", servers: [usage("a", { samples: [sample({ at })] })] });
    for (let at = 0; at < 20; ++at) expect((await viewer.message("usage")).servers[0].samples[0].at).toBe(at);
    expect([await rows(), counts.writes]).toEqual([before, 0]);
  });
});

describe("who has gone without a word", () => {
  it("looks no more: a page says `ping`, and three that are missing are enough", async () => {
    const clock = clockAt(FUTURE);
    const node = await watch(await deviceToken("edge-1"));
    const viewer = await watch(VIEWER);
    const sweep = async () => {
      await inFleet((_, state) => void state.storage.sql.exec("DELETE FROM notes WHERE key='sweep-at'"));
      await ring();
    };
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    expect((await node.message("measure")).servers).toHaveLength(1);
    clock.advance(80_000);
    await sweep();
    say(node, { type: "usage", servers: [usage("a")] });
    await viewer.message("usage");
    clock.advance(11_000);
    await sweep();
    expect((await node.message("measure")).servers).toEqual([]);
    say(node, { type: "usage", servers: [usage("a")] });
    await settled(node);
    expect(usagesOf(viewer)).toHaveLength(1);
  });
});

describe("bounds of usage", () => {
  it("hold for what nodes send: what is no usage is answered with an error and goes nowhere", async () => {
    const node = await watch(await deviceToken("edge-1"));
    const viewer = await watch(VIEWER);
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    await node.message("measure");
    const bad = [
      { type: "usage" },
      { type: "usage", servers: [{ namespace: "default", server: "<b>", samples: [] }] },
      { type: "usage", servers: [usage("a", { samples: Array(USAGE_SAMPLES + 1).fill(sample()) })] },
      { type: "usage", servers: [usage("a", { events: Array(51).fill(event) })] },
      { type: "usage", servers: [usage("a", { events: [{ ...event, message: "x".repeat(4097) }] })] },
      { type: "usage", servers: [usage("a", { samples: [sample({ cpu: -1 })] })] },
      { type: "usage", servers: [usage("a", { samples: [{ ...sample(), calls: 1.5 }] })] },
      { type: "usage", servers: [usage("a", { samples: [{ ...sample(), more: 1 }] })] },
      { type: "usage", servers: [usage("a", { samples: [{ ...sample(), at: "now" }] })] },
      { type: "usage", node: "edge-2", servers: [] },
    ];
    for (const message of bad) {
      say(node, message);
      expect((await node.message("error")).message, JSON.stringify(message).slice(0, 90)).not.toBe("");
    }
    say(node, { type: "usage", servers: [usage("a")] });
    await viewer.message("usage");
    expect(usagesOf(viewer)).toHaveLength(1);
  });
  it("hold for how much a node sends in a second", async () => {
    const clock = clockAt(FUTURE);
    const node = await watch(await deviceToken("edge-1"));
    const viewer = await watch(VIEWER);
    say(viewer, { type: "measure", namespace: "default", server: "a" });
    await node.message("measure");
    const large = { type: "usage", servers: [usage("a", { events: Array(50).fill({ ...event, message: "x".repeat(4000) }) })] };
    const fit = Math.floor(USAGE_BYTES / JSON.stringify(large).length);
    for (let count = 0; count <= fit; ++count) say(node, large);
    expect(await node.message("slow")).toEqual({ type: "slow", retryAfterSeconds: 1 });
    clock.advance(1000);
    say(node, large);
    await settled(node);
    expect(usagesOf(viewer)).toHaveLength(fit + 1);
  });
  it("hold for who looks: names that are none, and a page that can't settle", async () => {
    const clock = clockAt(FUTURE);
    const node = await watch(await deviceToken("edge-1"));
    const viewer = await watch(VIEWER);
    const bad = [{}, { namespace: "default" }, { server: "a" }, { namespace: "Default", server: "a" }, { node: "edge 1" }, { node: "edge-1", more: 1 }, { namespace: "", server: "", node: "" }];
    for (const at of bad) {
      say(viewer, { type: "measure", ...at });
      expect((await viewer.message("error")).message).not.toBe("");
    }
    // A name that a node would not read must reach none: it would refuse the whole message.
    say(viewer, { type: "follow", namespace: "Default", server: "a" });
    await viewer.message("error");
    clock.advance(10_000);
    for (let count = 0; count < LOOKS; ++count) say(viewer, { type: "measure", namespace: "default", server: `s${count}` });
    say(viewer, { type: "measure", namespace: "default", server: "late" });
    expect((await viewer.message("error")).message).toContain("wait");
    clock.advance(10_000);
    say(viewer, { type: "measure", namespace: "default", server: "later" });
    for (;;) {
      const { servers } = await node.message("measure");
      expect(servers).toHaveLength(1);
      expect(servers[0].server).not.toBe("late");
      if (servers[0].server === "later") break;
    }
  });
  it("hold for how many servers are looked at together, and nobody's history is lost among equals", () => {
    const look = (server: string, isNew = false) => ({ at: { namespace: "d", server }, isNew });
    expect(measuredOf([look("a"), look("b"), look("a", true)])).toEqual([{ namespace: "d", server: "a", history: true }, { namespace: "d", server: "b" }]);
    expect(measuredOf(Array.from({ length: MEASURED_SERVERS + 50 }, (_, index) => look(`s${index}`)))).toHaveLength(MEASURED_SERVERS);
    expect(partFor({ node: "n" }, "other", [usage("a")])).toEqual([]);
  });
});

describe("who may look", () => {
  it("is people: a device is answered that it says what it can't", async () => {
    const node = await watch(await deviceToken("edge-1"));
    say(node, { type: "measure", namespace: "default", server: "a" });
    expect((await node.message("error")).message).not.toBe("");
    const viewer = await watch(VIEWER);
    say(viewer, { type: "usage", servers: [usage("a")] }); // and people are no nodes
    expect((await viewer.message("error")).message).not.toBe("");
  });
});
