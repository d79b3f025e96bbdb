// Ages that go on by themselves, by one clock for all of a page.
import { useSyncExternalStore } from "react";
import { ageOf, agoOf, timeOf, whenOf } from "../lib/format";
import { type NodeRow, seenText } from "../live/rows";

const TICK_MS = 10_000;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let ticks = 0;

function listen(tell: () => void): () => void {
  listeners.add(tell);
  timer ??= setInterval(() => {
    ++ticks;
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(tell);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
// Draws who uses it anew now and then.
export const useTick = (): number => useSyncExternalStore(listen, () => ticks);

const isoOf = (at: string | number): string | undefined => (Number.isFinite(new Date(at).getTime()) ? new Date(at).toISOString() : undefined);

// `words`: how it is said.
function Said({ at, className, words }: { at: string | number; className?: string | undefined; words(at: string | number): string }) {
  useTick();
  return (
    <time className={className} dateTime={isoOf(at)} title={timeOf(at)}>
      {words(at)}
    </time>
  );
}

interface AgeProps {
  at: string | number;
  className?: string;
}
export const Ago = (props: AgeProps) => <Said {...props} words={(at) => agoOf(at)} />; // "3m ago"
export const Age = (props: AgeProps) => <Said {...props} words={(at) => ageOf(at)} />; // "3m"
export const When = (props: { at: number }) => <Said {...props} words={(at) => whenOf(Number(at))} />; // "3m ago", "2026-11-29"

export function Seen({ row, className }: { row: NodeRow; className?: string }) {
  useTick();
  return <span className={className}>{seenText(row)}</span>;
}
