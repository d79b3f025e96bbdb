import { describe, expect, it } from "vitest";
import { type Deed, detailOf, filterDeeds, joined, partsOf, placeOf, subjectOf, verbOf } from "../../src/lib/audit";
import { agoOf } from "../../src/lib/format";
import { changesOf, countsOf, saidOf, toType, weighed, wordOf } from "../../src/lib/change_words";

const deed = (id: number, more: Partial<Deed> = {}): Deed => ({ id, at: id, who: "ada", what: "restart", subject: "default/weather", detail: "", ...more });
const ids = (rows: readonly Deed[]) => rows.map(({ id }) => id);

describe("the list of deeds", () => {
  it("has the newest rows once, before those that were read", () => {
    const known = [deed(5), deed(4), deed(3)];
    expect(joined([], known, 3)).toEqual({ rows: known, gap: false });
    const one = joined([deed(6), deed(5), deed(4)], known, 3);
    expect([ids(one.rows), one.gap]).toEqual([[6, 5, 4, 3], false]);
    // A fleet with fewer deeds than a page.
    expect(joined([deed(6), deed(5), deed(4), deed(3)], known, 100).gap).toBe(false);
  });
  it("knows when rows are between that nobody read", () => {
    expect(joined([deed(9), deed(8), deed(7)], [deed(5), deed(4)], 3).gap).toBe(true);
    expect(joined([deed(9), deed(8), deed(7)], [deed(7), deed(4)], 3).gap).toBe(false);
    expect(joined([deed(2), deed(1)], [], 2).gap).toBe(false);
  });
  it("is looked through by words, who and what", () => {
    const rows = [deed(3, { what: "acknowledge", subject: "CrashLoop/edge-01/default/notes" }), deed(2, { who: "bob", detail: "MCPServer/default/weather configured" }), deed(1)];
    const found = (words: string[], who = "", what = "") => ids(filterDeeds(rows, { words, who, what }));
    expect(found([])).toEqual([3, 2, 1]);
    expect(found(["weather"])).toEqual([2, 1]);
    expect(found(["weather", "-configured"])).toEqual([1]);
    expect(found(["crashloop"])).toEqual([3]);
    expect(found([], "bob")).toEqual([2]);
    expect(found([], "", "restart")).toEqual([2, 1]);
    expect(found(["weather"], "ada", "acknowledge")).toEqual([]);
  });
  it("leads to what a deed was done to", () => {
    const place = (what: string, subject: string, detail = "") => placeOf({ what, subject, detail });
    expect(place("restart", "default/weather")).toEqual({ namespace: "default", name: "weather" });
    expect(place("drain", "edge-01")).toEqual({ node: "edge-01" });
    expect(place("change", "fleet")).toBeUndefined();
    expect(place("enrol", "0123456789abcdef")).toBeUndefined();
    expect(place("enrol", "0123456789abcdef", "edge-07")).toEqual({ node: "edge-07" });
    expect(place("acknowledge", "NodeOffline/edge-01")).toEqual({ node: "edge-01" });
    expect(place("acknowledge", "ApiTokenExpires/pipeline")).toBeUndefined();
    expect(place("acknowledge", "CrashLoop/edge-01/default/weather")).toEqual({ namespace: "default", name: "weather" });
  });
  it("is a sentence: who did what to what", () => {
    const said = (what: string, subject: string, detail = "") => `${verbOf(what)} ${subjectOf({ what, subject, detail })}`;
    expect(said("restart", "default/weather")).toBe("restarted default/weather");
    expect(said("token", "edge-01")).toBe("made a token for edge-01");
    expect(said("change", "fleet")).toBe("changed the fleet");
    expect(said("acknowledge", "CrashLoop/edge-01/default/notes")).toBe("acknowledged Crash loop: default/notes on edge-01");
    expect(said("acknowledge", "NodeOffline/edge-01")).toBe("acknowledged Node offline: edge-01");
    expect(said("acknowledge", "ApiTokenExpires/a/b")).toBe("acknowledged API token expires: a/b");
    expect([said("newThing", "x"), said("constructor", "x")]).toEqual(["new thing x", "constructor x"]);
    // A token's id says nothing to anybody: the node that it is for, where that is known.
    const id = "0123456789abcdef";
    expect([said("enrol", id), said("enrol", id, "edge-07")]).toEqual(["made a join token for a node", "made a join token for edge-07"]);
    expect(detailOf({ what: "enrol", subject: id, detail: "edge-07" })).toBe("");
  });
  it("has what became of it in the page's words, once", () => {
    const detail = (what: string, subject: string, text: string) => detailOf({ what, subject, detail: text });
    expect(detail("change", "fleet", "MCPServer/default/a configured, MCPNode/b created")).toBe("MCPServer/default/a changed, MCPNode/b created");
    expect(detail("restart", "default/weather", "MCPServer/default/weather configured")).toBe("");
    expect(detail("cordon", "edge-01", "MCPNode/edge-01 configured")).toBe("");
    expect(detail("restart", "default/weather", "proposed 012: MCPServer/default/weather configured")).toBe("proposed 012: MCPServer/default/weather changed");
    expect(partsOf("MCPServer/default/weather changed").map(({ place }) => place)).toEqual([{ namespace: "default", name: "weather" }, undefined]);
    expect(filterDeeds([deed(1, { what: "change", subject: "fleet", detail: "MCPServer/default/a configured" })], { words: ["changed", "mcpserver"], who: "", what: "" })).toHaveLength(1);
  });
  it("leads from a change to its objects, but to none that is gone or whose name was cut", () => {
    const detail = "proposed 012: MCPServer/default/weather configured, MCPNode/edge-01 created, MCPServer/default/old deleted, MCPServer/default/no";
    const parts = partsOf(detail);
    expect(parts.map(({ text }) => text).join("")).toBe(detail);
    expect(parts.flatMap(({ place }) => place ?? [])).toEqual([{ namespace: "default", name: "weather" }, { node: "edge-01" }]);
    expect(partsOf("")).toEqual([]);
  });
  it("says how long ago in words", () => {
    expect([agoOf(1000, 1000), agoOf(1000, 61_000), agoOf(0, 1)]).toEqual(["just now", "1m ago", "—"]);
  });
});

