// Device tokens. The Fleet object decides; for reads the mirror in KV and a minute of memory will do, so that polls of
// a large fleet don't all go to one object. A revoked token may read on for that minute and KV's own (about two
// together, five at most).
import { z } from "zod";
import { type Env, fleetOf } from "../env.js";
import type { Caller } from "./caller.js";

const MEMORY_MS = 60_000;
const MEMORY_ENTRIES = 10_000;
const KV_CACHE_SECONDS = 60;

const Entry = z.object({ node: z.string().min(1).max(63), expiresAt: z.iso.datetime().optional() });

interface Known {
  node: string;
  expires: number | null;
  until: number;
}
const memory = new Map<string, Known>();

export function forgetDevices(): void {
  memory.clear();
  foreign.clear();
}

function remember(hash: string, node: string, expires: number | null): void {
  if (memory.size >= MEMORY_ENTRIES) memory.clear();
  memory.set(hash, { node, expires, until: Math.min(Date.now() + MEMORY_MS, expires ?? Number.POSITIVE_INFINITY) });
}

const caller = (node: string, tokenHash: string, expires: number | null): Caller => ({
  kind: "device",
  node,
  tokenHash,
  name: `node ${node}`,
  ...(expires === null ? {} : { expires }),
});

export async function deviceOf(hash: string, env: Env, strong: boolean): Promise<Caller | undefined> {
  if (!strong) {
    const known = memory.get(hash);
    if (known !== undefined && known.until > Date.now()) return caller(known.node, hash, known.expires);
    const mirrored = await readMirror(hash, env);
    if (mirrored !== undefined) {
      remember(hash, mirrored.node, mirrored.expires);
      return caller(mirrored.node, hash, mirrored.expires);
    }
  }
  // A miss in the mirror proves nothing: the token may be a second old.
  const token = await fleetOf(env).checkToken(hash);
  if (token === null) {
    memory.delete(hash);
    return undefined;
  }
  remember(hash, token.node, token.expires);
  return caller(token.node, hash, token.expires);
}

// Until when this isolate takes a token for somebody else's: each look is a call of the object.
const foreign = new Map<string, number>();

// Whether one of these is, or was, a node's token.
export async function areDevices(hashes: readonly string[], env: Env): Promise<boolean> {
  const unknown = hashes.filter((hash) => (foreign.get(hash) ?? 0) <= Date.now());
  if (unknown.length === 0) return false;
  if (await fleetOf(env).knowsTokens(unknown)) return true;
  if (foreign.size >= MEMORY_ENTRIES) foreign.clear();
  for (const hash of unknown) foreign.set(hash, Date.now() + MEMORY_MS);
  return false;
}

async function readMirror(hash: string, env: Env): Promise<{ node: string; expires: number | null } | undefined> {
  const text = await env.DEVICE_TOKENS.get(`tokens/${hash}`, { cacheTtl: KV_CACHE_SECONDS });
  if (text === null) return undefined;
  try {
    const entry = Entry.parse(JSON.parse(text));
    const expires = entry.expiresAt === undefined ? null : Date.parse(entry.expiresAt);
    return expires !== null && expires <= Date.now() ? undefined : { node: entry.node, expires };
  } catch {
    return undefined; // somebody else's writing: the object decides
  }
}
