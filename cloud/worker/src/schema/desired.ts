// The desired state as store/snapshot.h has it: head → snapshot → shards → objects. The Worker parses the head and the
// snapshot, nothing below.
import { z } from "zod";
import { HEAD_BYTES, OBJECT_BYTES, SHARD_BYTES, SHARDS, SNAPSHOT_BYTES } from "../limits.js";
import { sha256Hex } from "./hash.js";

const Hash = z.string().regex(/^[0-9a-f]{64}$/, "is no hash");
const HashOrEmpty = z.union([Hash, z.literal("")]);
const Count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

// Unknown members stay out of what is decided, and in the bytes that are stored.
export const Head = z.object({
  fleet: z.string().min(1).max(64),
  trust: Count,
  epoch: Count,
  revision: Count,
  snapshot: Hash,
  time: z.string().max(64).default(""),
  validUntil: z.string().max(64).default(""),
  signatures: z.array(z.unknown()).default([]),
});
export type Head = z.infer<typeof Head>;

export const Snapshot = z.object({
  parent: HashOrEmpty,
  shards: z.array(HashOrEmpty).length(SHARDS),
  message: z.string().default(""),
  author: z.string().default(""),
  time: z.string().default(""),
});
export type Snapshot = z.infer<typeof Snapshot>;

const Labels = z.record(z.string(), z.string());
export const ShardEntry = z.object({
  kind: z.string().min(1),
  namespace: z.string().default(""),
  name: z.string().min(1),
  uid: z.string().default(""),
  generation: Count,
  hash: Hash,
  placement: z
    .object({
      nodes: z.array(z.string()).optional(),
      nodeSelector: Labels.optional(),
      replicas: z.int().min(0).optional(),
    })
    .optional(),
});
export type ShardEntry = z.infer<typeof ShardEntry>;
export const Shard = z.array(ShardEntry);

// "trust.epoch.revision": the etag of the head.
export function etagOf(head: Pick<Head, "trust" | "epoch" | "revision">): string {
  return `${head.trust}.${head.epoch}.${head.revision}`;
}

// Lexicographic: negative when `a` is before `b`.
export function compareHeads(a: Head, b: Head): number {
  return a.trust - b.trust || a.epoch - b.epoch || a.revision - b.revision;
}

// The head in `text`, or why it is none.
export function parseHead(text: string): Head | string {
  if (Buffer.byteLength(text) > HEAD_BYTES) return `head: larger than ${HEAD_BYTES} bytes`;
  try {
    const result = Head.safeParse(JSON.parse(text));
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    return `head: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`;
  } catch {
    return "head: is not JSON";
  }
}

const PREFIXES: Record<string, number> = {
  "objects/": OBJECT_BYTES,
  "shards/": SHARD_BYTES,
  "snapshots/": SNAPSHOT_BYTES,
};

// The hash that an immutable key names, undefined for any other key.
export function hashOfKey(key: string): string | undefined {
  for (const prefix of Object.keys(PREFIXES)) if (key.startsWith(prefix)) return key.slice(prefix.length);
  return undefined;
}

// Why these bytes may not stand under this immutable key; undefined when they may.
export function blobFault(key: string, value: Uint8Array): string | undefined {
  const prefix = key.slice(0, key.indexOf("/") + 1);
  const most = PREFIXES[prefix];
  if (most === undefined) return undefined;
  if (value.byteLength > most) return `the value is larger than ${most} bytes`;
  if (sha256Hex(value) !== key.slice(prefix.length)) return "the value does not have the hash in its key";
  return undefined;
}
