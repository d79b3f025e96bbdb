// Enrolment from a browser (docs/cloudflare-protocol.md, Enrolment): this page is what mcpctl is otherwise. The secret is made here, goes
// to the node by the person's hands, and never to the Worker; the keys are published when the HMAC shows who has it.
import { api, type FleetObject, result } from "../api/client";
import type { MCPNode } from "../api/crd";

type NodeSpec = NonNullable<MCPNode["spec"]>;

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

const nodeObject = (name: string, labels: Record<string, string>, spec: NodeSpec = {}) => ({
  apiVersion: "mcpfleet.dev/v1alpha1",
  kind: "MCPNode",
  metadata: { name, ...(Object.keys(labels).length === 0 ? {} : { labels }) },
  spec,
});

export async function beginJoin(node: string, labels: Record<string, string>): Promise<Joining> {
  const id = hex(crypto.getRandomValues(new Uint8Array(16)));
  const secret = crypto.getRandomValues(new Uint8Array(BYTES));
  await result(api.POST("/v1/changes", { body: { set: [nodeObject(node, labels)], remove: [], message: `enrol ${node}`, dryRun: false } }));
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
export async function lookAtJoin({ id, node, secret }: Joining, current: FleetObject | undefined): Promise<JoinState> {
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
  const spec: NodeSpec = { ...(current?.spec as NodeSpec | undefined), keys: { signing, sealing } };
  await result(api.POST("/v1/changes", { body: { set: [nodeObject(node, current?.metadata.labels ?? {}, spec)], remove: [], message: `keys of ${node}`, dryRun: false } }));
  return "joined";
}
