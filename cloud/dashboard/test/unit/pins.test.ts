import { describe, expect, it } from "vitest";
import { pinningInWords, pinStateOf, toolRows } from "../../src/lib/pins";

const pins = { a: "1", b: "2", c: "3" };
const told = (message: string, status = "False") => ({ status, message });
const states = (names: string[], spec: Parameters<typeof pinStateOf>[1], ...each: Parameters<typeof pinStateOf>[2]) => names.map((name) => pinStateOf(name, spec, each));

describe("pins of tools", () => {
  it("are told for each tool, from the manifest and the node's condition", () => {
    const message = told("changed: a; missing: c; not pinned: x");
    expect(states(["a", "b", "c", "x"], { pins }, message)).toEqual(["changed", "pinned", "missing", "not pinned"]);
    expect(states(["a"], { pins: {} }, message)).toEqual([undefined]);
    expect(states(["a"], { pins, pinning: "Off" }, message)).toEqual([undefined]);
    expect(states(["a"], undefined)).toEqual([undefined]);
    expect(states(["toString"], { pins }, told("", "True"))).toEqual(["not pinned"]);
  });
  it("are not known where the node's list ends early, or it has not listed them yet, or tells nothing", () => {
    expect(states(["a", "b"], { pins }, told("changed: a and 3 more"))).toEqual(["changed", "not known"]);
    expect(states(["a", "x"], { pins }, told("its tools were not listed yet", "Unknown"))).toEqual(["not known", "not pinned"]);
    expect(states(["a"], { pins })).toEqual(["not known"]);
    expect(states(["a"], { pins }, undefined)).toEqual(["not known"]);
  });
  it("are as bad as on the worst node", () => {
    expect(states(["a", "b"], { pins }, told("", "True"), told("missing: a"))).toEqual(["missing", "pinned"]);
  });
});

describe("the list of tools", () => {
  it("has also what is pinned and gone, in the order of the server", () => {
    expect(toolRows({ pins }, [told("missing: c")], ["a", "b"], ["b", "a"])).toEqual([
      { name: "b", state: "pinned", away: "" },
      { name: "a", state: "pinned", away: "" },
      { name: "c", state: "missing", away: "it is pinned, and the server has it no more" },
    ]);
  });
  it("is what the status says when nobody can ask, and nothing is said to be kept away", () => {
    expect(toolRows({ pins }, [told("changed: a; missing: c; not pinned: x")], ["x", "b", "a"], undefined).map(({ name, state, away }) => [name, state, away !== ""])).toEqual([
      ["a", "changed", false],
      ["b", "pinned", false],
      ["c", "missing", true],
      ["x", "not pinned", false],
    ]);
    expect(toolRows(undefined, [], ["a"], undefined)).toEqual([{ name: "a", state: undefined, away: "" }]);
  });
  it("says why a client does not get one", () => {
    const why = (spec: Parameters<typeof toolRows>[0]) => Object.fromEntries(toolRows(spec, [told("changed: a; not pinned: x")], ["a", "b", "x"], ["b"]).map(({ name, away }) => [name, away]));
    expect(why({ pins: { a: "1", b: "2" }, pinning: "Block" })).toEqual({ a: "kept from clients: pinning is Block", b: "", x: "kept from clients: pinning is Block" });
    expect(why({ deny: ["x"], allow: ["b", "x"] })).toEqual({ a: "kept from clients by spec.tools.allow or deny", b: "", x: "kept from clients by spec.tools.allow or deny" });
    expect(toolRows({ deny: ["c"], pins }, [told("", "True")], ["a", "b"], ["a", "b"]).at(-1)).toMatchObject({ name: "c", state: undefined });
  });
  it("has the mode of pinning in words", () => {
    const words = (spec: Parameters<typeof pinningInWords>[0]) => pinningInWords(spec, true, "maps");
    expect(words({ pins })).toMatch(/^Pinning is Warn/);
    expect(words({ pins, pinning: "Block" })).toMatch(/^Pinning is Block/);
    expect(words({ pins, pinning: "Off" })).toMatch(/^Pinning is Off/);
    expect(words(undefined)).toContain("mcpctl tools lock maps");
    expect(pinningInWords({ pins }, false, "maps")).toBe("");
  });
});
