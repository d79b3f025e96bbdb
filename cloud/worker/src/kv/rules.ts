// Who may do what in which namespace. Pure; the same for every operation of the KV protocol.
import type { Caller } from "../auth/caller.js";
import { hashOfKey } from "../schema/desired.js";

export const NAMESPACES = ["CONFIG", "SERVER_STATE", "DEVICE_TOKENS"] as const;
export type Namespace = (typeof NAMESPACES)[number];

export const isNamespace = (name: string): name is Namespace => (NAMESPACES as readonly string[]).includes(name);

export type Operation =
  "namespaces" | "list" | "get" | "metadata" | "put" | "delete" | "bulkGet" | "bulkPut" | "bulkDelete";
const READS: ReadonlySet<Operation> = new Set(["namespaces", "list", "get", "metadata", "bulkGet"]);

// What a node needs of CONFIG: the head and what it names by hash.
export const isDesiredKey = (key: string): boolean =>
  key === "head" || key.startsWith("trust/") || hashOfKey(key) !== undefined;

// `keys` are those that the request names; an operation without keys has none.
export function kvPermits(
  caller: Caller,
  operation: Operation,
  namespace: Namespace | undefined,
  keys: readonly string[],
): boolean {
  if (caller.kind === "device") {
    if (namespace === "CONFIG") return (operation === "get" || operation === "bulkGet") && keys.every(isDesiredKey);
    return namespace === "SERVER_STATE" && operation === "put" && keys.every((key) => key === `nodes/${caller.node}`);
  }
  if (caller.role === "operator") {
    // A status has one writer, its node.
    const statuses = namespace === "SERVER_STATE" && keys.some((key) => key.startsWith("nodes/"));
    return !(statuses && (operation === "put" || operation === "bulkPut"));
  }
  return caller.role === "viewer" && READS.has(operation) && namespace !== "DEVICE_TOKENS";
}
