// What comes over the socket (docs/cloudflare-protocol.md). Types by the Worker's description; what is not one of these is left alone.
import type { Schemas } from "../api/client";

export type FeedState = Schemas["FeedState"];
export type FeedDelta = Schemas["FeedDelta"];

type News = Schemas["News"];
export type Hello = Extract<News, { type: "hello" }>;
export type LogLine = Extract<News, { type: "log" }>["lines"][number];
export type Message =
  | Exclude<News, { type: "status" }>
  | { type: "head"; order: string; snapshot: string; signed: boolean }
  | FeedState
  | FeedDelta;

const KNOWN = new Set(["hello", "error", "down", "alert", "log", "usage", "state", "delta"]);

// A message without a type is a head. undefined: none of ours.
export function parseMessage(text: string): Message | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const message = json as Record<string, unknown>;
  if (typeof message.type === "string") return KNOWN.has(message.type) ? (message as unknown as Message) : undefined;
  if (typeof message.snapshot !== "string") return undefined;
  const signatures = Array.isArray(message.signatures) ? message.signatures.length : 0;
  return {
    type: "head",
    order: `${Number(message.trust)}.${Number(message.epoch)}.${Number(message.revision)}`,
    snapshot: message.snapshot,
    signed: Number(message.trust) > 0 || signatures > 0,
  };
}
