// SERVER_STATE: statuses of nodes are in the Fleet object (KV has a copy that may be a minute old); other keys are KV's.
import type { Fleet } from "../fleet/fleet.js";
import { badRequest, forbidden, tooLarge, tooMany } from "../http/envelope.js";
import { utf8 } from "../http/body.js";
import { STATUS_BYTES } from "../limits.js";
import type { Pair } from "./pair.js";
import { PlainStore } from "./plain.js";
import { cursorOf, type Found, keyOfCursor, type Page, type PutCondition } from "./store.js";

const PREFIX = "nodes/";
const nodeOf = (key: string): string | undefined => (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined);

export class StateStore extends PlainStore {
  constructor(
    kv: KVNamespace,
    private readonly fleet: DurableObjectStub<Fleet>,
    private readonly writer?: string, // the node that asks
  ) {
    super(kv);
  }

  override async get(key: string): Promise<Found | null> {
    const node = nodeOf(key);
    return node === undefined ? super.get(key) : ((await this.statuses([node])).get(key) ?? null);
  }

  override async getMany(keys: readonly string[]): Promise<Map<string, Found>> {
    const found = await super.getMany(keys.filter((key) => nodeOf(key) === undefined));
    const nodes = keys.flatMap((key) => nodeOf(key) ?? []);
    if (nodes.length > 0) for (const [key, value] of await this.statuses(nodes)) found.set(key, value);
    return found;
  }

  override async list(prefix: string, cursor: string, limit: number): Promise<Page> {
    const node = nodeOf(prefix);
    if (node === undefined) return super.list(prefix, cursor, limit);
    const after = cursor === "" ? "" : nodeOf(keyOfCursor(cursor) ?? "");
    if (after === undefined) throw badRequest("the cursor is not one of ours");
    const rows = await this.fleet.listStatuses(node, after, limit);
    const keys = rows.map((row) => ({ name: PREFIX + row.node, metadata: JSON.parse(row.metadata) as unknown }));
    return { keys, cursor: rows.length === limit ? cursorOf(keys[keys.length - 1]!.name) : "" };
  }

  override async put(pair: Pair, on: PutCondition): Promise<void> {
    const node = nodeOf(pair.key);
    if (node === undefined) return super.put(pair, on);
    if (node !== this.writer) throw forbidden();
    if (pair.value.byteLength > STATUS_BYTES) throw tooLarge(`a status is larger than ${STATUS_BYTES} bytes`);
    const body = utf8(pair.value);
    if (body === undefined) throw badRequest("the status is not UTF-8");
    const verdict = await this.fleet.putStatus(
      node,
      body,
      pair.metadata === undefined ? undefined : JSON.stringify(pair.metadata),
    );
    if (verdict.ok) return;
    throw verdict.retryAfterSeconds === undefined ? badRequest(verdict.message) : tooMany(verdict.message, verdict.retryAfterSeconds);
  }

  override async delete(keys: readonly string[]): Promise<string[]> {
    for (const key of keys) {
      const node = nodeOf(key);
      if (node !== undefined) await this.fleet.deleteStatus(node);
    }
    return super.delete(keys.filter((key) => nodeOf(key) === undefined));
  }

  private async statuses(nodes: readonly string[]): Promise<Map<string, Found>> {
    const rows = await this.fleet.getStatuses([...nodes]);
    return new Map(
      rows.map((row) => [
        PREFIX + row.node,
        { value: new TextEncoder().encode(row.body), metadata: JSON.parse(row.metadata) as unknown },
      ]),
    );
  }
}
