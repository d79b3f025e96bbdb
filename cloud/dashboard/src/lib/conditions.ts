// What a condition says: the one place that knows that the True of some is bad, and that some of what is not so is meant. Pure.
export interface Said {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string | undefined;
}
export type Verdict = "good" | "bad" | "open"; // open: not known, or meant to be so

// As in core/v1: DiskPressure, MemoryPressure. All others hold when all is well.
const isBadWhenTrue = (type: string): boolean => type.endsWith("Pressure");
// Somebody wants the server so, or nobody has applied anything yet.
const MEANT = new Set(["Suspended", "Suspending", "Completed", "NoHead"]);

export const isMeant = (reason: string | undefined): boolean => MEANT.has(reason ?? "");

export function verdictOf({ type, status, reason }: Said): Verdict {
  if (status === "Unknown") return "open";
  if ((status === "True") !== isBadWhenTrue(type)) return "good";
  return isMeant(reason) ? "open" : "bad";
}
