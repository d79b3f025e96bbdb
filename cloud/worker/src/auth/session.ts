// A browser's session: an API token, proven once, then a cookie that no script can read. It carries the token's hash, signed, so a
// token that is taken out of the settings or expires ends its sessions. With Cloudflare Access there is no need of it.
import { createHmac } from "node:crypto";
import { z } from "zod";
import { SESSION_SECONDS } from "../limits.js";
import { equalsInConstantTime } from "../schema/hash.js";

export const COOKIE = "mcpfleet-session";
const KEY_CHARACTERS = 32;

const Payload = z.tuple([z.string().regex(/^[0-9a-f]{64}$/), z.int()]);
const macOf = (key: string, payload: string): string =>
  createHmac("sha256", key).update(`mcpfleet browser 1\n${payload}`).digest("base64url");

export const sessionsWork = (key: string | undefined): key is string => (key ?? "").length >= KEY_CHARACTERS;

export function sealCookie(key: string, tokenHash: string, now: number): string {
  const payload = Buffer.from(JSON.stringify([tokenHash, now + SESSION_SECONDS * 1000])).toString("base64url");
  return `${payload}.${macOf(key, payload)}`;
}

// The token's hash, and when the session ends in milliseconds; undefined for what was not sealed with this key, or is over.
export function openCookie(key: string, value: string, now: number): { hash: string; expires: number } | undefined {
  const [payload, mac, rest] = value.split(".");
  if (payload === undefined || mac === undefined || rest !== undefined || value.length > 1024) return undefined;
  if (!equalsInConstantTime(mac, macOf(key, payload))) return undefined;
  const parsed = Payload.safeParse(JSON.parse(Buffer.from(payload, "base64url").toString()));
  if (!parsed.success || parsed.data[1] <= now) return undefined;
  return { hash: parsed.data[0], expires: parsed.data[1] };
}

export function cookieOf(request: Request): string | undefined {
  for (const part of (request.headers.get("Cookie") ?? "").split(";")) {
    const at = part.indexOf("=");
    if (part.slice(0, at).trim() === COOKIE) return part.slice(at + 1).trim();
  }
  return undefined;
}

// Strict: no other site's page can make the browser send it. On plain http (this machine only) it can't be Secure. `elsewhere`: for the
// dashboard at a site of its own (cors.ts), whose requests are another site's; partitioned, so that the browser sends it for that page only.
export const setCookie = (value: string, seconds: number, { secure, elsewhere }: { secure: boolean; elsewhere: boolean }): string =>
  `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; ${elsewhere ? "SameSite=None; Secure; Partitioned" : `SameSite=Strict${secure ? "; Secure" : ""}`}`;
