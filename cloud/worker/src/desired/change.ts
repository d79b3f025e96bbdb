// Changing the desired state (store/writer.h): write what is new, then move the head in one compare-and-swap. An edit says what is
// wanted, not what the result is: when another writer was first it is put on top of his result and tried again.
import { type Env, fleetOf } from "../env.js";
import { badRequest, CODE, Refusal } from "../http/envelope.js";
import { canonicalize } from "../manifest/canonical.js";
import { compareKeys, encodeObject, entryOf, type FleetObject, nameOf, type ObjectKey, RESTARTED_AT, shardOf, tidy } from "../manifest/object.js";
import type { Value } from "../fleet/fleet.js";
import { refusalOf } from "../kv/config.js";
import { COMMIT_BYTES, COMMIT_VALUES, OBJECT_BYTES, SHARD_BYTES, SHARDS } from "../limits.js";
import { type Head, type ShardEntry, Snapshot } from "../schema/desired.js";
import { randomHex, sha256Hex } from "../schema/hash.js";
import { type ReadHead, Reader } from "./reader.js";
import { isSigned, propose } from "./propose.js";

// What the object shall be; null: absent. Pure: it is called again when the head has moved. `before` is undefined where there is
// none, and for an edit of the whole also where what is there can't be read.
export interface Edit {
  key: ObjectKey;
  whole: boolean; // nothing of what was there goes on: also good where that can't be read
  become(before: FleetObject | undefined): FleetObject | null;
}

export interface Changed extends ObjectKey {
  change: "created" | "configured" | "unchanged" | "deleted" | "not found";
  generation: number;
}
export interface ChangeResult {
  changes: Changed[];
  head: string | null; // "trust.epoch.revision"
  moved: boolean;
  proposal: string | null; // the id, in a signed fleet
}

const ATTEMPTS = 10;
export const timeOf = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, "Z");

// A manifest says nothing of what mcpctl noted (KeepOwnNotes): a restart that was asked for, a node's keys.
export function manifestOnto(manifest: FleetObject, before: FleetObject | undefined): FleetObject {
  const restarted = before?.metadata.annotations?.[RESTARTED_AT];
  const annotations = { ...(restarted === undefined ? {} : { [RESTARTED_AT]: restarted }), ...manifest.metadata.annotations };
  const keys = manifest.kind === "MCPNode" && manifest.spec.keys === undefined ? before?.spec.keys : undefined;
  return {
    ...manifest,
    metadata: { ...manifest.metadata, annotations },
    spec: keys === undefined ? manifest.spec : { ...manifest.spec, keys },
  };
}

const asksForTheSame = (a: FleetObject, b: FleetObject): boolean =>
  canonicalize(a.spec) === canonicalize(b.spec) &&
  (a.metadata.annotations?.[RESTARTED_AT] ?? "") === (b.metadata.annotations?.[RESTARTED_AT] ?? "");

// Who changes it, and why. `base`: the head that was looked at before, null when there was none; another one in force is refused.
export interface About {
  message: string;
  author: string;
  base?: string | null | undefined;
}

interface Draft {
  changes: Changed[];
  blobs: Map<string, string>; // by store key
  snapshot: string; // hash, "" when nothing changes
  set: FleetObject[];
  remove: ObjectKey[];
}

function limited(text: string, most: number, what: string): string {
  if (Buffer.byteLength(text) > most) throw badRequest(`${what} would be larger than ${most} bytes`);
  return text;
}

class Transaction {
  private readonly reader: Reader;
  private readonly uids = new Map<string, string>();
  private readonly now = Date.now();
  private readonly base: About["base"];
  private readonly noted: Omit<About, "base">;

  constructor(
    private readonly env: Env,
    private readonly edits: readonly Edit[],
    { base, ...noted }: About,
  ) {
    this.reader = new Reader(env);
    this.base = base;
    this.noted = noted;
  }

  async decide(current: ReadHead | null): Promise<Draft> {
    const base = current === null ? undefined : await this.reader.snapshot(current.head.snapshot);
    const shards = [...(base?.shards ?? Array<string>(SHARDS).fill(""))];
    const touched = new Set(this.edits.map(({ key }) => shardOf(key)));
    const found = await this.reader.shards([...touched].map((index) => shards[index]!));
    const entries = new Map([...touched].map((index) => [index, [...(found.get(shards[index]!) ?? [])]]));
    const entryFor = (key: ObjectKey) => entries.get(shardOf(key))!.find((entry) => nameOf({ ...entry, namespace: entry.namespace }) === nameOf(key));
    const objects = await this.reader.objects(this.edits.flatMap(({ key }) => entryFor(key)?.hash ?? []));
    const draft: Draft = { changes: [], blobs: new Map(), snapshot: "", set: [], remove: [] };
    for (const edit of this.edits) {
      const entry = entryFor(edit.key);
      this.decideOne(edit, entry, objects.get(entry?.hash ?? ""), entries.get(shardOf(edit.key))!, draft);
    }
    let changed = false;
    for (const [index, list] of entries) {
      list.sort(compareKeys);
      const text = list.length === 0 ? "" : limited(canonicalize(list), SHARD_BYTES, "a shard");
      const hash = text === "" ? "" : sha256Hex(text);
      if (hash === shards[index]) continue;
      changed = true;
      shards[index] = hash;
      if (text !== "") draft.blobs.set(`shards/${hash}`, text);
    }
    if (!changed) return draft;
    const snapshot = canonicalize({ parent: current?.head.snapshot ?? "", shards, ...this.noted, time: timeOf(this.now) } satisfies Snapshot);
    draft.snapshot = sha256Hex(snapshot);
    draft.blobs.set(`snapshots/${draft.snapshot}`, snapshot);
    return draft;
  }

