// What is known of the fleet, for whoever judges it, and what of that is too old to keep.
import type { Facts } from "../alerts/evaluate.js";
import type { Settings } from "../env.js";
import { TRANSITIONS_OF_NODE } from "../limits.js";
import type { ServerSummary } from "../schema/status.js";
import type { DownState } from "./down.js";
import { allNodes } from "./nodes.js";
import { readNote } from "./tables.js";
import { tokensOf } from "./tokens.js";
import { downSince, trimTransitions } from "./uptime.js";

const DAY_MS = 86_400_000;
const KEPT_MS = 90 * DAY_MS; // alerts that are over, tokens and joins that ended
const UPTIME_KEPT_MS = 400 * DAY_MS;

export const FOREIGN_HEAD = "foreign-head";

export function factsOf(
  sql: SqlStorage,
  state: DownState,
  summaries: ReadonlyMap<string, ServerSummary[]>,
  apiTokens: Settings["tokens"],
  unsignedWebhooks: boolean,
): Facts {
  const down = new Set(state.list.nodes);
  const rows = allNodes(sql);
  return {
    nodes: rows.map((row) => ({
      node: row.node,
      // One that never came is not offline: it has not begun.
      down: row.last_seen !== 0 && down.has(row.node),
      cloned: row.cloned !== 0,
      servers: summaries.get(row.node) ?? [],
    })),
    notReadySince: downSince(sql, "server/"),
    tokens: [
      ...rows.flatMap((row) =>
        tokensOf(sql, row.node).map(({ hash, expires }) => ({
          kind: "TokenExpires" as const,
          subject: `${row.node}/${hash.slice(0, 12)}`,
          what: `the token of node ${row.node}`,
          expires: expires ?? undefined,
        })),
      ),
      ...apiTokens.map(({ name, expires }) => ({
        kind: "ApiTokenExpires" as const,
        subject: name,
        what: `the API token ${name}`,
        expires: expires === undefined ? undefined : Date.parse(expires),
      })),
    ],
    unsignedWebhooks,
    foreignHead: readNote<string>(sql, FOREIGN_HEAD) || undefined,
    frozen: state.list.frozen,
  };
}

// Looks at whole tables, so once a day.
export function pruneOld(sql: SqlStorage, logRetentionDays: number, now: number): void {
  sql.exec("DELETE FROM alerts WHERE cleared<?", now - KEPT_MS);
  sql.exec("DELETE FROM tokens WHERE revoked<?1 OR expires<?1", now - KEPT_MS);
  for (const { node } of allNodes(sql)) trimTransitions(sql, `server/${node}/`, TRANSITIONS_OF_NODE);
  sql.exec("DELETE FROM joins WHERE expires<?", now - KEPT_MS);
  sql.exec("DELETE FROM chunks WHERE at<?", now - logRetentionDays * DAY_MS);
  // The last state before the limit stays: it says what was when the kept time begins.
  sql.exec(
    "DELETE FROM transitions WHERE at<?1 AND at<(SELECT max(at) FROM transitions t WHERE t.subject=transitions.subject AND t.at<?1)",
    now - UPTIME_KEPT_MS,
  );
}
