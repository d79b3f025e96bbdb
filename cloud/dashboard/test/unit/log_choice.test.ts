import { describe, expect, it } from "vitest";
import { serverMeant } from "../../src/lib/log_choice";

const keys = ["default/mail", "team/mail", "team/notes", "default/maps"];

describe("a server whose lines are wanted", () => {
  it("may be named without its namespace where one namespace has it", () => {
    expect(serverMeant(" notes ", keys)).toEqual({ server: "team/notes" });
    expect(serverMeant("maps", keys)).toEqual({ server: "default/maps" });
    expect(serverMeant("team/mail", keys)).toEqual({ server: "team/mail" });
    expect(serverMeant("", keys)).toEqual({ server: "" });
  });
  it("must be named with it where several have", () => {
    expect(serverMeant("mail", keys)).toEqual({ problem: "is in 2 namespaces: default/mail, team/mail" });
  });
  it("may be gone", () => {
    expect(serverMeant("old", keys)).toEqual({ server: "default/old" });
    expect(serverMeant("team/old", keys)).toEqual({ server: "team/old" });
  });
  it("has a name that a server can have", () => {
    for (const text of ["a/b/c", "/x", "x/", "Mail", "a b", "-"]) expect(serverMeant(text, keys).problem).toMatch(/^is no name/);
  });
});