  private decideOne(edit: Edit, entry: ShardEntry | undefined, before: FleetObject | undefined, shard: ShardEntry[], draft: Draft): void {
    if (entry !== undefined && before === undefined && !edit.whole)
      throw new Refusal(503, CODE.keyNotFound, `${nameOf(edit.key)} can't be read now; nothing was changed`, { "Retry-After": "10" });
    const wanted = edit.become(before);
    if (wanted === null) {
      if (entry !== undefined) {
        shard.splice(shard.indexOf(entry), 1);
        draft.remove.push(edit.key);
      }
      draft.changes.push({ ...edit.key, change: entry === undefined ? "not found" : "deleted", generation: entry?.generation ?? 0 });
      return;
    }
    const name = nameOf(edit.key);
    if (!this.uids.has(name)) this.uids.set(name, crypto.randomUUID());
    const same = before !== undefined && asksForTheSame(before, wanted);
    const next = tidy({
      ...wanted,
      metadata: {
        ...wanted.metadata,
        uid: entry?.uid ?? this.uids.get(name)!,
        generation: (entry?.generation ?? 0) + (same ? 0 : 1),
        creationTimestamp: before?.metadata.creationTimestamp ?? timeOf(this.now),
      },
    });
    const text = limited(encodeObject(next), OBJECT_BYTES, name);
    const hash = sha256Hex(text);
    const generation = next.metadata.generation ?? 0;
    if (entry?.hash === hash) {
      draft.changes.push({ ...edit.key, change: "unchanged", generation });
      return;
    }
    if (entry !== undefined) shard.splice(shard.indexOf(entry), 1);
    shard.push(entryOf(next, hash));
    draft.blobs.set(`objects/${hash}`, text);
    draft.set.push(next);
    draft.changes.push({ ...edit.key, change: entry === undefined ? "created" : "configured", generation });
  }

  // What is to go with the head; what is too much for that is stored before.
  private async upload(draft: Draft): Promise<Value[]> {
    const metadata = { written: Math.floor(this.now / 1000) };
    const pairs = [...draft.blobs].map(([key, text]) => ({ key, value: new TextEncoder().encode(text), metadata }));
    const bytes = pairs.reduce((sum, { value }) => sum + value.byteLength, 0);
    if (bytes <= COMMIT_BYTES && pairs.length <= COMMIT_VALUES)
      return pairs.map(({ key, value }) => ({ key, value, metadata: JSON.stringify(metadata) }));
    const left = await this.reader.store.putMany(pairs);
    if (left.length > 0) throw new Refusal(503, CODE.badRequest, "the store did not take all of it; nothing was changed", { "Retry-After": "2" });
    return [];
  }

  private nextHead(current: ReadHead | null, snapshot: string): Head {
    const time = timeOf(Date.now());
    if (current === null)
      return { fleet: randomHex(16), trust: 0, epoch: 1, revision: 1, snapshot, time, validUntil: "", signatures: [] };
    const { head } = current;
    return { fleet: head.fleet, trust: head.trust, epoch: head.epoch, revision: head.revision + 1, snapshot, time, validUntil: head.validUntil, signatures: [] };
  }

  async run(dryRun: boolean): Promise<ChangeResult> {
    for (let attempt = 0; attempt < ATTEMPTS; ++attempt) {
      const current = await this.reader.head();
      if (this.base !== undefined && this.base !== (current?.etag ?? null)) throw new Refusal(409, CODE.condition, "the fleet is another one than was looked at; nothing was changed");
      const draft = await this.decide(current);
      const result: ChangeResult = { changes: draft.changes, head: current?.etag ?? null, moved: false, proposal: null };
      if (draft.snapshot === "" || dryRun) return result;
      if (current !== null && isSigned(current.head))
        return { ...result, proposal: await propose(this.reader.store, current.head, draft, this.noted, timeOf(this.now)) };
      const values = await this.upload(draft);
      const next = this.nextHead(current, draft.snapshot);
      const on = { ifNoneMatch: current === null, ...(current === null ? {} : { ifMatch: current.etag }) };
      const verdict = await fleetOf(this.env).commit(values, canonicalize(next), on, "");
      if (verdict.move) return { ...result, head: `${next.trust}.${next.epoch}.${next.revision}`, moved: true };
      if (verdict.status !== 412) throw refusalOf(verdict);
    }
    throw new Refusal(503, CODE.condition, "others keep changing the fleet; try again", { "Retry-After": "1" });
  }
}

export async function change(env: Env, edits: readonly Edit[], about: About, dryRun = false): Promise<ChangeResult> {
  const names = edits.map(({ key }) => nameOf(key));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw badRequest(`${twice}: given twice`);
  return new Transaction(env, edits, about).run(dryRun);
}
