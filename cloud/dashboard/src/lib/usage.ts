// What a server uses, as a view keeps it: samples in the order of time and events, each once, bounded. Pure.
import type { Schemas } from "../api/client";
import { count } from "./format";

type ServerUsage = Schemas["ServerUsage"];
export type Sample = ServerUsage["samples"][number];
export type UsageEvent = NonNullable<ServerUsage["events"]>[number];

export interface Usage {
  heard: boolean; // its node has answered
  samples: readonly Sample[];
  events: readonly UsageEvent[]; // the newest first
}
export const NO_USAGE: Usage = { heard: false, samples: [], events: [] };

// An hour of minutes, and an hour of what comes while one looks.
export const MOST_SAMPLES = 60 + 720;
export const MOST_EVENTS = 100;

const idOf = ({ firstTime, type, reason, message }: UsageEvent): string => `${firstTime}\n${type}\n${reason}\n${message}`;

export function mergeUsage(before: Usage, more: { samples: readonly Sample[]; events?: readonly UsageEvent[] | undefined }): Usage {
  const byTime = new Map(before.samples.map((sample) => [sample.at, sample]));
  for (const sample of more.samples) byTime.set(sample.at, sample);
  const samples = [...byTime.values()].sort((a, b) => a.at - b.at).slice(-MOST_SAMPLES);
  if (!more.events?.length) return { heard: true, samples, events: before.events };
  // One that happened again has the same beginning and a later end.
  const events = new Map(before.events.map((event) => [idOf(event), event]));
  for (const event of more.events) events.set(idOf(event), event);
  const sorted = [...events.values()].sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, MOST_EVENTS);
  return { heard: true, samples, events: sorted };
}

export const perMinute = (count: number, seconds: number): number | null => (seconds > 0 ? (count * 60) / seconds : null);

export interface Lines {
  x: number[]; // seconds since 1970
  y: (number | null)[][];
}

// A gap is drawn as one: nothing was measured while mcplet was away.
export function linesOf(samples: readonly Sample[], values: readonly ((sample: Sample) => number | null)[]): Lines {
  const x: number[] = [];
  const y: (number | null)[][] = values.map(() => []);
  let last: Sample | undefined;
  for (const sample of samples) {
    if (last !== undefined && sample.at - last.at > Math.max(sample.seconds, 5) * 3000) {
      x.push((last.at + 1) / 1000);
      for (const line of y) line.push(null);
    }
    x.push(sample.at / 1000);
    values.forEach((value, index) => y[index]!.push(value(sample)));
    last = sample;
  }
  return { x, y };
}

const tidy = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value >= 1 || value === 0 ? value.toFixed(2).replace(/\.?0+$/, "") : value.toPrecision(2));
export const coresText = (cores: number): string => (cores > 0 && cores < 0.001 ? "<0.001 cores" : `${tidy(cores)} ${cores === 1 ? "core" : "cores"}`);
export function bytesText(bytes: number): string {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const) if (bytes >= size) return `${tidy(bytes / size)} ${unit}`;
  return `${bytes} B`;
}
export const timeText = (ms: number): string => (ms >= 60_000 ? `${tidy(ms / 60_000)} min` : ms >= 1000 ? `${tidy(ms / 1000)} s` : `${tidy(ms)} ms`);
export const countText = (value: number): string => (Number.isInteger(value) ? count(value) : tidy(value));

// "from 0.1 to 0.4 cores, now 0.25 cores": a chart in words.
export function inShort(values: readonly (number | null)[], text: (value: number) => string): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "nothing measured";
  const now = values[values.length - 1];
  return `from ${text(Math.min(...known))} to ${text(Math.max(...known))}, now ${now === null || now === undefined ? "not known" : text(now)}`;
}
