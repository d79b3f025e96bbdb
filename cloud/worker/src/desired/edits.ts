// The changes that a button stands for. Pure.
import { notFound } from "../http/envelope.js";
import { keyOf, nameOf, type FleetObject, type ObjectKey, RESTARTED_AT } from "../manifest/object.js";
import { type Edit, manifestOnto, timeOf } from "./change.js";

function changed(key: ObjectKey, become: (before: FleetObject) => FleetObject): Edit {
  return {
    key,
    become: (before) => {
      if (before === undefined) throw notFound(`${nameOf(key)} is not there`);
      return become(before);
    },
  };
}

export const setEdit = (manifest: FleetObject): Edit => ({
  key: keyOf(manifest),
  become: (before) => manifestOnto(manifest, before),
});
// As it was: what was noted then counts, not what is noted now.
export const restoreEdit = (object: FleetObject): Edit => ({ key: keyOf(object), become: () => object });
export const removeEdit = (key: ObjectKey): Edit => ({ key, become: () => null });

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

// A node that only reports is declared by being cordoned (cli/cordon.cc); there is nothing to lift from one.
export function nodeEdit(action: NodeAction, name: string): Edit {
  const key = { kind: "MCPNode", namespace: "", name };
  return {
    key,
    become: (before) => {
      if (before === undefined && action === "uncordon") return null;
      const node: FleetObject = before ?? { apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name }, spec: {} };
      const { unschedulable: _, drain, ...spec } = node.spec;
      if (action === "uncordon") return { ...node, spec };
      return { ...node, spec: { ...spec, unschedulable: true, ...(action === "drain" || drain === true ? { drain: true } : {}) } };
    },
  };
}
