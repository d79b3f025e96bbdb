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

const stamp = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
export const timeOf = (at: string | number): string => {
  const date = new Date(at);
  return Number.isFinite(date.getTime()) ? stamp.format(date) : "—";
};
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const clockOf = (at: string): string => {
  const date = new Date(at);
  return Number.isFinite(date.getTime()) ? clock.format(date) : at.slice(0, 24);
};
export const short = (hash: string, length = 12): string => hash.replace(/^sha256:/, "").slice(0, length);
export const plural = (count: number, word: string, words = `${word}s`): string => `${count.toLocaleString()} ${count === 1 ? word : words}`;
export const percent = (ratio: number | null | undefined): string => (ratio === null || ratio === undefined ? "—" : `${(ratio * 100).toFixed(ratio >= 0.9995 || ratio < 0.1 ? 1 : 2)} %`);
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
