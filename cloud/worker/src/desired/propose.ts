// In a signed fleet nothing here can move the head: a change is written down for somebody with a head key (store/proposal.h), who
// looks at it with `mcpctl proposals show` and signs it.
import { badRequest, CODE, Refusal } from "../http/envelope.js";
import type { Store } from "../kv/store.js";
import { canonicalize } from "../manifest/canonical.js";
import { type FleetObject, type ObjectKey, tidy } from "../manifest/object.js";
import type { Head } from "../schema/desired.js";
import { sha256Hex } from "../schema/hash.js";

const PROPOSAL_BYTES = 1024 * 1024;
const PROPOSAL_SECONDS = 7 * 86_400;
const PREFIX = "proposals/";

export const isSigned = (head: Head): boolean => head.trust > 0 || head.signatures.length > 0;

// Uid, generation and time of creation are assigned when it is signed.
function asProposed(object: FleetObject): FleetObject {
  const { uid: _, generation: __, creationTimestamp: ___, ...metadata } = object.metadata;
  return tidy({ ...object, metadata });
}

// Its id.
export async function propose(
  store: Store,
  head: Head,
  change: { set: readonly FleetObject[]; remove: readonly ObjectKey[] },
  about: { message: string; author: string },
  time: string,
): Promise<string> {
  const secret = change.set.find((object) => object.kind === "MCPSecret");
  if (secret !== undefined) throw badRequest(`MCPSecret/${secret.metadata.name}: secrets are changed with mcpctl`);
  const text = canonicalize({
    fleet: head.fleet,
    base: head.snapshot,
    set: change.set.map(asProposed),
    remove: change.remove.map(({ kind, namespace, name }) => ({ kind, namespace, name })),
    ...about,
    time,
  });
  if (Buffer.byteLength(text) > PROPOSAL_BYTES) throw new Refusal(413, CODE.badRequest, "the proposal is larger than 1 MiB: propose less at once");
  const id = sha256Hex(text);
  await store.put(
    {
      key: PREFIX + id,
      value: new TextEncoder().encode(text),
      metadata: { author: about.author.slice(0, 200), message: about.message.slice(0, 200), time, objects: change.set.length + change.remove.length },
      ttl: PROPOSAL_SECONDS,
    },
    { ifNoneMatch: false },
  );
  return id;
}

export interface ProposalRow {
  id: string;
  author: string;
  message: string;
  time: string;
  objects: number;
}

export async function listProposals(store: Store): Promise<ProposalRow[]> {
  const { keys } = await store.list(PREFIX, "", 1000);
  return keys
    .map(({ name, metadata }) => {
      const row = (metadata ?? {}) as Partial<ProposalRow>;
      return {
        id: name.slice(PREFIX.length),
        author: String(row.author ?? ""),
        message: String(row.message ?? ""),
        time: String(row.time ?? ""),
        objects: Number(row.objects ?? 0),
      };
    })
    .sort((a, b) => (a.time < b.time ? 1 : -1));
}
