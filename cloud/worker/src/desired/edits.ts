// The changes that a button stands for. Pure.
import { notFound } from "../http/envelope.js";
import { keyOf, nameOf, type FleetObject, type ObjectKey, RESTARTED_AT } from "../manifest/object.js";
import { type Edit, manifestOnto, timeOf } from "./change.js";

function changed(key: ObjectKey, become: (before: FleetObject) => FleetObject): Edit {
  return {
    key,
    whole: false,
    become: (before) => {
      if (before === undefined) throw notFound(`${nameOf(key)} is not there`);
      return become(before);
    },
  };
}

export const setEdit = (manifest: FleetObject): Edit => ({
  key: keyOf(manifest),
  whole: manifest.kind !== "MCPNode" || manifest.spec.keys !== undefined, // a node's keys go on
  become: (before) => manifestOnto(manifest, before),
});
// As it was: what was noted then counts, not what is noted now.
export const restoreEdit = (object: FleetObject): Edit => ({ key: keyOf(object), whole: true, become: () => object });
export const removeEdit = (key: ObjectKey): Edit => ({ key, whole: true, become: () => null });

export type ServerAction = "restart" | "suspend" | "resume";
export type NodeAction = "cordon" | "uncordon" | "drain";

export function serverEdit(action: ServerAction, namespace: string, name: string, now: number): Edit {
  return changed({ kind: "MCPServer", namespace, name }, (before) => {
    if (action === "restart")
      return { ...before, metadata: { ...before.metadata, annotations: { ...before.metadata.annotations, [RESTARTED_AT]: timeOf(now) } } };
    const { suspend: _, ...spec } = before.spec;
    return { ...before, spec: action === "suspend" ? { ...spec, suspend: true } : spec };
  });
}

export const bareNode = (name: string): FleetObject => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name }, spec: {} });

function nodeEditOf(name: string, become: (node: FleetObject, isThere: boolean) => FleetObject | null): Edit {
  return {
    key: { kind: "MCPNode", namespace: "", name },
    whole: false,
    become: (before) => become(before ?? bareNode(name), before !== undefined),
  };
}

// What is said of a node that is to join, or has; whatever else is known of it stays (cli/node_enroll.cc).
export function declareEdit(name: string, labels: Record<string, string>, keys: Record<string, string> | undefined): Edit {
  return nodeEditOf(name, (node) => ({
    ...node,
    metadata: { ...node.metadata, labels: { ...node.metadata.labels, ...labels } },
    spec: keys === undefined ? node.spec : { ...node.spec, keys },
  }));
}

// A node that only reports is declared by being cordoned (cli/cordon.cc); there is nothing to lift from one.
export function nodeEdit(action: NodeAction, name: string): Edit {
  return nodeEditOf(name, (node, isThere) => {
    if (!isThere && action === "uncordon") return null;
    const { unschedulable: _, drain, ...spec } = node.spec;
    if (action === "uncordon") return { ...node, spec };
    return { ...node, spec: { ...spec, unschedulable: true, ...(action === "drain" || drain === true ? { drain: true } : {}) } };
  });
}
