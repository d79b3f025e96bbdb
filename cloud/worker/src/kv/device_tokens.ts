// DEVICE_TOKENS: keys tokens/<sha256>. The Fleet object is the authority; what stands in KV is its mirror and is never
// written from here.
import { z } from "zod";
import type { Fleet } from "../fleet/fleet.js";
import { badRequest, Refusal } from "../http/envelope.js";
import { check, parseJson, utf8 } from "../http/body.js";
import { Name } from "../schema/status.js";
import { conditionFailed, type Pair } from "./pair.js";
import { cursorOf, type Found, keyOfCursor, type Page, type PutCondition, type Store } from "./store.js";

const PREFIX = "tokens/";
const Hash = /^[0-9a-f]{64}$/;
const Entry = z.object({ node: Name, author: z.string().max(256).default("") });

export class DeviceTokenStore implements Store {
  constructor(
    private readonly fleet: DurableObjectStub<Fleet>,
    private readonly author: string,
  ) {}

  async get(key: string): Promise<Found | null> {
    return (await this.getMany([key])).get(key) ?? null;
  }

  async getMany(keys: readonly string[]): Promise<Map<string, Found>> {
    const found = new Map<string, Found>();
    for (const key of keys) {
      const hash = hashOf(key);
      const [token] = hash === undefined ? [] : await this.fleet.findToken(hash);
      if (token !== undefined)
        found.set(key, { value: new TextEncoder().encode(token.entry), metadata: JSON.parse(token.entry) as unknown });
    }
    return found;
  }

  async list(prefix: string, cursor: string, limit: number): Promise<Page> {
    const after = cursor === "" ? "" : (keyOfCursor(cursor) ?? "?");
    if (after !== "" && hashOf(after) === undefined) throw badRequest("the cursor is not one of ours");
    if (!prefix.startsWith(PREFIX) && !PREFIX.startsWith(prefix)) return { keys: [], cursor: "" };
    const rows = await this.fleet.listTokens(after.slice(PREFIX.length), prefix.slice(PREFIX.length), limit);
    const keys = rows.map((row) => ({ name: PREFIX + row.hash, metadata: JSON.parse(row.entry) as unknown }));
    return { keys, cursor: rows.length === limit ? cursorOf(keys[keys.length - 1]!.name) : "" };
  }

  async put(pair: Pair, on: PutCondition): Promise<void> {
    const hash = hashOf(pair.key);
    if (hash === undefined) throw badRequest("a key is tokens/<sha256 of the token>");
    if (on.ifMatch !== undefined) throw conditionFailed("the key has no such etag");
    if (on.ifNoneMatch && (await this.get(pair.key)) !== null) throw conditionFailed("the key exists");
    const entry = check(Entry, parseJson(utf8(pair.value), "the value"), "the value");
    if (!(await this.fleet.putToken(hash, entry.node, entry.author || this.author)))
      throw new Refusal(507, 10001, "too many nodes");
  }

  async putMany(pairs: readonly Pair[]): Promise<string[]> {
    for (const pair of pairs) await this.put(pair, { ifNoneMatch: false });
    return [];
  }

  async delete(keys: readonly string[]): Promise<string[]> {
    await this.fleet.revokeTokens(keys.flatMap((key) => hashOf(key) ?? []));
    return [];
  }
}

function hashOf(key: string): string | undefined {
  const hash = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : "";
  return Hash.test(hash) ? hash : undefined;
}
