import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Message } from "../../src/live/messages";
import { LiveSocket } from "../../src/live/socket";
import type { Link } from "../../src/live/store";

// A socket that the test opens, speaks by and closes.
class Played {
  readyState = 0;
  said: string[] = [];
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string): void {
    if (this.readyState !== 1) throw new Error("not open");
    this.said.push(text);
  }
  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.();
  }
  hello(pingSeconds = 30): void {
    this.readyState = 1;
    this.say({ type: "hello", name: "ada", down: { sequence: 1, nodes: [], frozen: false }, hints: { pingSeconds } });
  }
  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", { OPEN: 1 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function made() {
  const sockets: Played[] = [];
  const links: Link[] = [];
  const taken: Message[] = [];
  const answers: ((may: "yes" | "no" | "unknown") => void)[] = [];
  const live = new LiveSocket({
    open: () => {
      sockets.push(new Played());
      return sockets.at(-1) as unknown as WebSocket;
    },
    maySpeak: () => new Promise((resolve) => answers.push(resolve)),
    since: () => "b.7",
    take: (message) => taken.push(message),
    link: (link) => links.push(link),
  });
  const answer = async (may: "yes" | "no" | "unknown") => {
    answers.shift()!(may);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { live, sockets, links, taken, answer };
}

describe("the socket", () => {
  it("says what it saw last and what is looked at, again after each reconnect", async () => {
    const { live, sockets, links, answer } = made();
    live.setFollow({ namespace: "d", server: "a" });
    live.start();
    sockets[0]!.hello();
    live.setMeasure({ node: "n" });
    expect(sockets[0]!.said.map((text) => (JSON.parse(text) as { type: string }).type)).toEqual(["sync", "follow", "measure"]);
    expect(JSON.parse(sockets[0]!.said[0]!)).toEqual({ type: "sync", since: "b.7" });
    sockets[0]!.close();
    await answer("yes");
    await vi.advanceTimersByTimeAsync(500);
    sockets[1]!.hello();
    expect(sockets[1]!.said).toHaveLength(3);
    expect(links).toEqual(["connecting", "live", "lost", "connecting", "live"]);
  });
  it("waits longer each time, and not at all when it is told to hurry", async () => {
    const { live, sockets, answer } = made();
    live.start();
    for (const most of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      const before = sockets.length;
      sockets.at(-1)!.close();
      await answer("unknown");
      await vi.advanceTimersByTimeAsync(most / 2 - 1);
      expect(sockets).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(most / 2 + 1);
      expect(sockets).toHaveLength(before + 1);
    }
    sockets.at(-1)!.close();
    await answer("unknown");
    const before = sockets.length;
    live.hurry();
    expect(sockets).toHaveLength(before + 1);
  });
  it("opens one socket, not two, when it is told to hurry while it asks whether it may speak", async () => {
    const { live, sockets, answer } = made();
    live.start();
    sockets[0]!.hello();
    sockets[0]!.close();
    live.hurry();
    expect(sockets).toHaveLength(2);
    sockets[1]!.hello();
    await answer("yes");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(2);
    expect(sockets[1]!.said.filter((text) => text.includes("sync"))).toHaveLength(1);
  });
  it("stays closed when it is stopped while it asks whether it may speak, whatever the answer", async () => {
    for (const may of ["yes", "no"] as const) {
      const { live, sockets, links, answer } = made();
      live.start();
      sockets[0]!.close();
      live.stop();
      await answer(may);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(sockets).toHaveLength(1);
      expect(links).toEqual(["connecting", "lost"]);
    }
  });
  it("leaves alone who is signed out", async () => {
    const { live, sockets, links, answer } = made();
    live.start();
    sockets[0]!.close();
    await answer("no");
    await vi.advanceTimersByTimeAsync(60_000);
    live.hurry();
    expect(sockets).toHaveLength(1);
    expect(links.at(-1)).toBe("signed-out");
  });
  it("closes a connection that says nothing any more", async () => {
    const { live, sockets } = made();
    live.start();
    sockets[0]!.hello(30);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets[0]!.said.filter((text) => text === "ping")).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(sockets[0]!.readyState).toBe(3);
  });
  it("waits neither for a connection that does not end when it is closed, nor for ever for the answer whether it may speak", async () => {
    const { live, sockets, links } = made();
    live.setFollow({ namespace: "d", server: "a" });
    live.start();
    sockets[0]!.hello(10);
    sockets[0]!.close = () => undefined; // the other end is gone: its browser waits for the last word
    await vi.advanceTimersByTimeAsync(31_000);
    expect(links.at(-1)).toBe("lost");
    await vi.advanceTimersByTimeAsync(10_500); // nobody answers that either
    expect(sockets).toHaveLength(2);
    sockets[1]!.hello(10);
    expect(sockets[1]!.said.map((text) => (JSON.parse(text) as { type: string }).type)).toEqual(["sync", "follow"]);
    sockets[0]!.onclose?.(); // at last
    expect(links.at(-1)).toBe("live");
    live.stop();
  });
  it("hears nothing from a socket that another one has replaced", () => {
    const { live, sockets, taken } = made();
    live.start();
    live.stop();
    live.start();
    sockets[0]!.say({ type: "alert", state: "raised" });
    expect(taken).toEqual([]);
    sockets[1]!.say({ type: "alert", state: "raised" });
    expect(taken).toHaveLength(1);
  });

  it("asks again for what it was told to wait with", async () => {
    const { live, sockets, taken } = made();
    live.start();
    sockets[0]!.hello();
    live.setFollow({ namespace: "d", server: "a" });
    const said = sockets[0]!.said.length;
    sockets[0]!.say({ type: "error", message: "follow: more than 20 in 10 s; wait" });
    sockets[0]!.say({ type: "error", message: "sync: more than 20 in 10 s; wait" });
    live.setFollow({ namespace: "d", server: "b" });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(sockets[0]!.said.slice(said).map((text) => JSON.parse(text))).toEqual([
      { type: "follow", namespace: "d", server: "b" },
      { type: "sync", since: "b.7" },
      { type: "follow", namespace: "d", server: "b" },
    ]);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(sockets[0]!.said.length, "once").toBe(said + 3);
    sockets[0]!.say({ type: "error", message: "not ours" });
    expect(taken.map(({ type }) => type), "no news of the fleet").toEqual(["hello"]);
    live.stop();
  });

  it("tries another connection when one is taken and nothing is said", async () => {
    const { live, sockets, links, answer } = made();
    live.start();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(sockets[0]!.readyState).toBe(3);
    await answer("yes");
    await vi.advanceTimersByTimeAsync(1000);
    expect(sockets).toHaveLength(2);
    sockets[1]!.hello();
    await vi.advanceTimersByTimeAsync(29_000);
    expect(links.at(-1)).toBe("live");
    live.stop();
  });
});
