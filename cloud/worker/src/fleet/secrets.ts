// Which secrets a node could open: those that must be replaced when it is revoked. From the present state; a secret
// names the nodes that its data key is sealed to, and one that can't be read counts as one that it could open.
import { z } from "zod";
import type { Env } from "../env.js";
import { fleetOf } from "../env.js";
import { ConfigStore } from "../kv/config.js";
import { BULK_GET_KEYS } from "../limits.js";
import { parseHead, Shard, Snapshot } from "../schema/desired.js";

// Whether any string or any member's name in `value` is `word`. Pure.
export function mentions(value: unknown, word: string): boolean {
  if (typeof value === "string") return value === word;
  if (Array.isArray(value)) return value.some((item) => mentions(item, word));
  if (value === null || typeof value !== "object") return false;
  return Object.entries(value).some(([name, item]) => name === word || mentions(item, word));
}

const SecretObject = z.object({ spec: z.unknown() });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

// "namespace/name" of each, sorted; null when the present state can't be read.
export async function secretsOf(env: Env, node: string): Promise<string[] | null> {
  const store = new ConfigStore(env.CONFIG, fleetOf(env));
  try {
    const head = await store.get("head");
    if (head === null) return [];
    const parsed = parseHead(text(head.value));
    if (typeof parsed === "string") return null;
    const snapshot = await store.get(`snapshots/${parsed.snapshot}`);
    if (snapshot === null) return null;
    const shards = Snapshot.parse(JSON.parse(text(snapshot.value))).shards.filter((hash) => hash !== "");
    const secrets: { name: string; key: string }[] = [];
    for (const hash of shards) {
      const shard = await store.get(`shards/${hash}`);
      if (shard === null) return null;
      for (const entry of Shard.parse(JSON.parse(text(shard.value)))) {
        if (entry.kind === "MCPSecret")
          secrets.push({ name: `${entry.namespace}/${entry.name}`, key: `objects/${entry.hash}` });
      }
    }
    const open: string[] = [];
    for (let at = 0; at < secrets.length; at += BULK_GET_KEYS) {
      const some = secrets.slice(at, at + BULK_GET_KEYS);
      const found = await store.getMany(some.map((secret) => secret.key));
      for (const { name, key } of some) {
        const object = found.get(key);
        const parsedObject = object === undefined ? undefined : SecretObject.safeParse(JSON.parse(text(object.value)));
        if (!parsedObject?.success || mentions(parsedObject.data.spec, node)) open.push(name);
      }
    }
    return open.sort();
  } catch (error) {
    console.warn(JSON.stringify({ message: "the secrets of a node could not be listed", node, error: String(error) }));
    return null;
  }
}
