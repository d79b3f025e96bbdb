// What of an uptime is known, in words, and of whom it is asked. Pure.
import { count, lengthOf, percent, plural } from "./format";

export const HOURS = 24 * 7; // what pages show
export interface Uptime {
  ratio: number | null;
  knownSeconds: number; // of several together: of the one that is known longest
}

const WINDOW = HOURS * 3600;
export const isWhole = ({ knownSeconds }: Uptime): boolean => knownSeconds >= WINDOW * 0.99;
// "7 days", "the 2 min known"
export const spanOf = (uptime: Uptime): string => (isWhole(uptime) ? lengthOf(WINDOW) : `the ${lengthOf(uptime.knownSeconds)} known`);
export const uptimeText = (uptime: Uptime): string => (uptime.ratio === null ? "not known yet" : `${percent(uptime.ratio)} of ${spanOf(uptime)}`);

// Where not all were asked.
export const onSome = (asked: number, all: number): string => (asked < all ? `, on ${count(asked)} of ${plural(all, "node")}` : "");

// At most `most` of them, from all over the list.
export function spread<T>(all: readonly T[], most: number): T[] {
  const picked = Math.min(all.length, most);
  return Array.from({ length: picked }, (_, index) => all[Math.floor((index * all.length) / picked)]!);
}
