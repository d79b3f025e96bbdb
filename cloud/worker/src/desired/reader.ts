// The desired state, read the way that nodes do (store/reader.h): every value is held to the hash that names it.
import type { z } from "zod";
import { type Env, fleetOf } from "../env.js";
import { CODE, Refusal } from "../http/envelope.js";
import { ConfigStore } from "../kv/config.js";
import { BULK_GET_KEYS } from "../limits.js";
import { FleetObject } from "../manifest/object.js";
import { etagOf, type Head, parseHead, Shard, type ShardEntry, Snapshot } from "../schema/desired.js";
import { sha256Hex } from "../schema/hash.js";

const away = (key: string) =>
  new Refusal(503, CODE.keyNotFound, `${key.slice(0, 30)} is not there (yet)`, { "Retry-After": "5" });

export interface ReadHead {
  head: Head;
  etag: string;
}

export class Reader {
  readonly store: ConfigStore;
  constructor(private readonly env: Env) {
    this.store = new ConfigStore(env.CONFIG, fleetOf(env));
  }

  async head(): Promise<ReadHead | null> {
    const stored = await fleetOf(this.env).getHead();
    if (stored === null) return null;
    const head = parseHead(stored.body);
    if (typeof head === "string") throw new Error(head);
    return { head, etag: etagOf(head) };
  }

  // Values by key, of those that are there and have their hash.
  private async blobs(keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    const parts: string[][] = [];
    for (let at = 0; at < keys.length; at += BULK_GET_KEYS) parts.push(keys.slice(at, at + BULK_GET_KEYS));
    for (const values of await Promise.all(parts.map((part) => this.store.getMany(part)))) {
      for (const [key, { value }] of values) {
        if (sha256Hex(value) === key.slice(key.indexOf("/") + 1)) found.set(key, new TextDecoder().decode(value));
      }
    }
    return found;
  }

  private async one<T extends z.ZodType>(key: string, schema: T): Promise<z.output<T>> {
    const text = (await this.blobs([key])).get(key);
    if (text === undefined) throw away(key);
    return schema.parse(JSON.parse(text));
  }

  snapshot(hash: string): Promise<Snapshot> {
    return this.one(`snapshots/${hash}`, Snapshot);
  }

  object(hash: string): Promise<FleetObject> {
    return this.one(`objects/${hash}`, FleetObject);
  }

  // Entries of each shard that is named; "" is a shard without entries.
  async shards(hashes: readonly string[]): Promise<Map<string, ShardEntry[]>> {
    const named = [...new Set(hashes)].filter((hash) => hash !== "");
    const texts = await this.blobs(named.map((hash) => `shards/${hash}`));
    return new Map(
      named.map((hash) => {
        const text = texts.get(`shards/${hash}`);
        if (text === undefined) throw away(`shards/${hash}`);
        return [hash, Shard.parse(JSON.parse(text))];
      }),
    );
  }

  // Objects by hash; one that can't be read is left out.
  async objects(hashes: readonly string[]): Promise<Map<string, FleetObject>> {
    const texts = await this.blobs(hashes.map((hash) => `objects/${hash}`));
    const found = new Map<string, FleetObject>();
    for (const [key, text] of texts) {
      const parsed = FleetObject.safeParse(JSON.parse(text));
      if (parsed.success) found.set(key.slice("objects/".length), parsed.data);
    }
    return found;
  }
}
