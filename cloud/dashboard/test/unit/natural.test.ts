import { describe, expect, it } from "vitest";
import { byName } from "../../src/lib/natural";

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
