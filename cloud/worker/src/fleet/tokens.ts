// Device tokens. The object is the authority; KV has a mirror for reads, in the form of store/device_token.h with the
// time of expiry added. Only hashes are kept, so no copy of this database opens anything.
import { randomToken, sha256Hex } from "../schema/hash.js";
import { TOKENS_ENDED, TOKENS_OF_NODE } from "../limits.js";
import { post } from "./outbox.js";

export interface TokenRow {
  hash: string;
  node: string;
  author: string;
  created: number;
  expires: number | null;
  revoked: number | null;
  join_id: string | null;
  replaces: string | null; // hash of the token that ends with the first use of this one
}

export interface IssuedToken {
  token: string;
  hash: string;
  expires: number;
}

// Mirror and list entry of a token: store/device_token.h.
export function tokenEntry(row: Pick<TokenRow, "node" | "author" | "created" | "expires">): string {
  return JSON.stringify({
    node: row.node,
    createdAt: new Date(row.created).toISOString(),
    author: row.author.slice(0, 256),
    ...(row.expires === null ? {} : { expiresAt: new Date(row.expires).toISOString() }),
  });
}

export function findToken(sql: SqlStorage, hash: string): TokenRow | undefined {
  return sql.exec("SELECT * FROM tokens WHERE hash=?", hash).toArray()[0] as TokenRow | undefined;
}

export function tokensOf(sql: SqlStorage, node: string): TokenRow[] {
  return sql
    .exec("SELECT * FROM tokens WHERE node=? AND revoked IS NULL ORDER BY created, hash", node)
    .toArray() as unknown as TokenRow[];
}

export function isLive(token: Pick<TokenRow, "expires" | "revoked"> | undefined, now: number): boolean {
  return token !== undefined && token.revoked === null && (token.expires === null || token.expires > now);
}

export function hasLiveToken(sql: SqlStorage, node: string, now: number): boolean {
  return sql.exec("SELECT 1 FROM tokens WHERE node=? AND revoked IS NULL AND (expires IS NULL OR expires>?) LIMIT 1", node, now).toArray().length > 0;
}

export function addToken(sql: SqlStorage, row: Omit<TokenRow, "revoked">, now: number): void {
  sql.exec(
    "INSERT INTO tokens(hash,node,author,created,expires,revoked,join_id,replaces) VALUES(?1,?2,?3,?4,?5,NULL,?6,?7) ON CONFLICT(hash) DO UPDATE SET node=?2, author=?3, expires=?5, revoked=NULL",
    row.hash,
    row.node,
    row.author,
    row.created,
    row.expires,
    row.join_id,
    row.replaces,
  );
  post(sql, "mirror-token", row.hash, now);
}

// Keeps the tokens of a node few: the oldest live ones end, and of those that ended the oldest are forgotten. The hashes of tokens
// that ended with that.
export function boundTokens(sql: SqlStorage, node: string, now: number): string[] {
  const hashesOf = (live: string, order: string, from: number) =>
    sql
      .exec<{ hash: string }>(`SELECT hash FROM tokens WHERE node=?1 AND ${live} (revoked IS NULL AND (expires IS NULL OR expires>?2)) ORDER BY ${order} LIMIT -1 OFFSET ?3`, node, now, from)
      .toArray()
      .map((row) => row.hash);
  const ended = hashesOf("", "created DESC, rowid DESC", TOKENS_OF_NODE);
  for (const hash of ended) revokeToken(sql, hash, now);
  for (const hash of hashesOf("NOT", "coalesce(revoked,expires) DESC, rowid DESC", TOKENS_ENDED)) forget(sql, hash, now);
  return ended;
}

function forget(sql: SqlStorage, hash: string, now: number): void {
  sql.exec("DELETE FROM tokens WHERE hash=?", hash);
  post(sql, "mirror-token", hash, now);
}

export function issueToken(
  sql: SqlStorage,
  given: { node: string; author: string; lifeMs: number; joinId?: string; replaces?: string },
  now: number,
): IssuedToken {
  const token = `mcp1_${given.node}_${randomToken()}`;
  const hash = sha256Hex(token);
  // One that was to replace the same and was never used: its answer was lost.
  if (given.replaces !== undefined)
    for (const lost of sql.exec<{ hash: string }>("SELECT hash FROM tokens WHERE replaces=?", given.replaces).toArray()) forget(sql, lost.hash, now);
  const expires = now + given.lifeMs;
  addToken(
    sql,
    {
      hash,
      node: given.node,
      author: given.author,
      created: now,
      expires,
      join_id: given.joinId ?? null,
      replaces: given.replaces ?? null,
    },
    now,
  );
  return { token, hash, expires };
}

export function revokeToken(sql: SqlStorage, hash: string, now: number): boolean {
  const changed =
    sql.exec("UPDATE tokens SET revoked=? WHERE hash=? AND revoked IS NULL RETURNING hash", now, hash).toArray()
      .length > 0;
  if (changed) post(sql, "mirror-token", hash, now);
  return changed;
}

// The first use of a token ends the one that it replaces: until then a node whose answer was lost is not locked out.
export function endReplaced(sql: SqlStorage, token: TokenRow, now: number): string | undefined {
  if (token.replaces === null) return undefined;
  sql.exec("UPDATE tokens SET replaces=NULL WHERE hash=?", token.hash);
  return revokeToken(sql, token.replaces, now) ? token.replaces : undefined;
}
