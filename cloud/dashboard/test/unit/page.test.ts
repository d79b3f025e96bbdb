import { describe, expect, it } from "vitest";
import { isGone } from "../../src/lib/gone";
import { namesOf, titleOf } from "../../src/lib/title";

describe("a page's name", () => {
  it("is that of its place, and of what is looked at there", () => {
    expect(titleOf("/")).toBe("Overview · mcpfleet");
    expect(titleOf("/servers")).toBe("Servers · mcpfleet");
    expect(titleOf("/servers/default/weather")).toBe("weather · Servers · mcpfleet");
    expect(titleOf("/nodes/edge-01.example.com/")).toBe("edge-01.example.com · Nodes · mcpfleet");
    expect(namesOf("/nodes/a%20b")).toEqual(["a b", "Nodes"]);
    expect(namesOf("/nodes/%")).toEqual(["%", "Nodes"]);
    expect(titleOf("/nothing/here")).toBe("No such page · mcpfleet");
    expect(titleOf("/toString")).toBe("No such page · mcpfleet");
  });
});

describe("a part of the page", () => {
  it("that could not be loaded is told from a defect, in every browser's words", () => {
    for (const words of [
      "Failed to fetch dynamically imported module: https://fleet.example.com/-/assets/diff-1.js",
      "error loading dynamically imported module: https://fleet.example.com/-/assets/diff-1.js",
      "Importing a module script failed.",
      "Unable to preload CSS for /-/assets/usage-1.css",
    ])
      expect(isGone(new TypeError(words)), words).toBe(true);
    for (const other of [new TypeError("Failed to fetch"), new Error("there is no answer"), "Importing a module script failed.", undefined]) expect(isGone(other)).toBe(false);
  });
});
