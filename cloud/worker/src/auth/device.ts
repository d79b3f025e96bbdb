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
  until: number;
}
const memory = new Map<string, Known>();

export function forgetDevices(): void {
  memory.clear();
}

function remember(hash: string, node: string, expires: number | null): void {
  if (memory.size >= MEMORY_ENTRIES) memory.clear();
  memory.set(hash, { node, until: Math.min(Date.now() + MEMORY_MS, expires ?? Number.POSITIVE_INFINITY) });
}

const caller = (node: string, tokenHash: string): Caller => ({ kind: "device", node, tokenHash, name: `node ${node}` });

export async function deviceOf(hash: string, env: Env, strong: boolean): Promise<Caller | undefined> {
  if (!strong) {
    const known = memory.get(hash);
    if (known !== undefined && known.until > Date.now()) return caller(known.node, hash);
    const mirrored = await readMirror(hash, env);
    if (mirrored !== undefined) {
      remember(hash, mirrored.node, mirrored.expires);
      return caller(mirrored.node, hash);
    }
  }
  // A miss in the mirror proves nothing: the token may be a second old.
  const token = await fleetOf(env).checkToken(hash);
  if (token === null) {
    memory.delete(hash);
    return undefined;
  }
  remember(hash, token.node, token.expires);
  return caller(token.node, hash);
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
