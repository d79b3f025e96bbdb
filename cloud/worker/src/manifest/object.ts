// Objects of the desired state as crd/object.h and crd/codec.cc have them: the same member is there or not, so that equal
// content has an equal hash whoever wrote it.
import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { canonicalize } from "./canonical.js";
import type { ShardEntry } from "../schema/desired.js";

export const API_VERSION = "mcpfleet.dev/v1alpha1";
export const RESTARTED_AT = "mcpfleet.dev/restartedAt";
const Texts = z.record(z.string(), z.string());

export const FleetObject = z
  .object({
    apiVersion: z.string().default(API_VERSION),
    kind: z.string().min(1).max(63),
    metadata: z.object({
      name: z.string().min(1).max(63),
      namespace: z.string().max(63).optional(),
      uid: z.string().max(64).optional(),
      generation: z.int().min(0).optional(),
      labels: Texts.optional(),
      annotations: Texts.optional(),
      creationTimestamp: z.string().max(64).optional(),
    }),
    spec: z.record(z.string(), z.unknown()).default({}),
  })
  .openapi("FleetObject");
export type FleetObject = z.infer<typeof FleetObject>;

export const ObjectKey = z
  .strictObject({
    kind: z.string().min(1).max(63),
    namespace: z.string().max(63).default(""),
    name: z.string().min(1).max(63),
  })
  .openapi("ObjectKey");
export type ObjectKey = z.infer<typeof ObjectKey>;

const isNamespaced = (kind: string): boolean => kind !== "MCPNode";

export const keyOf = ({ kind, metadata }: FleetObject): ObjectKey => ({
  kind,
  namespace: isNamespaced(kind) ? metadata.namespace || "default" : "",
  name: metadata.name,
});
export const nameOf = ({ kind, namespace, name }: ObjectKey): string => `${kind}/${namespace}/${name}`;
// The order of entries in a shard: by kind, namespace, name, each by bytes.
export const compareKeys = (a: ObjectKey, b: ObjectKey): number =>
  Buffer.compare(Buffer.from(a.kind), Buffer.from(b.kind)) ||
  Buffer.compare(Buffer.from(a.namespace), Buffer.from(b.namespace)) ||
  Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

export const shardOf = (key: ObjectKey): number => createHash("sha256").update(nameOf(key)).digest()[0]! % 64;

const filled = (texts: Record<string, string> | undefined) =>
  texts === undefined || Object.keys(texts).length === 0 ? undefined : texts;

// Without what is empty, as ObjectToJson leaves it out.
export function tidy(object: FleetObject): FleetObject {
  const { metadata } = object;
  const { namespace } = keyOf(object);
  const labels = filled(metadata.labels);
  const annotations = filled(metadata.annotations);
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name: metadata.name,
      ...(namespace === "" ? {} : { namespace }),
      ...(metadata.uid ? { uid: metadata.uid } : {}),
      ...(metadata.generation ? { generation: metadata.generation } : {}),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(metadata.creationTimestamp ? { creationTimestamp: metadata.creationTimestamp } : {}),
    },
    spec: object.spec,
  };
}

export const encodeObject = (object: FleetObject): string => canonicalize(tidy(object));

export function entryOf(object: FleetObject, hash: string): ShardEntry {
  const placement = object.kind === "MCPServer" ? (object.spec.placement as ShardEntry["placement"]) : undefined;
  return {
    ...keyOf(object),
    uid: object.metadata.uid ?? "",
    generation: object.metadata.generation ?? 0,
    hash,
    ...(placement === undefined || placement === null ? {} : { placement }),
  };
}
