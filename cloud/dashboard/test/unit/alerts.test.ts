import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ALERT_KINDS } from "../../../worker/src/alerts/evaluate";
import { ALERT_WORDS, wordsOf } from "../../src/lib/alerts";

const documented = readFileSync(new URL("../../../../docs/cloudflare-protocol.md", import.meta.url), "utf8");

describe("an alert", () => {
  it("of every kind that the Worker raises, and of no other, says what it means and what to do", () => {
    expect(Object.keys(ALERT_WORDS).sort()).toEqual([...ALERT_KINDS].sort());
    for (const [kind, { means, act }] of Object.entries(ALERT_WORDS)) for (const sentence of [means, act]) expect(sentence, kind).toMatch(/^[A-Z].{20,150}\.$/);
  });
  it("of every kind is in the table of the protocol", () => {
    const table = documented.slice(documented.indexOf("### Alerts"), documented.indexOf("\n## Logs"));
    const named = table.split("\n").filter((line) => line.startsWith("| `")).flatMap((line) => line.split("|")[1]!.match(/\w+/g) ?? []);
    expect(named.sort()).toEqual([...ALERT_KINDS].sort());
  });
  it("of a newer Worker has none, whatever it is called", () => {
    for (const kind of ["DiskOnFire", "constructor", "__proto__"]) expect(wordsOf(kind)).toBeUndefined();
  });
});
