// The order that people expect of names with numbers: edge-9 before edge-10. Pure.

const LONGEST = 16; // digits of a number that is compared as one
const MOST = 50_000;
const known = new Map<string, string>();

// A text for each name, in the same order. Kept: names of ten thousand servers are compared many times.
export function orderOf(name: string): string {
  let text = known.get(name);
  if (text === undefined) {
    text = name.replaceAll(/\d+/g, (digits) => digits.padStart(LONGEST, "0"));
    if (known.size >= MOST) known.clear();
    known.set(name, text);
  }
  return text;
}

export function byName(a: string, b: string): number {
  if (a === b) return 0;
  const left = orderOf(a);
  const right = orderOf(b);
  return left < right ? -1 : left > right ? 1 : a < b ? -1 : 1;
}
