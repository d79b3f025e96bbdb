// The body that a webhook gets, in the format it understands, and its signature.
import { createHmac } from "node:crypto";
import type { Webhook } from "../env.js";
import type { Alert } from "./evaluate.js";

export interface Notice extends Alert {
  state: "raised" | "cleared";
  at: number; // milliseconds
  id: string; // the same for every try, so that a receiver can drop repeats
}

// Slack treats these three as markup (api.slack.com/reference/surfaces/formatting#escaping); a message holds text of
// servers, which must not mention a channel.
const slackText = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export function bodyFor(webhook: Webhook, notice: Notice): string {
  const time = new Date(notice.at).toISOString();
  const summary =
    `${notice.state === "raised" ? notice.kind : `${notice.kind} over`}: ${notice.subject}: ${notice.message}`.slice(
      0,
      1024,
    );
  switch (webhook.format) {
    case "generic": {
      const { id, state, kind, subject, message, severity } = notice;
      return JSON.stringify({ id, state, kind, subject, message, severity, time });
    }
    case "slack":
      return JSON.stringify({
        text: `${notice.state === "raised" ? ":rotating_light:" : ":white_check_mark:"} ${slackText(summary)}`,
      });
    case "pagerduty":
      // Events API v2: dedup_key joins the end of an incident to its beginning.
      return JSON.stringify({
        routing_key: webhook.routingKey ?? "",
        event_action: notice.state === "raised" ? "trigger" : "resolve",
        dedup_key: `mcpfleet/${notice.key}`.slice(0, 255),
        payload: { summary, source: notice.subject, severity: notice.severity, timestamp: time, class: notice.kind },
      });
  }
}

// "t=<unix seconds>,v1=<hex HMAC-SHA256 of '<t>.<body>'>": the time is signed, so that a receiver can refuse replays.
export function signatureOf(key: string, body: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac("sha256", key).update(`${seconds}.${body}`).digest("hex")}`;
}
