// A key, a value and what goes with it, as KV takes them, checked by KV's limits (store/server/embedded_kv.cc).
import { z } from "zod";
import { badRequest, CODE, Refusal, tooLarge } from "../http/envelope.js";
import { KEY_BYTES, METADATA_BYTES, TTL_LEAST_SECONDS, VALUE_BYTES } from "../limits.js";
import { blobFault, hashOfKey } from "../schema/desired.js";
import type { Namespace } from "./rules.js";

export interface Pair {
  key: string;
  value: Uint8Array;
  metadata?: unknown;
  ttl?: number; // seconds
}

export function checkKey(key: string): string {
  if (key === "" || key === "." || key === "..") throw badRequest("the key is empty, . or ..");
  if (Buffer.byteLength(key) > KEY_BYTES) throw badRequest("the key is longer than 512 bytes");
  return key;
}

// Seconds from now, from either spelling; expiration_ttl wins, as in the real service.
export function ttlOf(ttl: number | undefined, expiration: number | undefined): number | undefined {
  const seconds =
    ttl ?? (expiration === undefined ? undefined : Math.max(1, expiration - Math.floor(Date.now() / 1000)));
  if (seconds !== undefined && seconds < TTL_LEAST_SECONDS) throw badRequest("expiration_ttl is below 60 s");
  return seconds;
}

export function checkPair(namespace: Namespace, pair: Pair): void {
  checkKey(pair.key);
  if (pair.value.byteLength > VALUE_BYTES) throw tooLarge("the value is larger than 25 MiB");
  if (pair.metadata !== undefined && Buffer.byteLength(JSON.stringify(pair.metadata)) > METADATA_BYTES) {
    throw tooLarge("the metadata is larger than 1024 bytes");
  }
  if (namespace !== "CONFIG") return;
  const desired = hashOfKey(pair.key) !== undefined || pair.key === "head" || pair.key.startsWith("trust/");
  if (desired && pair.ttl !== undefined)
    throw badRequest("the desired state can't expire");
  const fault = blobFault(pair.key, pair.value);
  if (fault !== undefined) throw fault.includes("larger") ? tooLarge(fault) : badRequest(fault);
}

const Base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const BulkPair = z.object({
  key: z.string(),
  value: z.string(),
  base64: z.boolean().optional(),
  metadata: z.unknown().optional(),
  expiration: z.number().int().optional(),
  expiration_ttl: z.number().int().optional(),
});

export function pairOf(item: z.infer<typeof BulkPair>): Pair {
  if (item.base64 && !Base64.test(item.value)) throw badRequest("a value is not base64");
  const ttl = ttlOf(item.expiration_ttl, item.expiration);
  return {
    key: item.key,
    value: Buffer.from(item.value, item.base64 ? "base64" : "utf8"),
    ...(item.metadata === undefined || item.metadata === null ? {} : { metadata: item.metadata }),
    ...(ttl === undefined ? {} : { ttl }),
  };
}

export const conditionFailed = (message: string) => new Refusal(412, CODE.condition, message);
export const headNeedsCondition = (message: string) => new Refusal(428, CODE.condition, message);
