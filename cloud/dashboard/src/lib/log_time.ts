// The time that a view of logs is about. Pure.
import type { LogRange, LogSearch } from "../app/router";

export const HOURS: Record<LogRange, number> = { "15m": 0.25, "1h": 1, "6h": 6, "24h": 24, "7d": 168 };

export interface Window {
  since: number; // milliseconds
  until: number;
  open: boolean; // it goes on: what comes now belongs to it
  chosen: boolean; // by two times, not by a length until now
}

export function windowOf({ range = "1h", from, until }: Pick<LogSearch, "range" | "from" | "until">, now: number): Window {
  const end = until === undefined ? now : Date.parse(until);
  return { since: from === undefined ? end - HOURS[range] * 3_600_000 : Date.parse(from), until: end, open: until === undefined, chosen: from !== undefined || until !== undefined };
}

// For <input type="datetime-local">, which knows no zones.
export function toField(iso: string | undefined): string {
  if (iso === undefined) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
// "": none, or none yet.
export function fromField(text: string): string {
  const at = new Date(text);
  return Number.isFinite(at.getTime()) ? at.toISOString() : "";
}
