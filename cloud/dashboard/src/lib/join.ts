// Enrolment from a browser (docs/cloudflare-protocol.md, Enrolment): this page is what mcpctl is otherwise. The secret is made here, goes
// to the node by the person's hands, and never to the Worker; the keys are published when the HMAC shows who has it.
import { api, result } from "../api/client";

const BYTES = 32;
const encoder = new TextEncoder();
export const base64url = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const toUrl = (base64: string): string => base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

export interface Joining {
  id: string;
  node: string;
  secret: Uint8Array<ArrayBuffer>;
  token: string; // what the node is given
}

// What else is known of the node stays: it may have been here before.
const declare = (node: string, body: { labels: Record<string, string>; keys?: { signing: string; sealing: string } }) =>
  result(api.POST("/v1/nodes/{node}/declare", { params: { path: { node } }, body }));

export async function beginJoin(node: string, labels: Record<string, string>): Promise<Joining> {
  const id = hex(crypto.getRandomValues(new Uint8Array(16)));
  const secret = crypto.getRandomValues(new Uint8Array(BYTES));
  await declare(node, { labels });
  const desired = await result(api.GET("/v1/desired"));
  await result(api.PUT("/v1/joins/{id}", { params: { path: { id } }, body: { node, labels, ttlSeconds: 86_400 } }));
  return { id, node, secret, token: [id, base64url(secret), desired.fleet, "", desired.head ?? "0.0.0"].join(".") };
}

export async function macOf(secret: Uint8Array<ArrayBuffer>, node: string, signing: string, sealing: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const text = `mcpfleet join v1\n${node}\n${signing}\n${sealing}\n`;
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))));
}

export type JoinState = "waiting" | "joined" | "forged" | "over";

// One look; publishes the keys of the node that proves that it was given the secret.
export async function lookAtJoin({ id, node, secret }: Joining): Promise<JoinState> {
  const join = await result(api.GET("/v1/joins/{id}", { params: { path: { id } } }));
  if (join.state === "Expired" || join.state === "Revoked") return "over";
  const presented = join.presented;
  if (join.state !== "Joined" || !presented) return "waiting";
  const signing = toUrl(presented.keys.signing);
  const sealing = toUrl(presented.keys.sealing);
  if ((await macOf(secret, node, signing, sealing)) !== presented.mac) {
    await result(api.POST("/v1/nodes/{node}/revoke", { params: { path: { node } } }));
    return "forged";
  }
  await declare(node, { labels: {}, keys: { signing, sealing } });
  return "joined";
}
