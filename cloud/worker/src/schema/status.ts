// A node's status as crd/codec.cc writes it. Only what the Worker decides by is named; the bytes are kept as they came.
import { z } from "zod";
import { sha256Hex } from "./hash.js";

export const Name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "is no RFC 1123 label");
export const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
export const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
// Of what is no object: lines and statuses of old nodes may leave the namespace out.
export const NameOrNone = z.string().regex(/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/, "is no RFC 1123 label").default("");

export const Condition = z.object({
  type: z.string().max(316),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().max(1024).default(""),
  message: z.string().max(32768).default(""),
  lastTransitionTime: z.string().max(64).optional(),
  observedGeneration: z.int().optional(),
});
export type Condition = z.infer<typeof Condition>;

export const ServerStatus = z.object({
  namespace: NameOrNone,
  name: Name,
  uid: z.string().max(64).optional(),
  observedGeneration: z.int().optional(),
  conditions: z.array(Condition).max(64).default([]),
  revision: z.string().max(128).optional(),
  endpoint: z.string().max(2048).optional(),
  serverInfo: z
    .object({ name: z.string().optional(), version: z.string().optional(), protocolVersion: z.string().optional() })
    .optional(),
  catalog: z
    .object({ tools: z.int().optional(), resources: z.int().optional(), prompts: z.int().optional() })
    .optional(),
  restarts: z.object({ count: z.int().default(0), lastReason: z.string().optional() }).optional(),
});
export type ServerStatus = z.infer<typeof ServerStatus>;

// The whole of it, for people; what else a node says of it is passed on.
export const ServerDetail = ServerStatus.extend({
  imageDigest: z.string().optional(),
  serverInfo: z
    .object({
      name: z.string().optional(),
      version: z.string().optional(),
      protocolVersion: z.string().optional(),
      capabilities: z.array(z.string()).optional(),
    })
    .optional(),
  catalog: z
    .object({
      tools: z.int().optional(),
      resources: z.int().optional(),
      prompts: z.int().optional(),
      toolsHash: z.string().optional(),
      toolNames: z.array(z.string()).optional(),
    })
    .optional(),
  instances: z
    .array(
      z.object({
        id: z.string(),
        runtime: z.string().optional(),
        state: z.string().optional(),
        revision: z.string().optional(),
        startedAt: z.string().optional(),
      }),
    )
    .optional(),
  restarts: z
    .object({
      count: z.int().default(0),
      lastExitCode: z.int().optional(),
      lastSignal: z.int().optional(),
      lastReason: z.string().optional(),
      lastAt: z.string().optional(),
      nextAttemptAt: z.string().optional(),
      stderrTail: z.string().optional(),
    })
    .optional(),
});
export type ServerDetail = z.infer<typeof ServerDetail>;

// As the node sent it; where the rest of it is none of what it should be, what was checked when it came.
export function detailOf(status: unknown): unknown {
  return ServerDetail.safeParse(status).success ? status : ServerStatus.parse(status);
}

// What the machine has in all.
export const Capacity = z.object({
  cpus: z.int().min(0).default(0),
  memoryBytes: z.int().min(0).default(0),
  diskBytes: z.int().min(0).default(0),
});

export const NodeStatus = z.object({
  node: Name,
  sequence: z.int().min(0),
  bootId: z.string().max(128).default(""),
  version: z.string().max(128).optional(),
  heartbeat: z.string().max(64).optional(),
  acceptedHead: z.string().max(64).optional(),
  snapshot: z.string().max(64).optional(),
  runtimes: z.array(z.string().max(64)).max(16).default([]),
  capacity: Capacity.optional(),
  conditions: z.array(Condition).max(64).default([]),
  servers: z.array(ServerStatus).max(10_000).default([]),
});
export type NodeStatus = z.infer<typeof NodeStatus>;

export function conditionOf(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

export const isReady = (conditions: readonly Condition[]): boolean =>
  conditionOf(conditions, "Ready")?.status === "True";

// What of a status is worth a write to KV: the same fields that StatusDigest (status_publisher.cc) leaves out are left
// out here. Equal digests are equal news.
export function statusDigest(status: unknown): string {
  const volatile = new Set(["heartbeat", "sequence", "nextAttemptAt"]);
  const replacer = (key: string, value: unknown): unknown => {
    if (volatile.has(key)) return undefined;
    // Its message counts seconds down (controller/core/conditions.cc, SameCondition): no news.
    if (value instanceof Object && (value as { reason?: unknown }).reason === "CrashLoopBackOff")
      return { ...value, message: "" };
    return value;
  };
  return sha256Hex(JSON.stringify(status, replacer));
}

// A server on a node as tables and alerts need it.
export interface ServerSummary {
  namespace: string;
  name: string;
  ready: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  looping: boolean;
  pinsViolated: string; // the condition's message, "" while pins hold
  restarts: number;
  tools: number;
  protocol: string;
  generation: number;
  revision: string;
  endpoint: string; // where clients reach it, as its node says
}

// Reasons with which a server is not Ready because somebody wants it so.
const WANTED = new Set(["Suspended", "Suspending", "Completed"]);
const MESSAGE = 512;

export function summaryOf(status: NodeStatus): ServerSummary[] {
  return status.servers.map((server) => {
    const ready = conditionOf(server.conditions, "Ready");
    const pins = conditionOf(server.conditions, "ToolsPinned");
    return {
      namespace: server.namespace,
      name: server.name,
      ready: ready?.status ?? "Unknown",
      reason: ready?.reason ?? "NotReported",
      message: (ready?.message ?? "").slice(0, MESSAGE),
      looping: server.conditions.some((condition) => condition.reason === "CrashLoopBackOff"),
      pinsViolated: pins?.status === "False" ? pins.message.slice(0, MESSAGE) || pins.reason : "",
      restarts: server.restarts?.count ?? 0,
      tools: server.catalog?.tools ?? 0,
      protocol: server.serverInfo?.protocolVersion ?? "",
      generation: server.observedGeneration ?? 0,
      revision: server.revision ?? "",
      endpoint: server.endpoint ?? "",
    };
  });
}

// Whether it counts as up; null when it is meant to be down, which is neither.
export function isUp(server: ServerSummary): boolean | null {
  if (server.ready === "True") return true;
  return WANTED.has(server.reason) ? null : false;
}

// The row of the node table, for a node that sent none (StatusMetadata in status_publisher.cc).
export function rowOf(status: NodeStatus): string {
  const servers = summaryOf(status);
  return JSON.stringify({
    bootId: status.bootId,
    head: status.acceptedHead ?? "",
    heartbeat: status.heartbeat ?? "",
    ready: servers.filter((server) => server.ready === "True").length,
    sequence: status.sequence,
    servers: servers.length,
    state: conditionOf(status.conditions, "Ready")?.status ?? "Unknown",
    version: status.version ?? "",
  });
}
