// Ages that go on by themselves, by one clock for all of a page.
import { useSyncExternalStore } from "react";
import { ageOf, agoOf, timeOf } from "../lib/format";

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

interface AgoProps {
  at: string | number;
  className?: string;
}
// "3m ago"
export function Ago({ at, className }: AgoProps) {
  useTick();
  return (
    <time className={className} {...(typeof at === "string" ? { dateTime: at } : {})} title={timeOf(at)}>
      {agoOf(at)}
    </time>
  );
}
// "3m"
export function Age({ at, className }: AgoProps) {
  useTick();
  return (
    <time className={className} {...(typeof at === "string" ? { dateTime: at } : {})} title={timeOf(at)}>
      {ageOf(at)}
    </time>
  );
}
