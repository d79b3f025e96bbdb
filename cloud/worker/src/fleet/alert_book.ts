// Alerts that are raised, and those that were. Told once when raised and once when cleared, to each webhook.
import type { Webhook } from "../env.js";
import { type Alert, difference } from "../alerts/evaluate.js";
import type { Notice } from "../alerts/message.js";
import { ALERT_ROWS, ALERT_ROWS_OF_NODE } from "../limits.js";
import { post } from "./outbox.js";

export interface AlertRow extends Alert {
  raised: number;
  cleared: number | null;
  acknowledged: number | null; // somebody has seen it: until it is raised again
  acknowledged_by: string | null;
}

const COLUMNS = "key,kind,subject,message,severity,raised,cleared,acknowledged,acknowledged_by";

function raisedAlerts(sql: SqlStorage): (AlertRow & { told: number })[] {
  return sql.exec(`SELECT ${COLUMNS},told FROM alerts WHERE cleared IS NULL ORDER BY raised, key`).toArray() as unknown as (AlertRow & { told: number })[];
}

// A node that flaps, or that makes up names, loses its own oldest alerts.
function trimAlerts(sql: SqlStorage): void {
  if (Number(sql.exec("SELECT count(*) AS n FROM alerts").one().n) <= ALERT_ROWS) return;
  sql.exec(
    "DELETE FROM alerts WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, row_number() OVER (PARTITION BY substr(subject,1,instr(subject||'/','/')) ORDER BY cleared DESC) AS n FROM alerts WHERE cleared IS NOT NULL) WHERE n>?)",
    ALERT_ROWS_OF_NODE,
  );
}

// Open ones first, whatever else there is no room for.
export function listAlerts(sql: SqlStorage, all: boolean, most: number): AlertRow[] {
  const which = all ? "" : "WHERE cleared IS NULL";
  return sql
    .exec(`SELECT ${COLUMNS} FROM alerts ${which} ORDER BY cleared IS NOT NULL, raised DESC, key LIMIT ?`, most)
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

// Brings the book in line with what is `active`; what changed. Webhooks are told of an alert if `mayTell` says so when it is raised,
// and then also of its end.
export function updateAlerts(
  sql: SqlStorage,
  active: readonly Alert[],
  webhooks: readonly Webhook[],
  now: number,
  mayTell: (alert: Alert) => boolean,
): Notice[] {
  const raised = raisedAlerts(sql);
  const { raise, clear } = difference(active, new Set(raised.map((alert) => alert.key)));
  const notices: Notice[] = [];
  const told: Notice[] = [];
  for (const alert of raise) {
    const tell = mayTell(alert);
    sql.exec(
      "INSERT INTO alerts(key,kind,subject,message,severity,raised,cleared,told) VALUES(?1,?2,?3,?4,?5,?6,NULL,?7) ON CONFLICT(key,raised) DO UPDATE SET message=?4, severity=?5, cleared=NULL, told=?7",
      alert.key,
      alert.kind,
      alert.subject,
      alert.message,
      alert.severity,
      now,
      Number(tell),
    );
    notices.push({ ...alert, state: "raised", at: now, id: `${alert.key}@${now}` });
    if (tell) told.push(notices.at(-1)!);
  }
  for (const key of clear) {
    sql.exec("UPDATE alerts SET cleared=? WHERE key=? AND cleared IS NULL", now, key);
    const { raised: since, told: wasTold, kind, subject, message, severity } = raised.find((row) => row.key === key)!;
    notices.push({ key, kind, subject, message, severity, state: "cleared", at: now, id: `${key}@${since}/cleared` });
    if (wasTold !== 0) told.push(notices.at(-1)!);
  }
  if (raise.length > 0) trimAlerts(sql);
  for (const notice of told) {
    // Its own row for each webhook: one that is away must not hold up the others.
    for (const [index] of webhooks.entries())
      post(sql, "webhook", `${index}/${notice.id}`, now, JSON.stringify(notice));
  }
  return notices;
}
