// What a version changed, in the words of who makes changes. Pure.
import type { ChangeResult, ObjectRow } from "../api/client";

interface Difference {
  before: ObjectRow | undefined;
  after: ObjectRow | undefined;
}

export const changesOf = (differences: readonly Difference[]): ChangeResult["changes"] =>
  differences.flatMap(({ before, after }) => {
    const row = after ?? before;
    if (row === undefined) return [];
    const { kind, namespace, name, generation } = row;
    return { kind, namespace, name, generation, change: before === undefined ? "created" : after === undefined ? "deleted" : "configured" };
  });
