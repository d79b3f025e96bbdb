// What a table shows of an object: a few fields instead of a whole spec, so that a page of ten thousand stays small.
import { z } from "@hono/zod-openapi";
import type { FleetObject } from "../manifest/object.js";
import type { ShardEntry } from "../schema/desired.js";

export const ObjectRow = z
  .object({
    kind: z.string(),
    namespace: z.string(),
    name: z.string(),
    uid: z.string(),
    generation: z.int(),
    hash: z.string().describe("names the object's bytes: GET /v1/desired/objects/{hash}"),
    created: z.string(),
    labels: z.record(z.string(), z.string()),
    source: z.string().describe("image, package, path or URL that a server runs from"),
    suspended: z.boolean(),
    unschedulable: z.boolean(),
    drained: z.boolean(),
    replicas: z.int().nullable(),
    nodes: z.array(z.string()).nullable().describe("the nodes that placement names"),
    selector: z.record(z.string(), z.string()).nullable(),
    hostname: z.string(),
  })
  .openapi("ObjectRow");
export type ObjectRow = z.infer<typeof ObjectRow>;

type Map = Record<string, unknown>;
const mapOf = (value: unknown): Map => (typeof value === "object" && value !== null ? (value as Map) : {});
const text = (value: unknown): string => (typeof value === "string" ? value : "");

export function sourceOf(spec: Map): string {
  const source = mapOf(spec.source);
  const pack = mapOf(source.package);
  if (pack.name !== undefined) return `${text(pack.manager)}:${text(pack.name)}@${text(pack.version)}`;
  return text(mapOf(source.image).ref) || text(mapOf(source.process).path) || text(mapOf(source.remote).url);
}

// `object` is undefined where it can't be read (yet).
export function rowFor(entry: ShardEntry, object: FleetObject | undefined): ObjectRow {
  const spec = mapOf(object?.spec);
  return {
    kind: entry.kind,
    namespace: entry.namespace,
    name: entry.name,
    uid: entry.uid,
    generation: entry.generation,
    hash: entry.hash,
    created: object?.metadata.creationTimestamp ?? "",
    labels: object?.metadata.labels ?? {},
    source: sourceOf(spec),
    suspended: spec.suspend === true,
    unschedulable: spec.unschedulable === true || spec.drain === true,
    drained: spec.drain === true,
    replicas: entry.placement?.replicas ?? null,
    nodes: entry.placement?.nodes ?? null,
    selector: entry.placement?.nodeSelector ?? null,
    hostname: text(mapOf(spec.expose).hostname),
  };
}
