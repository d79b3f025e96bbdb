// Decisions of the router. Pure.
import { createHash } from "node:crypto";

// The first revision without sessions (reference: MCP 2026-07-28, basic/versioning).
const MODERN = "2026-07-28";
const META_VERSION = "io.modelcontextprotocol/protocolVersion";

// Whether a request is of the stateless era: by its header, or by what its message says. A session id proves nothing.
export function isModern(versionHeader: string | undefined, message: unknown): boolean {
  if (versionHeader !== undefined && /^\d{4}-\d\d-\d\d$/.test(versionHeader) && versionHeader >= MODERN) return true;
  const meta = (message as { params?: { _meta?: Record<string, unknown> } } | null)?.params?._meta;
  return typeof meta?.[META_VERSION] === "string";
}

// What only tells: for viewers. A method that is not known may do anything.
const LOOKS = new Set([
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
]);
export function isLook(message: unknown): boolean {
  if (Array.isArray(message)) return message.every(isLook);
  const method = (message as { method?: unknown } | null)?.method;
  // Without one it answers what the server asked.
  return method === undefined || (typeof method === "string" && (LOOKS.has(method) || method.startsWith("notifications/")));
}

// Nodes in the order in which they are tried: the same caller comes to the same node while the set is the same, and
// callers spread over all (rendezvous hashing).
export function orderFor<T extends { node: string }>(caller: string, server: string, nodes: readonly T[]): T[] {
  const weight = (node: T) => createHash("sha256").update(`${caller}\n${server}\n${node.node}`).digest("hex");
  return nodes
    .map((node) => ({ node, weight: weight(node) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ node }) => node);
}

export interface Outcome {
  error?: unknown;
  status?: number;
}

// Whether the answer to a look at a node's healthz says that requests would not get there: no answer, Cloudflare's own 530 (the
// tunnel has no connector), or cloudflared's 502 and 504 (it does not reach the gateway). Whatever else the gateway
// answers, it answers.
export function isUnreachable({ error, status }: Outcome): boolean {
  return error !== undefined || status === 530 || status === 502 || status === 504;
}

// A request may be tried at another node only if no byte of it reached this one. When a connection breaks nobody can
// tell; of all answers only 530 comes from in front of the tunnel.
export function mayTryElsewhere({ status }: Outcome): boolean {
  return status === 530;
}

// What a client may say to a node, and a node to a client. The rest is between them and Cloudflare, or ours.
const TO_NODE = new Set([
  "accept",
  "content-type",
  "last-event-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "traceparent",
  "tracestate",
  "user-agent",
]);
const TO_CLIENT = new Set([
  "content-type",
  "cache-control",
  "x-accel-buffering",
  "www-authenticate",
  "retry-after",
  "allow",
  "mcp-protocol-version",
]);

export const goesToNode = (name: string): boolean =>
  TO_NODE.has(name.toLowerCase()) || name.toLowerCase().startsWith("mcp-param-");
export const goesToClient = (name: string): boolean => TO_CLIENT.has(name.toLowerCase());
