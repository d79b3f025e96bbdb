import { describe, expect, it } from "vitest";
import { bytesText, coresText, inShort, linesOf, mergeUsage, MOST_EVENTS, MOST_SAMPLES, NO_USAGE, perMinute, type Sample, timeText } from "../../src/lib/usage";

const sample = (at: number, more: Partial<Sample> = {}): Sample => ({ at, seconds: 60, cpu: 0.5, memory: 1, sessions: 0, calls: 0, errors: 0, p50: null, p99: null, ...more });
const event = (time: string, count = 1, message = "m") => ({ time, firstTime: "2026-01-01T00:00:00Z", type: "Warning", reason: "BackOff", message, count });

describe("usage", () => {
  it("is merged by time, each sample once, and bounded", () => {
    const one = mergeUsage(NO_USAGE, { samples: [sample(60_000), sample(120_000)] });
    const two = mergeUsage(one, { samples: [sample(125_000), sample(60_000, { cpu: 1 })] });
    expect(two.samples.map(({ at, cpu }) => [at, cpu])).toEqual([[60_000, 1], [120_000, 0.5], [125_000, 0.5]]);
    const long = mergeUsage(NO_USAGE, { samples: Array.from({ length: 2000 }, (_, at) => sample(at)) });
    expect([long.samples.length, long.samples.at(-1)!.at]).toEqual([MOST_SAMPLES, 1999]);
    expect(mergeUsage(NO_USAGE, { samples: [] }).heard).toBe(true);
  });
  it("has an event that happens again once, the newest first, bounded", () => {
    const one = mergeUsage(NO_USAGE, { samples: [], events: [event("2026-01-01T00:00:00Z"), event("2026-01-02T00:00:00Z", 1, "n")] });
    const two = mergeUsage(one, { samples: [], events: [event("2026-01-03T00:00:00Z", 2)] });
    expect(two.events.map(({ message, count }) => [message, count])).toEqual([["m", 2], ["n", 1]]);
    const many = mergeUsage(NO_USAGE, { samples: [], events: Array.from({ length: 500 }, (_, index) => event("2026-01-01T00:00:00Z", 1, String(index))) });
    expect(many.events).toHaveLength(MOST_EVENTS);
  });
  it("is drawn with a gap where nothing was measured", () => {
    const { x, y } = linesOf([sample(0), sample(60_000), sample(600_000), sample(605_000, { seconds: 5 })], [({ cpu }) => cpu]);
    expect(y[0]).toEqual([0.5, 0.5, null, 0.5, 0.5]);
    expect(x).toHaveLength(5);
    expect([...x].sort((a, b) => a - b)).toEqual(x);
  });
  it("is said in units that people read", () => {
    expect([coresText(0), coresText(0.0004), coresText(0.254), coresText(1), coresText(12.34)]).toEqual(["0 cores", "<0.001 cores", "0.25 cores", "1 core", "12.3 cores"]);
    expect([bytesText(12), bytesText(96 * 2 ** 20), bytesText(1.5 * 2 ** 30)]).toEqual(["12 B", "96.0 MiB", "1.5 GiB"]);
    expect([timeText(0.5), timeText(17.5), timeText(1234), timeText(300_000)]).toEqual(["0.50 ms", "17.5 ms", "1.23 s", "5 min"]);
    expect([perMinute(3, 5), perMinute(1, 0)]).toEqual([36, null]);
    expect(inShort([1, null, 3], String)).toBe("from 1 to 3, now 3");
    expect(inShort([null], String)).toBe("nothing measured");
  });
});
