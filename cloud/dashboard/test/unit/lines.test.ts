import { describe, expect, it } from "vitest";
import { type Line, mergeLines, type Read, readAll, readTail, scrolled } from "../../src/lib/lines";
import { fromField, toField, windowOf } from "../../src/lib/log_time";

const line = (time: string, text = time): Line => ({ time, node: "n", stream: "stdout", text, server: "d/s" });
const T0 = Date.parse("2026-11-28T00:00:00Z");
const HOUR = 3_600_000;

// A store with a line at each of these times; it reads forward, 1000 lines at once, as the Worker does.
function storeOf(times: readonly number[]) {
  const sorted = [...times].sort((a, b) => a - b);
  let reads = 0;
  const read: Read = (from, until, after) => {
    ++reads;
    const found = sorted.flatMap((time, index) => (time >= from && time < until ? [{ time, index }] : [])).slice(after === "" ? 0 : Number(after));
    const next = found.length > 1000 ? String((after === "" ? 0 : Number(after)) + 1000) : "";
    return Promise.resolve({ lines: found.slice(0, 1000).map(({ time, index }) => line(new Date(time).toISOString(), String(index))), next, missing: 0 });
  };
  return { read, reads: () => reads };
}
const texts = (lines: readonly Line[]) => lines.map(({ text }) => text);

describe("lines", () => {
  it("come once, in order, and not without bound", () => {
    const one = mergeLines([line("1"), line("3")], [line("3"), line("2"), line("4")]);
    expect(one.map(({ time }) => time)).toEqual(["1", "2", "3", "4"]);
    expect(mergeLines(one, [line("4")])).toBe(one);
    expect(mergeLines([], Array.from({ length: 20 }, (_, at) => line(String(at).padStart(2, "0"))), 5).map(({ time }) => time)).toEqual(["15", "16", "17", "18", "19"]);
  });
  it("come once, however far back they are read again", () => {
    const all = Array.from({ length: 5000 }, (_, at) => line(String(at).padStart(4, "0")));
    expect(mergeLines(all, all.slice(0, 100))).toBe(all);
    expect(mergeLines(all, [...all.slice(10, 20), line("9999")])).toHaveLength(5001);
  });
  it("that are equal are as many as were written, also when they come again", () => {
    const json = ["{", "  a: {", "    x: 1", "  },", "  b: {", "    x: 1", "  }", "}"].map((text) => line("1", text));
    const live = mergeLines([], json);
    expect(texts(live)).toEqual(texts(json));
    expect(mergeLines(live, json)).toBe(live);
    expect(texts(mergeLines(json.slice(0, 3), json)).sort()).toEqual(texts(json).sort());
  });
});

describe("the newest lines", () => {
  it("are read first, in few readings, and then those before them", async () => {
    const { read, reads } = storeOf(Array.from({ length: 50_000 }, (_, at) => T0 + at * 200)); // 5 a second
    const until = T0 + 10_000_000;
    const newest = await readTail(read, T0, until, 2000);
    expect(newest.lines.length).toBeGreaterThanOrEqual(2000);
    expect(newest.lines.at(-1)!.text).toBe("49999");
    expect(reads()).toBeLessThan(12);
    const before = await readTail(read, T0, newest.from, 2000);
    const joined = [...before.lines, ...newest.lines];
    expect(Number(joined[0]!.text) + joined.length).toBe(50_000); // no gap, none twice
  });
  it("of a quiet week are found by longer and longer times, and the end is known", async () => {
    const { read, reads } = storeOf([T0 + 1, T0 + 167 * HOUR]);
    const part = await readTail(read, T0, T0 + 168 * HOUR, 2000);
    expect(texts(part.lines)).toEqual(["0", "1"]);
    expect(part.from).toBe(T0);
    expect(reads()).toBeLessThan(12);
  });
  it("of a burst that one reading can't hold are complete down to where it says", async () => {
    const { read } = storeOf(Array.from({ length: 60_000 }, (_, at) => T0 + HOUR - 60_000 + at)); // a thousand a second, for a minute
    const part = await readTail(read, T0, T0 + HOUR, 2000);
    expect(part.lines.at(-1)!.text).toBe("59999");
    expect(Number(part.lines[0]!.text) + part.lines.length).toBe(60_000);
  });
  it("end with a bounded number of readings", async () => {
    let reads = 0;
    const endless: Read = () => Promise.resolve({ lines: [line(String(++reads))], next: "1", missing: 0 });
    const part = await readTail(endless, T0, T0 + HOUR, 2000);
    expect(reads).toBeLessThanOrEqual(24);
    expect(part.missing).toBeGreaterThan(0);
  });
});

describe("a file of lines", () => {
  it("has all of the time, or says that it is cut", async () => {
    const { read } = storeOf(Array.from({ length: 3500 }, (_, at) => T0 + at));
    const told: number[] = [];
    expect(await readAll(read, T0, T0 + HOUR, 10_000, (count) => told.push(count))).toMatchObject({ cut: false, lines: { length: 3500 } });
    expect(told).toEqual([1000, 2000, 3000, 3500]);
    expect(await readAll(read, T0, T0 + HOUR, 2500, () => undefined)).toMatchObject({ cut: true, lines: { length: 2500 } });
  });
});

describe("the time of logs", () => {
  it("is a length until now, or what somebody chose", () => {
    expect(windowOf({}, T0)).toEqual({ since: T0 - HOUR, until: T0, open: true, chosen: false });
    expect(windowOf({ range: "15m" }, T0).since).toBe(T0 - HOUR / 4);
    expect(windowOf({ from: "2026-11-27T00:00:00Z" }, T0)).toEqual({ since: T0 - 24 * HOUR, until: T0, open: true, chosen: true });
    expect(windowOf({ from: "2026-11-27T00:00:00Z", until: "2026-11-27T01:00:00Z" }, T0)).toEqual({ since: T0 - 24 * HOUR, until: T0 - 23 * HOUR, open: false, chosen: true });
  });
  it("goes to a field and back", () => {
    const iso = "2026-11-27T12:34:56.000Z";
    expect(fromField(toField(iso))).toBe(iso);
    expect([toField(undefined), fromField("")]).toEqual(["", ""]);
  });
});

describe("the reader of lines", () => {
  const box = (scrollTop: number, scrollHeight: number) => ({ scrollTop, scrollHeight, clientHeight: 400 });
  it("stays at the end when more lines came before the event of the scrolling", () => {
    const end = scrolled({ top: 0, atEnd: true }, box(600, 1000));
    expect(end).toEqual({ top: 600, atEnd: true });
    expect(scrolled(end, box(600, 5000)).atEnd).toBe(true);
    expect(scrolled(end, box(900, 5000)).atEnd).toBe(true);
  });
  it("leaves the end by scrolling up, and is back when it is reached", () => {
    const up = scrolled({ top: 4600, atEnd: true }, box(4000, 5000));
    expect(up).toEqual({ top: 4000, atEnd: false });
    expect(scrolled(up, box(4200, 5000)).atEnd).toBe(false);
    expect(scrolled(up, box(4580, 5000)).atEnd).toBe(true);
  });
});
