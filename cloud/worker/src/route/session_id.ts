// Session ids of routed MCP. The id that a client holds carries the node and the node's own id, signed, and belongs to
// one caller and one server: who steals it can't use it, and no table of sessions is needed.
import { createHmac } from "node:crypto";
import { z } from "zod";
import { equalsInConstantTime, sha256Hex } from "../schema/hash.js";

export interface Session {
  node: string;
  upstream: string; // the id that the node gave
}

const Payload = z.tuple([z.string().min(1).max(63), z.string().min(1).max(512)]);

// Who a session belongs to: a hash, so that an id tells nothing of a person.
const macOf = (key: string, server: string, caller: string, payload: string): string =>
  createHmac("sha256", key)
    .update(["mcpfleet session 1", server, sha256Hex(caller), payload].join("\n"))
    .digest("base64url");

export function sealSession(key: string, server: string, caller: string, session: Session): string {
  const payload = Buffer.from(JSON.stringify([session.node, session.upstream])).toString("base64url");
  return `${payload}.${macOf(key, server, caller, payload)}`;
}

// undefined for what was not sealed for this server and this caller with this key.
export function openSession(key: string, server: string, caller: string, id: string): Session | undefined {
  const [payload, mac, rest] = id.split(".");
  if (payload === undefined || mac === undefined || rest !== undefined || id.length > 2048) return undefined;
  if (!equalsInConstantTime(mac, macOf(key, server, caller, payload))) return undefined;
  try {
    const [node, upstream] = Payload.parse(JSON.parse(Buffer.from(payload, "base64url").toString()));
    return { node, upstream };
  } catch {
    return undefined;
  }
}
