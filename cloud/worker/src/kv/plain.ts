// A namespace of Workers KV as it is.
import { badRequest } from "../http/envelope.js";
import { BULK_WRITES, CONCURRENT_WRITES } from "../limits.js";
import { conditionFailed, type Pair } from "./pair.js";
import type { Found, Page, PutCondition, Store } from "./store.js";

const encoder = new TextEncoder();

// Does `work` for each item, a few at a time; the items for which it failed. What is beyond `most` is not tried.
export async function forEachSome<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<void>,
): Promise<T[]> {
  const left: T[] = [...items.slice(most)];
  let next = 0;
  const worker = async () => {
    for (let item = items[next++]; item !== undefined && next <= most; item = items[next++]) {
      try {
        await work(item);
      } catch (error) {
        console.warn(JSON.stringify({ message: "a write to KV failed", error: String(error) }));
        left.push(item);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENT_WRITES, items.length) }, worker));
  return left;
}

export class PlainStore implements Store {
  constructor(protected readonly kv: KVNamespace) {}

  async get(key: string): Promise<Found | null> {
    const { value, metadata } = await this.kv.getWithMetadata(key, "arrayBuffer");
    return value === null ? null : { value: new Uint8Array(value), metadata };
  }

  async getMany(keys: readonly string[]): Promise<Map<string, Found>> {
    const found = new Map<string, Found>();
    if (keys.length === 0) return found;
    const values = await this.kv.getWithMetadata([...new Set(keys)], "text");
    for (const [key, entry] of values) {
      // The type says that there is always an entry; locally there is none for a key that is absent.
      const { value, metadata } = (entry as typeof entry | null) ?? { value: null, metadata: null };
      if (value !== null) found.set(key, { value: encoder.encode(value), metadata });
    }
    return found;
  }

  async list(prefix: string, cursor: string, limit: number): Promise<Page> {
    try {
      const page = await this.kv.list({ prefix, limit, ...(cursor === "" ? {} : { cursor }) });
      return { keys: page.keys, cursor: page.list_complete ? "" : page.cursor };
    } catch (error) {
      if (cursor === "") throw error;
      throw badRequest("the cursor is not one of ours");
    }
  }

  async put(pair: Pair, on: PutCondition): Promise<void> {
    // Only the head has an etag, so that no other key can match one.
    if (on.ifMatch !== undefined) throw conditionFailed("the key has no such etag");
    if (on.ifNoneMatch && (await this.kv.get(pair.key, "stream")) !== null) throw conditionFailed("the key exists");
    await this.write(pair);
  }

  async putMany(pairs: readonly Pair[]): Promise<string[]> {
    return (await forEachSome(pairs, BULK_WRITES, (pair) => this.write(pair))).map((pair) => pair.key);
  }

  async delete(keys: readonly string[]): Promise<string[]> {
    return forEachSome(keys, BULK_WRITES, (key) => this.kv.delete(key));
  }

  protected async write(pair: Pair): Promise<void> {
    await this.kv.put(pair.key, pair.value as Uint8Array<ArrayBuffer>, {
      ...(pair.metadata === undefined ? {} : { metadata: pair.metadata }),
      ...(pair.ttl === undefined ? {} : { expirationTtl: pair.ttl }),
    });
  }
}
