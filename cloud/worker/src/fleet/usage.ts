// What servers use, on its way from a node to who looks. Nothing of it is kept here: a node has the last hour in memory, sends that to who begins to
// look and a sample every few seconds while somebody does.
import { z } from "zod";
import { MEASURED_SERVERS, USAGE_EVENTS, USAGE_SAMPLES } from "../limits.js";
import { Name } from "../schema/status.js";

const Amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const Count = z.int().min(0);

// Of the `seconds` before `at`; null: not known, or there was nothing to measure.
export const UsageSample = z.strictObject({
  at: z.int().min(0).max(8_640_000_000_000_000).describe("milliseconds since 1970"),
  seconds: z.number().min(0).max(86_400),
  cpu: Amount.nullable().describe("cores, on average"),
  memory: Count.nullable().describe("bytes, at the end"),
  sessions: Count.describe("open ones, at the end"),
  calls: Count.describe("tool calls that ended"),
  errors: Count.describe("of them, those that failed"),
  p50: Amount.nullable().describe("milliseconds of half of the calls"),
  p99: Amount.nullable(),
});
export type UsageSample = z.infer<typeof UsageSample>;

export const UsageEvent = z.strictObject({
  time: z.string().max(64).describe("of the last occurrence, RFC 3339"),
  firstTime: z.string().max(64),
  type: z.string().max(16),
  reason: z.string().max(128),
  message: z.string().max(4096),
  count: Count,
});

export const ServerUsage = z.strictObject({
  namespace: Name,
  server: Name,
  samples: z.array(UsageSample).max(USAGE_SAMPLES),
  events: z.array(UsageEvent).max(USAGE_EVENTS).optional(),
});
export type ServerUsage = z.infer<typeof ServerUsage>;

// What a person looks at: one server, on one node or on all, or all servers of a node.
export const Measure = z
  .strictObject({ namespace: Name.optional(), server: Name.optional(), node: Name.optional() })
  .refine(({ namespace, server, node }) => (namespace === undefined) === (server === undefined) && (server ?? node) !== undefined, "names no server and no node");
export type Measure = z.infer<typeof Measure>;

// As nodes are told: with `history` one that somebody has just begun to look at.
export type Measured = Measure & { history?: true };

const keyOf = ({ namespace, server, node }: Measure): string => `${node ?? ""}/${namespace ?? ""}/${server ?? ""}`;

// Each once, the first MEASURED_SERVERS of them. `isNew`: whether who looks has nothing yet.
export function measuredOf(looks: readonly { at: Measure; isNew: boolean }[]): Measured[] {
  const found = new Map<string, Measured>();
  for (const { at, isNew } of looks) {
    const key = keyOf(at);
    if (!found.has(key) && found.size >= MEASURED_SERVERS) continue;
    found.set(key, { ...at, ...(isNew || found.get(key)?.history ? { history: true } : {}) });
  }
  return [...found.values()];
}

// What of a node's message is for somebody who looks at `at`: the server with its events, or of each server of the node the last sample.
export function partFor(at: Measure, node: string, servers: readonly ServerUsage[]): ServerUsage[] {
  if (at.node !== undefined && at.node !== node) return [];
  if (at.server === undefined) return servers.map(({ namespace, server, samples }) => ({ namespace, server, samples: samples.slice(-1) }));
  return servers.filter(({ namespace, server }) => namespace === at.namespace && server === at.server);
}
