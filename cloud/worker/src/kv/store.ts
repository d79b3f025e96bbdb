// What the three namespaces have in common. Errors are Refusals.
import type { Pair } from "./pair.js";

export interface Found {
  value: Uint8Array;
  metadata: unknown;
  etag?: string;
}

export interface ListedKey {
  name: string;
  expiration?: number; // Unix seconds
  metadata?: unknown;
}

export interface Page {
  keys: ListedKey[];
  cursor: string; // "": this was the last page
}

export interface PutCondition {
  ifMatch?: string;
  ifNoneMatch: boolean;
}

export interface Store {
  get(key: string): Promise<Found | null>;
  // Keys that are absent are left out.
  getMany(keys: readonly string[]): Promise<Map<string, Found>>;
  list(prefix: string, cursor: string, limit: number): Promise<Page>;
  put(pair: Pair, on: PutCondition): Promise<void>;
  // The keys that were not stored: to be tried again.
  putMany(pairs: readonly Pair[]): Promise<string[]>;
  // The keys that are left.
  delete(keys: readonly string[]): Promise<string[]>;
}

// Cursors of lists that are ours: the last key of the page.
export const cursorOf = (key: string): string => Buffer.from(key).toString("base64");
export function keyOfCursor(cursor: string): string | undefined {
  const key = Buffer.from(cursor, "base64").toString("utf8");
  return cursorOf(key) === cursor ? key : undefined;
}
