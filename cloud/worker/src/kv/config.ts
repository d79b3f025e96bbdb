// CONFIG: the head is in the Fleet object, immutable values are in KV and for some minutes in the object as well.
import type { Fleet, Value } from "../fleet/fleet.js";
import type { Caller } from "../auth/caller.js";
import { BEING_DELETED, type Refused } from "../fleet/head_move.js";
import { badRequest, CODE, Refusal, tooLarge } from "../http/envelope.js";
import { utf8 } from "../http/body.js";
import { COMMIT_VALUES, HEAD_BYTES } from "../limits.js";
import { hashOfKey, parseHead, Shard, Snapshot } from "../schema/desired.js";
import { trustVersionOf } from "../schema/trust.js";
import { conditionFailed, headNeedsCondition, type Pair } from "./pair.js";
import { PlainStore } from "./plain.js";
import type { Found, PutCondition } from "./store.js";

export class ConfigStore extends PlainStore {
  constructor(
    kv: KVNamespace,
    private readonly fleet: DurableObjectStub<Fleet>,
    // Who asks; undefined: the Worker itself.
    private readonly caller?: Caller,
  ) {
    super(kv);
  }

  override async get(key: string): Promise<Found | null> {
    if (key === "head") return this.head();
    const version = trustVersionOf(key);
    const text = version === undefined ? null : await this.fleet.trust(version);
    if (text !== null) return { value: new TextEncoder().encode(text), metadata: null };
    const found = await super.get(key);
    if (found !== null || !isKept(key)) return found;
    const [recent] = await this.fleet.recent([key]);
    return recent === undefined ? null : { value: recent.value, metadata: null };
  }

  override async getMany(keys: readonly string[]): Promise<Map<string, Found>> {
    const found = await super.getMany(keys.filter((key) => key !== "head"));
    const missing = keys.filter((key) => isKept(key) && !found.has(key));
    if (missing.length > 0) {
      for (const { key, value } of await this.fleet.recent(missing)) found.set(key, { value, metadata: null });
    }
    // KV may give another document of a version that was taken back.
    for (const key of keys.filter((each) => each === "head" || trustVersionOf(each) !== undefined)) {
      const own = await this.get(key);
      if (own !== null) found.set(key, own);
    }
    return found;
  }

  override async put(pair: Pair, on: PutCondition): Promise<void> {
    if (pair.key === "head") return this.moveHead(pair, on, []);
    if (pair.key.startsWith("trust/")) return this.addTrust(pair, on);
    await this.remember([pair]);
    await super.put(pair, on);
  }

  private async addTrust(pair: Pair, on: PutCondition): Promise<void> {
    const version = trustVersionOf(pair.key);
    if (version === undefined) throw badRequest("a key is trust/<version>");
    if (on.ifMatch !== undefined) throw conditionFailed("the key has no such etag");
    const text = utf8(pair.value);
    if (text === undefined) throw badRequest(`${pair.key}: is not UTF-8`);
    const verdict = await this.fleet.addTrust(version, text, on.ifNoneMatch);
    if (!verdict.move) throw refusalOf(verdict);
    await this.write(pair);
  }

  override async putMany(pairs: readonly Pair[]): Promise<string[]> {
    if (pairs.some((pair) => pair.key === "head")) throw headNeedsCondition("the head can't be part of a bulk write");
    if (pairs.some((pair) => pair.key.startsWith("trust/")))
      throw badRequest("a trust version is written by a single PUT");
    await this.remember(pairs);
    return super.putMany(pairs);
  }

  // Before they are in KV: whoever sees one of them missing there finds it in the object, and gc sees that it is new.
  private async remember(pairs: readonly Pair[]): Promise<void> {
    const kept = pairs.filter((pair) => isKept(pair.key));
    if (kept.length > 0 && !(await this.fleet.remember(kept.map(({ key, value }) => ({ key, value }))))) {
      throw refusalOf({ move: false, status: 503, message: BEING_DELETED });
    }
  }

