import { describe, expect, it } from "vitest";
import { byName } from "../../src/lib/natural";
import { isBehind } from "../../src/live/rows";

describe("names", () => {
  it("with numbers are in the order of these", () => {
    expect(["edge-10", "edge-9", "edge-100", "edge-09", "a", "edge", "edge-1-2", "edge-1-10"].sort(byName)).toEqual(["a", "edge", "edge-1-2", "edge-1-10", "edge-09", "edge-9", "edge-10", "edge-100"]);
  });
  it("that differ are never equal", () => {
    for (const [a, b] of [["n-01", "n-1"], ["n1", "n01"], ["9".repeat(30), "9".repeat(31)]] as const) {
      expect(byName(a, b)).not.toBe(0);
      expect(byName(b, a)).toBe(-byName(a, b));
    }
  });
});

describe("a version", () => {
  it("is behind when it is older, and not when it is newer than what was told", () => {
    expect([isBehind("0.1.9", "0.1.10"), isBehind("0.1.10", "0.1.9"), isBehind("0.1.9", "0.1.9"), isBehind("0.2.1", "0.1.9"), isBehind("", "0.1.9"), isBehind("1.1.1", "2.1.0")]).toEqual([true, false, false, false, true, true]);
  });
});
