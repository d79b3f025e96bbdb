// Who asks. Made by authenticate.ts from credentials, used by the rules of the routes.
export type Role = "viewer" | "operator";

export type Caller =
  | { kind: "device"; node: string; tokenHash: string; name: string; expires?: number }
  // A person or a pipeline. Without a role it may use routed MCP servers and nothing else.
  | { kind: "person"; role: Role | null; name: string; via: "token" | "access" | "jwt" | "session"; expires?: number };

// What a route asks of a caller. Who is not named is refused.
export interface Rule {
  public?: true;
  device?: "own" | "any"; // own: only where {node} in the path is its node
  viewer?: true;
  operator?: true;
  client?: true; // anybody whose identity is proven, but no device
  // The object is asked about a device's token, so that a revoked one is refused at once; else the mirror in KV may be.
  strong?: true;
}

export function permits(rule: Rule, caller: Caller, node: string | undefined): boolean {
  if (caller.kind === "device") return rule.device === "any" || (rule.device === "own" && node === caller.node);
  if (rule.client) return true;
  if (caller.role === "operator") return rule.operator === true;
  return caller.role === "viewer" && rule.viewer === true;
}