describe("what a version changes", () => {
  const row = (name: string, generation: number) => ({ kind: "MCPServer", namespace: "default", name, generation }) as Parameters<typeof changesOf>[0][number]["before"];
  const changes = changesOf([
    { before: row("notes", 1), after: row("notes", 2) },
    { before: undefined, after: row("new", 1) },
    { before: row("old", 7), after: undefined },
  ]);
  it("is in the words of who makes changes", () => {
    expect(changes.map(({ name, change, generation }) => [name, change, generation])).toEqual([["notes", "configured", 2], ["new", "created", 1], ["old", "deleted", 7]]);
  });
  it("has what is lost first, and counts it", () => {
    expect(weighed([...changes, { ...changes[0]!, change: "unchanged" }, { ...changes[0]!, change: "not found" }]).map(({ name }) => name)).toEqual(["old", "new", "notes"]);
    expect(countsOf(changes)).toBe("1 deleted, 1 created, 1 changed");
    expect(countsOf([])).toBe("");
  });
  it("is said after it was done: the deed, else what changed", () => {
    expect(saidOf(changes.slice(0, 1), "notes is restarting")).toBe("notes is restarting.");
    expect([saidOf(changes.slice(0, 1)), saidOf(changes)]).toEqual(["notes is changed.", "1 deleted, 1 created, 1 changed."]);
    expect(saidOf([{ ...changes[0]!, change: "unchanged" }], "notes is suspended")).toBe("");
    expect(["configured", "created", "unchanged"].map(wordOf)).toEqual(["changed", "created", "unchanged"]);
  });
  it("asks for the name of what is deleted, or how many", () => {
    const deleted = (name: string) => ({ ...changes[2]!, name });
    expect(toType(changes.slice(0, 2))).toBeUndefined();
    expect(toType(changes)).toBe("old");
    expect(toType([deleted("a"), deleted("b")])).toBe("delete 2");
  });
});
