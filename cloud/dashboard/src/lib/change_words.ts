// What a version changed, or would: in the words of who makes changes. Pure.
import type { ChangeResult } from "../api/client";
import type { Difference } from "./changes";

export type Changes = ChangeResult["changes"];

export const changesOf = (differences: readonly Pick<Difference, "before" | "after">[]): Changes =>
  differences.flatMap(({ before, after }) => {
    const row = after ?? before;
    if (row === undefined) return [];
    const { kind, namespace, name, generation } = row;
    return { kind, namespace, name, generation, change: before === undefined ? "created" : after === undefined ? "deleted" : "configured" };
  });

export const WORD = { deleted: "deleted", created: "created", configured: "changed" } as const;
export const wordOf = (change: string): string => (change in WORD ? WORD[change as Done] : change);
type Done = keyof typeof WORD;
export const isDone = <T extends { change: string }>(each: T): each is T & { change: Done } => each.change in WORD;

// What really changes; what is lost by it comes first.
export function weighed(changes: Changes): (Changes[number] & { change: Done })[] {
  const order = Object.keys(WORD);
  return changes.filter(isDone).sort((a, b) => order.indexOf(a.change) - order.indexOf(b.change));
}

// "1 deleted, 2 changed"
export const countsOf = (changes: Changes): string =>
  (Object.keys(WORD) as Done[])
    .map((change) => ({ change, count: changes.filter((each) => each.change === change).length }))
    .filter(({ count }) => count > 0)
    .map(({ change, count }) => `${count} ${WORD[change]}`)
    .join(", ");

// What was done, in a sentence: the `deed` of one button, else what changed. "": nothing was to be done.
export function saidOf(changes: Changes, deed?: string): string {
  const done = weighed(changes);
  if (done.length === 0) return "";
  const [first] = done;
  return deed !== undefined ? `${deed}.` : done.length === 1 ? `${first!.name} is ${WORD[first!.change]}.` : `${countsOf(done)}.`;
}

// What is to be typed before something is deleted: its name, or of several how many. undefined: nothing is.
export function toType(changes: Changes): string | undefined {
  const deleted = changes.filter(({ change }) => change === "deleted");
  return deleted.length === 0 ? undefined : deleted.length === 1 ? deleted[0]!.name : `delete ${deleted.length}`;
}