  // A change whole: values by hash, and the head that names them.
  async commit(pairs: readonly Pair[], on: PutCondition): Promise<void> {
    const values = pairs.filter((pair) => pair.key !== "head");
    const head = pairs.find((pair) => pair.key === "head");
    if (head === undefined || values.length !== pairs.length - 1) throw badRequest("a commit has one head");
    const other = values.find((pair) => hashOfKey(pair.key) === undefined);
    if (other !== undefined) throw badRequest(`${other.key.slice(0, 40)}: a commit has values by hash, and the head`);
    if (values.length > COMMIT_VALUES) throw tooLarge(`a commit has at most ${COMMIT_VALUES} values`);
    const kept = values.map(({ key, value, metadata }) => ({ key, value, metadata: metadata === undefined ? "" : JSON.stringify(metadata) }));
    await this.moveHead(head, on, kept);
  }

  // Only for gc: nothing that the present head needs, nothing that somebody wrote minutes ago.
  override async delete(keys: readonly string[]): Promise<string[]> {
    if (keys.includes("head")) throw headNeedsCondition("the head can't be deleted");
    if (keys.some((key) => key.startsWith("trust/"))) return this.dropTrust(keys);
    const blobs = keys.filter((key) => hashOfKey(key) !== undefined);
    if (blobs.length === 0) return super.delete(keys);
    const written = await this.fleet.beginDeletion([...blobs]);
    if (written !== undefined) throw conditionFailed(`${written.slice(0, 40)} is in use`);
    try {
      const needed = await this.reachable();
      const refused = blobs.find((key) => needed.has(key));
      if (refused !== undefined) throw conditionFailed(`${refused.slice(0, 40)} is in use`);
      return await super.delete(keys);
    } finally {
      await this.fleet.endDeletion([...blobs]);
    }
  }

  private async dropTrust(keys: readonly string[]): Promise<string[]> {
    const version = trustVersionOf(keys[0]!);
    if (keys.length > 1 || version === undefined) throw conditionFailed("trust versions are kept");
    const verdict = await this.fleet.dropTrust(version);
    if (!verdict.move) throw refusalOf(verdict);
    return super.delete(keys);
  }

  private async head(): Promise<Found | null> {
    // A node's poll is a sign of life.
    const head = await this.fleet.getHead(this.caller?.kind === "device" ? this.caller.node : undefined);
    return head === null ? null : { value: new TextEncoder().encode(head.body), metadata: null, etag: head.etag };
  }

  private async moveHead(pair: Pair, on: PutCondition, values: Value[]): Promise<void> {
    if (pair.value.byteLength > HEAD_BYTES) throw badRequest(`head: larger than ${HEAD_BYTES} bytes`);
    const body = utf8(pair.value);
    if (body === undefined) throw badRequest("head: is not UTF-8");
    const verdict = await this.fleet.commit(values, body, on, this.caller?.kind === "person" ? this.caller.name : "");
    if (!verdict.move) throw refusalOf(verdict);
  }

  // Keys of all that the present head needs. Throws when that can't be read: then nothing may be deleted.
  private async reachable(): Promise<Set<string>> {
    const head = await this.fleet.getHead();
    if (head === null) return new Set();
    const parsed = parseHead(head.body);
    if (typeof parsed === "string") throw new Error(parsed);
    const snapshotKey = `snapshots/${parsed.snapshot}`;
    const snapshot = Snapshot.parse(JSON.parse(new TextDecoder().decode((await this.get(snapshotKey))?.value)));
    const shardKeys = snapshot.shards.filter((hash) => hash !== "").map((hash) => `shards/${hash}`);
    const needed = new Set([snapshotKey, ...shardKeys]);
    for (const key of shardKeys) {
      const shard = await this.get(key);
      if (shard === null)
        throw new Refusal(503, CODE.badRequest, "a shard of the present state can't be read; nothing was deleted");
      for (const entry of Shard.parse(JSON.parse(new TextDecoder().decode(shard.value))))
        needed.add(`objects/${entry.hash}`);
    }
    return needed;
  }
}

// Keys that the object keeps for a while: immutable ones, which a reader may ask for before KV has them everywhere.
const isKept = (key: string): boolean => hashOfKey(key) !== undefined;

export function refusalOf({ status, message }: Refused): Refusal {
  const headers: Record<string, string> = status === 503 ? { "Retry-After": "1" } : {};
  const code = status === 400 ? CODE.badRequest : status === 403 ? CODE.notSigned : CODE.condition;
  return new Refusal(status, code, message, headers);
}
