// What is wrong with the fleet now, from facts. Pure: raising, clearing and telling are others' work.
import { ALERTS_OF_NODE } from "../limits.js";
import type { ServerSummary } from "../schema/status.js";

// Every kind that can be raised. The dashboard has words for each (cloud/dashboard/src/lib/alerts.ts), docs/cloudflare-protocol.md a line.
export const ALERT_KINDS = [
  "NodeOffline",
  "ServerNotReady",
  "CrashLoop",
  "ToolPinViolated",
  "TokenExpires",
  "ApiTokenExpires",
  "ForeignHead",
  "DownListFrozen",
  "CloneSuspected",
  "ManyAlerts",
  "WebhooksUnsigned",
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

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
  // `what`: in words.
  tokens: { kind: "TokenExpires" | "ApiTokenExpires"; subject: string; what: string; expires: number | undefined }[];
  unsignedWebhooks: boolean; // receivers that look for a signature get none
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

// So many of one node, and one that says that there are more: a node names its servers itself.
function bounded(node: string, alerts: Alert[]): Alert[] {
  if (alerts.length <= ALERTS_OF_NODE) return alerts;
  return [...alerts.slice(0, ALERTS_OF_NODE), alert("ManyAlerts", node, "more of its servers are in trouble than alerts are raised for", "critical")];
}

export const serverKey = (node: string, server: { namespace: string; name: string }): string =>
  `${node}/${server.namespace}/${server.name}`;

export function evaluate(facts: Facts, limits: Thresholds, now: number): Alert[] {
  const alerts: Alert[] = [];
  const alertsOf = (node: string, servers: readonly ServerSummary[]) =>
    servers.flatMap((server) => {
      const subject = serverKey(node, server);
      if (server.looping) return [alert("CrashLoop", subject, `restarted ${server.restarts} times: ${server.message}`, "critical")];
      const since = facts.notReadySince[subject];
      return [
        ...(server.pinsViolated === "" ? [] : [alert("ToolPinViolated", subject, server.pinsViolated, "critical")]),
        ...(since === undefined || now - since < limits.notReadyMs ? [] : [alert("ServerNotReady", subject, `${server.reason}: ${server.message}`, "warning")]),
      ];
    });
  for (const { node, down, cloned, servers } of facts.nodes) {
    if (cloned)
      alerts.push(alert("CloneSuspected", node, "two machines seem to use this node's credentials", "critical"));
    if (down) {
      // What its servers do is not known then: one alert says so, not one for each.
      alerts.push(alert("NodeOffline", node, "no sign of life", "critical"));
      continue;
    }
    alerts.push(...bounded(node, alertsOf(node, servers)));
  }
  for (const { kind, subject, what, expires } of facts.tokens) {
    // One that is over opens nothing and endangers nothing.
    if (expires === undefined || expires <= now || expires - now > limits.tokenWarningMs) continue;
    alerts.push(alert(kind, subject, `${what} ends ${new Date(expires).toISOString()}`, "warning"));
  }
  if (facts.unsignedWebhooks) {
    alerts.push(alert("WebhooksUnsigned", "webhooks", "the Worker has no secret WEBHOOK_KEY: receivers can't tell its messages from others'", "warning"));
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
