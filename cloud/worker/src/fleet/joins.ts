// Enrolment (architecture §8). The join token is <id>.<secret>.<fleet>.<fingerprint>.<minimum head>; only the id and an
// HMAC over the node's name and public keys ever come here. The first keys that present the id are bound to it and may
// repeat it; others are refused. Whether the HMAC is right only mcpctl can tell, which has the secret.
import { z } from "zod";
import { LABEL_KEY, LABEL_VALUE, Name } from "../schema/status.js";
import { ensureNode, setKeys } from "./nodes.js";
import { issueToken, revokeToken } from "./tokens.js";

const Base64Key = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "is not 32 bytes in base64");
export const JoinId = z.string().regex(/^[0-9a-f]{32}$/, "is not 32 hex digits");
export const Labels = z
  .record(z.string().max(317).regex(LABEL_KEY, "is no key of a label"), z.string().regex(LABEL_VALUE, "is no value of a label"))
  .refine((labels) => Object.keys(labels).length <= 64, "more than 64 labels");

export const Presented = z.strictObject({
  node: Name,
  keys: z.strictObject({ signing: Base64Key, sealing: Base64Key }), // Ed25519 and X25519
  mac: z.string().regex(/^[0-9a-f]{64}$/, "is not 64 hex digits"),
});
export type Presented = z.infer<typeof Presented>;

export interface JoinRow {
  id: string;
  node: string;
  author: string;
  created: number;
  expires: number;
  labels: string;
  bound: string | null; // JSON of Presented
  bound_at: number | null;
  revoked: number | null;
}

export function findJoin(sql: SqlStorage, id: string): JoinRow | undefined {
  return sql.exec("SELECT * FROM joins WHERE id=?", id).toArray()[0] as JoinRow | undefined;
}

export type JoinVerdict = { ok: true; first: boolean } | { ok: false; status: 403 | 404 | 409 | 410; message: string };

export function judgeJoin(join: JoinRow | undefined, presented: Presented, now: number): JoinVerdict {
  // A wrong name must not tell that the id is right.
  if (join === undefined || join.node !== presented.node)
    return { ok: false, status: 404, message: "no such join token" };
  if (join.revoked !== null) return { ok: false, status: 410, message: "the join token was revoked" };
  if (join.expires <= now) return { ok: false, status: 410, message: "the join token has expired" };
  if (join.bound === null) return { ok: true, first: true };
  const before = JSON.parse(join.bound) as Presented;
  const same =
    before.keys.signing === presented.keys.signing &&
    before.keys.sealing === presented.keys.sealing &&
    before.mac === presented.mac;
  return same
    ? { ok: true, first: false }
    : { ok: false, status: 409, message: "the join token was used by a node with other keys" };
}

export function joinState(join: JoinRow, now: number): "Pending" | "Joined" | "Expired" | "Revoked" {
  if (join.revoked !== null) return "Revoked";
  if (join.bound !== null) return "Joined";
  return join.expires <= now ? "Expired" : "Pending";
}

export type Redeemed =
  | { ok: true; token: string; expires: number; fleet: string }
  | { ok: false; status: 403 | 404 | 409 | 410; message: string };

// The device token for who presents its keys, and the hashes of tokens that ended with that.
export function redeem(
  sql: SqlStorage,
  id: string,
  presented: Presented,
  lifeMs: number,
  fleet: string,
  now: number,
): { result: Redeemed; ended: string[] } {
  const verdict = judgeJoin(findJoin(sql, id), presented, now);
  if (!verdict.ok) return { result: verdict, ended: [] };
  // A repeat means that the answer was lost: the token in it is of no use to anybody who should have it.
  const before = sql
    .exec<{ hash: string }>("SELECT hash FROM tokens WHERE join_id=? AND revoked IS NULL", id)
    .toArray();
  for (const { hash } of before) revokeToken(sql, hash, now);
  ensureNode(sql, presented.node, now);
  if (verdict.first) {
    sql.exec("UPDATE joins SET bound=?, bound_at=? WHERE id=?", JSON.stringify(presented), now, id);
    setKeys(sql, presented.node, presented.keys.signing, presented.keys.sealing);
  }
  const { token, expires } = issueToken(
    sql,
    { node: presented.node, author: `join ${id.slice(0, 8)}`, lifeMs, joinId: id },
    now,
  );
  return { result: { ok: true, token, expires, fleet }, ended: before.map((row) => row.hash) };
}
