// Alerts as a page lists them: in words, in groups, many acknowledged at once. Pure, but for what is handed in.
import type { Alert } from "../api/client";
import { count, inWords, minuteOf } from "./format";

// "ProbeFailed: no answer" → "Probe failed: no answer"; times as everywhere here.
export const messageOf = ({ message }: Pick<Alert, "message">): string => message.replace(/^[A-Z][A-Za-z]*(?=: )/, inWords).replace(/^([^:]+): $/, "$1").replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, minuteOf);

export const subjectOf = ({ subject }: Pick<Alert, "subject">): string => {
  const [node, namespace, name, ...more] = subject.split("/");
  return name === undefined || more.length > 0 ? subject : `${namespace === "default" ? "" : `${namespace}/`}${name} on ${node}`;
};

// Of one kind each, the kinds in the order in which they come first, what is critical before what is not.
export function groupsOf(list: readonly Alert[]): { kind: Alert["kind"]; critical: boolean; alerts: Alert[] }[] {
  const kinds = [...new Set(list.map(({ kind }) => kind))];
  const groups = kinds.map((kind) => ({ kind, alerts: list.filter((alert) => alert.kind === kind) })).map((group) => ({ ...group, critical: group.alerts.some(({ severity }) => severity === "critical") }));
  return groups.sort((a, b) => Number(b.critical) - Number(a.critical));
}

export interface Many {
  done: number;
  failed: { alert: Alert; why: string }[];
}
const AT_ONCE = 4;

// Each by itself, a few at a time; one that fails holds up no other.
export async function each(list: readonly Alert[], act: (alert: Alert) => Promise<void>, told: (done: number) => void): Promise<Many> {
  const many: Many = { done: 0, failed: [] };
  const left = list.values();
  const work = async () => {
    for (const alert of left) {
      await act(alert).then(() => told(++many.done), (error: unknown) => void many.failed.push({ alert, why: (error as Error).message }));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return many;
}

const NAMED = 3;
// "147 acknowledged. 3 were not: a on edge-01, b on edge-02 and 1 more (too many requests)."
export function manyText({ done, failed }: Many): string {
  if (failed.length === 0) return `${count(done)} acknowledged.`;
  const named = failed.slice(0, NAMED).map(({ alert }) => subjectOf(alert)).join(", ");
  return `${count(done)} acknowledged. ${count(failed.length)} ${failed.length === 1 ? "was" : "were"} not: ${named}${failed.length > NAMED ? ` and ${count(failed.length - NAMED)} more` : ""} (${failed[0]!.why}).`;
}
