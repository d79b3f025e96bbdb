// Alerts that are raised, and those that were. Told once when raised and once when cleared, to each webhook.
import type { Webhook } from "../env.js";
import { type Alert, difference } from "../alerts/evaluate.js";
import type { Notice } from "../alerts/message.js";
import { post } from "./outbox.js";

export interface AlertRow extends Alert {
  raised: number;
  cleared: number | null;
  acknowledged: number | null; // somebody has seen it: until it is raised again
  acknowledged_by: string | null;
}

export function raisedAlerts(sql: SqlStorage): AlertRow[] {
  return sql.exec("SELECT * FROM alerts WHERE cleared IS NULL ORDER BY raised, key").toArray() as unknown as AlertRow[];
}

export function listAlerts(sql: SqlStorage, all: boolean, most: number): AlertRow[] {
  const which = all ? "" : "WHERE cleared IS NULL";
  return sql
    .exec(`SELECT * FROM alerts ${which} ORDER BY raised DESC, key LIMIT ?`, most)
    .toArray() as unknown as AlertRow[];
}

// False when there is no such alert, or it is over.
export function acknowledge(sql: SqlStorage, key: string, who: string, now: number): boolean {
  return (
    sql
      .exec(
        "UPDATE alerts SET acknowledged=coalesce(acknowledged,?2), acknowledged_by=coalesce(acknowledged_by,?3) WHERE key=?1 AND cleared IS NULL RETURNING key",
        key,
        now,
        who,
      )
      .toArray().length > 0
  );
}

// Brings the book in line with what is `active`; the notices that were posted.
export function updateAlerts(
  sql: SqlStorage,
  active: readonly Alert[],
  webhooks: readonly Webhook[],
  now: number,
): Notice[] {
  const raised = raisedAlerts(sql);
  const { raise, clear } = difference(active, new Set(raised.map((alert) => alert.key)));
  const notices: Notice[] = [];
  for (const alert of raise) {
    sql.exec(
      "INSERT INTO alerts(key,kind,subject,message,severity,raised,cleared) VALUES(?1,?2,?3,?4,?5,?6,NULL) ON CONFLICT(key) DO UPDATE SET message=?4, severity=?5, raised=?6, cleared=NULL, acknowledged=NULL, acknowledged_by=NULL",
      alert.key,
      alert.kind,
      alert.subject,
      alert.message,
      alert.severity,
      now,
    );
    notices.push({ ...alert, state: "raised", at: now, id: `${alert.key}@${now}` });
  }
  for (const key of clear) {
    sql.exec("UPDATE alerts SET cleared=? WHERE key=?", now, key);
    const { raised: since, cleared: _, acknowledged: __, acknowledged_by: ___, ...alert } = raised.find((row) => row.key === key)!;
    notices.push({ ...alert, state: "cleared", at: now, id: `${key}@${since}/cleared` });
  }
  for (const notice of notices) {
    // Its own row for each webhook: one that is away must not hold up the others.
    for (const [index] of webhooks.entries())
      post(sql, "webhook", `${index}/${notice.id}`, now, JSON.stringify(notice));
  }
  return notices;
}
