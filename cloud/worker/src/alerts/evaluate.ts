// What is wrong with the fleet now, from facts. Pure: raising, clearing and telling are others' work.
import type { ServerSummary } from "../schema/status.js";

export type AlertKind =
  | "NodeOffline"
  | "ServerNotReady"
  | "CrashLoop"
  | "ToolPinViolated"
  | "TokenExpires"
  | "ForeignHead"
  | "DownListFrozen"
  | "CloneSuspected";

export interface Alert {
  key: string; // kind and subject: at most one of each is raised
  kind: AlertKind;
  subject: string;
  message: string;
  severity: "warning" | "critical";
}

export interface Facts {
  nodes: { node: string; down: boolean; cloned: boolean; servers: readonly ServerSummary[] }[];
  // Since when a server on a node is not Ready, in milliseconds; "node/namespace/name".
  notReadySince: Record<string, number>;
  tokens: { node: string; id: string; expires: number | undefined }[];
  foreignHead: string | undefined; // what was found
  frozen: boolean;
}

export interface Thresholds {
  notReadyMs: number;
  tokenWarningMs: number;
}

const alert = (kind: AlertKind, subject: string, message: string, severity: Alert["severity"]): Alert => ({
  key: `${kind}/${subject}`,
  kind,
  subject,
  message,
  severity,
});

export const serverKey = (node: string, server: { namespace: string; name: string }): string =>
  `${node}/${server.namespace}/${server.name}`;

export function evaluate(facts: Facts, limits: Thresholds, now: number): Alert[] {
  const alerts: Alert[] = [];
  for (const { node, down, cloned, servers } of facts.nodes) {
    if (cloned)
      alerts.push(alert("CloneSuspected", node, "two machines seem to use this node's credentials", "critical"));
    if (down) {
      // What its servers do is not known then: one alert says so, not one for each.
      alerts.push(alert("NodeOffline", node, "no sign of life", "critical"));
      continue;
    }
    for (const server of servers) {
      const subject = serverKey(node, server);
      if (server.looping) {
        alerts.push(alert("CrashLoop", subject, `restarted ${server.restarts} times: ${server.message}`, "critical"));
        continue;
      }
      if (server.pinsViolated !== "") alerts.push(alert("ToolPinViolated", subject, server.pinsViolated, "critical"));
      const since = facts.notReadySince[subject];
      if (since !== undefined && now - since >= limits.notReadyMs) {
        alerts.push(alert("ServerNotReady", subject, `${server.reason}: ${server.message}`, "warning"));
      }
    }
  }
  for (const token of facts.tokens) {
    if (token.expires === undefined || token.expires - now > limits.tokenWarningMs) continue;
    const when = new Date(token.expires).toISOString();
    alerts.push(
      alert("TokenExpires", `${token.node}/${token.id}`, `the token of node ${token.node} ends ${when}`, "warning"),
    );
  }
  if (facts.foreignHead !== undefined) {
    alerts.push(alert("ForeignHead", "head", `somebody else wrote the head in KV: ${facts.foreignHead}`, "critical"));
  }
  if (facts.frozen) {
    alerts.push(
      alert(
        "DownListFrozen",
        "fleet",
        "more than a third of the nodes vanished together; the list of down nodes stays as it was",
        "critical",
      ),
    );
  }
  return alerts;
}

// What has to be told: alerts that are new, and keys of those that are over.
export function difference(active: readonly Alert[], raised: ReadonlySet<string>): { raise: Alert[]; clear: string[] } {
  const keys = new Set(active.map((each) => each.key));
  return { raise: active.filter((each) => !raised.has(each.key)), clear: [...raised].filter((key) => !keys.has(key)) };
}
