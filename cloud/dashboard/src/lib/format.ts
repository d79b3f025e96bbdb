const UNITS: [number, string][] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
  [1, "s"],
];

// "3d", "5m": the age as mcpctl says it.
export function ageOf(since: string | number, now = Date.now()): string {
  const at = typeof since === "number" ? since : Date.parse(since);
  if (!Number.isFinite(at) || at === 0) return "—";
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  for (const [size, unit] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)}${unit}`;
  return "now";
}

export const agoOf = (since: string | number, now = Date.now()): string => {
  const age = ageOf(since, now);
  return age === "now" ? "just now" : age === "—" ? age : `${age} ago`;
};

// All times have one form, that of ISO in the time of who looks: "2026-11-29 18:46:55", its day, its minute, its clock.
const inIso = (at: string | number): string | undefined => {
  const date = new Date(at);
  if (!Number.isFinite(date.getTime())) return undefined;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};
export const timeOf = (at: string | number): string => inIso(at) ?? "—";
export const minuteOf = (at: string | number): string => timeOf(at).slice(0, 16);
export const clockOf = (at: string): string => inIso(at)?.slice(11) ?? at.slice(0, 24);
// How long ago within a day, else the day.
export const whenOf = (at: number, now = Date.now()): string => (now - at < 86_400_000 ? agoOf(at, now) : timeOf(at).slice(0, 10));
export const short = (hash: string, length = 12): string => hash.replace(/^sha256:/, "").slice(0, length);
// The page's words are English ones, so are its numbers: "10,000".
export const count = (value: number): string => value.toLocaleString("en-US");
export const plural = (value: number, word: string, words = `${word}s`): string => `${count(value)} ${value === 1 ? word : words}`;
// Two digits, but for nothing and all; what is not quite that is never rounded to it.
export const percent = (ratio: number | null | undefined): string =>
  ratio === null || ratio === undefined ? "—" : ratio <= 0 ? "0 %" : ratio >= 1 ? "100 %" : `${Math.min(99.99, Math.max(0.01, ratio * 100)).toFixed(2)} %`;
// "2 min", "30 h", "6 days"
export const lengthOf = (seconds: number): string => (seconds < 3600 ? `${Math.max(1, Math.round(seconds / 60))} min` : seconds < 2 * 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`);
const SHORT_FORMS = /\b(api|cpu|dns|mcp|oci|oom|tls|url)\b/g;
// "NodeOffline" → "Node offline", "ApiTokenExpires" → "API token expires"
export const inWords = (reason: string): string => {
  const words = reason
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .replaceAll(SHORT_FORMS, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
};
