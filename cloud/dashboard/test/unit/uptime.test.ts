import { describe, expect, it } from "vitest";
import { onSome, spread, uptimeText } from "../../src/lib/uptime";

const DAY = 86_400;

describe("an uptime", () => {
  it("says no more than what is known", () => {
    const text = (ratio: number | null, knownSeconds: number) => uptimeText({ ratio, knownSeconds });
    expect(text(null, 0)).toBe("not known yet");
    expect([text(1, 10), text(1, 130), text(0.5, 5 * 3600), text(1, 2 * DAY)]).toEqual(["100 % of the 1 min known", "100 % of the 2 min known", "50.00 % of the 5 h known", "100 % of the 2 days known"]);
    // The last minute is rounded away: that is still the whole week.
    expect([text(0.875, 7 * DAY), text(1, 7 * DAY - 90)]).toEqual(["87.50 % of 7 days", "100 % of 7 days"]);
  });
  it("of many nodes is that of some, from all over the list", () => {
    const nodes = Array.from({ length: 200 }, (_, index) => index);
    expect(spread(nodes, 4)).toEqual([0, 50, 100, 150]);
    expect(spread(nodes.slice(0, 3), 4)).toEqual([0, 1, 2]);
    expect(new Set(spread(nodes.slice(0, 21), 20)).size).toBe(20);
    expect(spread([], 4)).toEqual([]);
    expect([onSome(20, 200), onSome(3, 3)]).toEqual([", on 20 of 200 nodes", ""]);
  });
});
