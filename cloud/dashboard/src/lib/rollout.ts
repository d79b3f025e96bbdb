// How far what was applied has come. Pure.
import { orderOf } from "./natural";
import type { Health, ServerRow } from "../live/rows";

export interface Stage {
  health: Health;
  reason: string;
  note: string;
}

// A node may be ahead of what this page has heard of; one that has told of no version is not known to be behind.
export const isBehind = (version: string, newest: string | undefined): boolean => version !== "" && newest !== undefined && orderOf(version) < orderOf(newest);

// `row` is undefined while nobody has told of the server yet.
export function stageOf(row: ServerRow | undefined, generation: number): Stage {
  if (row === undefined) return { health: "pending", reason: "Waiting", note: "nothing is known of it yet" };
  const on = `${row.generations.filter((seen) => seen >= generation).length} of ${row.total} on generation ${generation}`;
  // What is said of the row is of the generation before.
  if ((row.desired?.generation ?? 0) < generation) return { health: "pending", reason: "Waiting", note: on };
  const { health, reason } = row;
  return { health, reason, note: `${on}, ${row.ready} ready${row.message === "" || health === "ready" ? "" : `: ${row.message}`}` };
}
