import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ALERT_KINDS } from "../../../worker/src/alerts/evaluate";
import type { Alert } from "../../src/api/client";
import { each, groupsOf, manyText, messageOf } from "../../src/lib/alert_list";
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

describe("a list of alerts", () => {
  const alert = (kind: Alert["kind"], subject: string, severity: Alert["severity"] = "warning") => ({ key: `${kind}/${subject}`, kind, subject, severity, message: "" }) as Alert;
  it("says a reason in words", () => {
    expect(["ProbeFailed: no answer within 5 s", "OOMKilled: ", "restarted 9 times: CrashLoopBackOff", "no sign of life"].map((message) => messageOf({ message }))).toEqual([
      "Probe failed: no answer within 5 s",
      "OOM killed",
      "restarted 9 times: CrashLoopBackOff",
      "no sign of life",
    ]);
    const at = new Date(2026, 11, 4, 21, 18, 23, 545);
    expect(messageOf({ message: `the token of node edge-02 ends ${at.toISOString()}` })).toBe("the token of node edge-02 ends 2026-12-04 21:18");
  });
  it("is in groups of one kind, what is critical first", () => {
    const list = [alert("ServerNotReady", "a/default/x"), alert("NodeOffline", "a", "critical"), alert("ServerNotReady", "b/default/x")];
    expect(groupsOf(list).map(({ kind, critical, alerts }) => [kind, critical, alerts.length])).toEqual([["NodeOffline", true, 1], ["ServerNotReady", false, 2]]);
    expect(groupsOf([])).toEqual([]);
  });
  it("is acknowledged a few at a time, and what failed is named and holds up no other", async () => {
    const list = Array.from({ length: 9 }, (_, index) => alert("CrashLoop", `edge-01/default/tool-${index}`));
    let running = 0;
    let most = 0;
    const told: number[] = [];
    const many = await each(
      list,
      async ({ subject }) => {
        most = Math.max(most, ++running);
        await Promise.resolve();
        --running;
        if (/[0257]$/.test(subject)) throw new Error("too many requests");
      },
      (done) => told.push(done),
    );
    expect([most, many.done, told]).toEqual([4, 5, [1, 2, 3, 4, 5]]);
    expect(manyText(many)).toBe("5 acknowledged. 4 were not: tool-0 on edge-01, tool-2 on edge-01, tool-5 on edge-01 and 1 more (too many requests).");
    expect(manyText({ done: 1500, failed: [] })).toBe("1,500 acknowledged.");
    expect(manyText({ done: 0, failed: [{ alert: alert("NodeOffline", "edge-02"), why: "there is no answer" }] })).toBe("0 acknowledged. 1 was not: edge-02 (there is no answer).");
  });
});
