// The one object of a fleet: where the head lives, who may do what, who is connected, what is wrong.
//
// Everything that must not be lost is in its SQLite; memory holds only what can be made again. A decision and the rows of the outbox that
// tell it are written together, without an await in between, which the platform commits as one. kick() tells at
// once; when the object dies before that, the alarm tells. Nothing waits for who is told.
import { DurableObject } from "cloudflare:workers";
import { evaluate } from "../alerts/evaluate.js";
import { type Env, settingsOf } from "../env.js";
import {
  HEAD_MIRROR_MS,
  JOINS,
  LOOKS,
  LOOKS_MS,
  NEWS_MS,
  NODES,
  NOTICES,
  NOTICES_PER_HOUR,
  PING_SECONDS,
  STATUS_BURST_BYTES,
  STATUS_BYTES_PER_SECOND,
  STATUSES,
  STATUSES_PER_SECOND,
  TOKENS_ASKED,
  TOKENS_ASKED_PER_MINUTE,
  TRANSITIONS_LOOK,
  TRANSITIONS_OF_NODE,
  UNDER_WAY_MS,
  UPTIME_ROWS,
  USAGE_BYTES,
} from "../limits.js";
import { etagOf, parseHead, Snapshot } from "../schema/desired.js";
import { randomHex, sha256Hex } from "../schema/hash.js";
import { isUp, type NodeStatus, type ServerSummary } from "../schema/status.js";
import { acknowledge, type AlertRow, listAlerts, updateAlerts } from "./alert_book.js";
import { type Deed, type DeedRow, listDeeds, noteDeed, pruneDeeds } from "./audit_book.js";
import { Buckets } from "./buckets.js";
import { type Admission, admitChunk, type Chunk, chunksWithin, UploadRate } from "./chunk_index.js";
import { decideDown, type DownList, type DownState, emptyDown } from "./down.js";
import { BEING_DELETED, checkCondition, checkSnapshot, type Condition, type Verdict } from "./head_move.js";
import { currentHead, foreignMirror, parsedHead, type StoredHead, writeHead } from "./heads.js";
import { cursorFrom, differenceOf, type FeedDelta, stateMessages } from "./feed.js";
import { hintsFor } from "./hints.js";
import * as joins from "./joins.js";
import { FromNode, FromPerson, parseMessage } from "./messages.js";
import * as nodes from "./nodes.js";
import { factsOf, FOREIGN_HEAD, pruneOld } from "./lookout.js";
import { headMirroredAt, Postman } from "./postman.js";
import { nextDue, post } from "./outbox.js";
import type { News } from "./news.js";
import { beginDeletion, type Blob, endDeletion, findRecent, newsSince, pruneRecent, rememberBlobs } from "./recent.js";
import { type Attachment, type Follow, isAcceptable, type Liveness, Room, SUBPROTOCOL } from "./room.js";
import { type Rhythm, rhythmOf } from "./rhythm.js";
import { findStatus, lastStatusAt, putStatus, serverSubject, type StatusVerdict, summariesOf } from "./status_book.js";
import { migrate, readNote, writeNote } from "./tables.js";
import { addTrust, adoptTrust, dropTrust, judgeHead, trustText } from "./trust_book.js";
import * as tokens from "./tokens.js";
import { Measure, type Measured } from "./usage.js";
import * as views from "./views.js";
import { meanOf, noteState, type SubjectUptime, subjectsOf, transitionsOf, trimTransitions, uptimeBars, uptimeWithin, worstOf } from "./uptime.js";

const DAY_MS = 86_400_000;
const TOKEN_WARNING_MS = 14 * DAY_MS;
const TOKEN_ENDED = "token revoked or expired";
// Live lines of one node that are passed on to who watches, a second.
const LIVE_LINE_BYTES = 256 * 1024;

// What each node has sent of something in this second.
class Spent {
  private readonly nodes = new Map<string, { second: number; bytes: number }>();
  constructor(private readonly most: number) {}
  takes(node: string, bytes: number, now: number): boolean {
    const second = Math.floor(now / 1000);
    const spent = this.nodes.get(node);
    const used = spent?.second === second ? spent.bytes : 0;
    if (used + bytes > this.most) return false;
    this.nodes.set(node, { second, bytes: used + bytes });
    return true;
  }
}

// A value of a commit, with its metadata as JSON text ("": none).
export interface Value extends Blob {
  metadata: string;
}

export interface ListedToken {
  hash: string;
  entry: string;
}

function lastByNode(alive: readonly Liveness[]): Map<string, number> {
  const last = new Map<string, number>();
  for (const each of alive) last.set(each.node, Math.max(each.last, last.get(each.node) ?? 0));
  return last;
}

export class Fleet extends DurableObject<Env> {
  private readonly sql: SqlStorage;
  private readonly room: Room;
  private readonly postman: Postman;
  private readonly uploads = new UploadRate();
  // What summariesOf gives, until a status changes.
  private known: Map<string, ServerSummary[]> | undefined;
  private statusAt: number | undefined;
  private readonly lines = new Spent(LIVE_LINE_BYTES);
  private readonly usage = new Spent(USAGE_BYTES);
  private readonly statuses = new Buckets(STATUSES, STATUSES_PER_SECOND);
  private readonly statusBytes = new Buckets(STATUS_BURST_BYTES, STATUS_BYTES_PER_SECOND);
  private readonly asked = new Buckets(TOKENS_ASKED, TOKENS_ASKED_PER_MINUTE / 60);
  private readonly notices = new Buckets(NOTICES, NOTICES_PER_HOUR / 3600);
  // Deliveries after which the alarm is set anew.
  private readonly followed = new WeakSet<Promise<void>>();
  // Rows of each node's history since it was looked at.
  private readonly changes = new Map<string, number>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.room = new Room(ctx);
    this.postman = new Postman(this.sql, env, () => this.broadcastHead());
    ctx.storage.transactionSync(() => migrate(this.sql));
  }

  // ---- the head

  // `node` has shown a sign of life by asking.
  async getHead(node?: string): Promise<StoredHead | null> {
    if (node !== undefined) nodes.noteSeen(this.sql, node, Date.now());
    return currentHead(this.sql) ?? null;
  }

  // Moves the head, with values that it needs: all or nothing. They are in the object when this returns, and in KV soon
  // after; until then the object answers for them. `who` asks, for the audit; "" for nobody.
  async commit(values: Value[], body: string, on: Condition, who: string): Promise<Verdict> {
    const next = parseHead(body);
    if (typeof next === "string") return { move: false, status: 400, message: next };
    const early = checkCondition(this.current(), next, on);
    if (!early.move) return early;
    await this.adoptTrust();
    const judged = await judgeHead(this.sql, next, Date.now());
    if (judged.fault !== undefined) return { move: false, status: 403, message: judged.fault };
    const snapshot = await this.findSnapshot(next.snapshot, values);
    // From here to the alarm nothing is awaited: decision, values, head and outbox are one transaction.
    const current = this.current(); // again: another move may have come in while the snapshot was read
    const late = checkCondition(current, next, on);
    if (!late.move) return late;
    if (judged.by !== undefined && judged.by !== trustText(this.sql, next.trust))
      return { move: false, status: 412, message: "the trust chain has moved" };
    const verdict = checkSnapshot(current?.head, next, snapshot);
    if (!verdict.move) return verdict;
    const now = Date.now();
    if (!rememberBlobs(this.sql, values, now)) return { move: false, status: 503, message: BEING_DELETED };
    pruneRecent(this.sql, now);
    for (const { key, metadata } of values) post(this.sql, "mirror-value", key, now, metadata);
    writeHead(this.sql, body, etagOf(next), now);
    post(this.sql, "broadcast", "head", now);
    post(this.sql, "mirror-head", "head", Math.max(now, headMirroredAt(this.sql) + HEAD_MIRROR_MS));
    // The snapshot has the words of who changed it.
    if (who !== "") noteDeed(this.sql, { who, what: "head", subject: "fleet", detail: `${etagOf(next)}, snapshot ${next.snapshot.slice(0, 12)}` }, now);
    this.wakeBy(now + 1000);
    this.kick();
    return verdict;
  }

  private current() {
    const stored = currentHead(this.sql);
    return stored === undefined ? undefined : { head: parsedHead(stored), etag: stored.etag };
  }

  private async findSnapshot(hash: string, values: readonly Blob[]): Promise<Snapshot | undefined> {
    const key = `snapshots/${hash}`;
    const given = values.find((value) => value.key === key) ?? findRecent(this.sql, [key])[0];
    const bytes = given?.value ?? (await this.env.CONFIG.get(key, "arrayBuffer"));
    if (bytes === null || sha256Hex(new Uint8Array(bytes)) !== hash) return undefined;
    try {
      const parsed = Snapshot.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
      return parsed.success ? parsed.data : undefined;
    } catch {
      return undefined;
    }
  }

  // ---- recently written immutable values

  // False: not now, gc is deleting one of them.
  async remember(blobs: Blob[]): Promise<boolean> {
    const now = Date.now();
    if (!rememberBlobs(this.sql, blobs, now)) return false;
    pruneRecent(this.sql, now);
    await this.schedule();
    return true;
  }

  async recent(keys: string[]): Promise<Blob[]> {
    return findRecent(this.sql, keys);
  }

  // Before gc looks at what is needed. A key that somebody wrote minutes ago, which it must not take; then nothing begins.
  async beginDeletion(keys: string[]): Promise<string | undefined> {
    return beginDeletion(this.sql, keys, Date.now());
  }

  async endDeletion(keys: string[]): Promise<void> {
    endDeletion(this.sql, keys);
  }

  // ---- the trust chain

  async trust(version: number): Promise<string | null> {
    return trustText(this.sql, version) ?? null;
  }

  async addTrust(version: number, text: string, absent: boolean): Promise<Verdict> {
    await this.adoptTrust();
    return addTrust(this.sql, version, text, absent);
  }

  async dropTrust(version: number): Promise<Verdict> {
    await this.adoptTrust();
    return dropTrust(this.sql, version, this.current()?.head.trust ?? 0);
  }

  private adoptTrust(): Promise<void> {
    return adoptTrust(this.sql, (key) => this.env.CONFIG.get(key));
  }

  // ---- device tokens

  // The node of a live token; null for any other. Using a token ends the one that it replaced.
  async checkToken(hash: string): Promise<{ node: string; expires: number | null } | null> {
    const now = Date.now();
    const token = tokens.findToken(this.sql, hash);
    if (!tokens.isLive(token, now)) return null;
    const ended = tokens.endReplaced(this.sql, token!, now);
    if (ended !== undefined) {
      this.wakeBy(now + 1000);
      await this.closeSockets({ hashes: [ended] }, "token replaced");
      this.kick();
    }
    return { node: token!.node, expires: token!.expires };
  }

  // A token that an operator made himself (`mcpctl store token create`): only its hash comes here.
  async putToken(hash: string, node: string, author: string): Promise<boolean> {
    const now = Date.now();
    if (nodes.countNodes(this.sql) >= NODES && nodes.findNode(this.sql, node) === undefined) return false;
    nodes.ensureNode(this.sql, node, now);
    const expires = now + settingsOf(this.env).tokenDays * DAY_MS;
    tokens.addToken(this.sql, { hash, node, author, created: now, expires, join_id: null, replaces: null }, now);
    this.wakeBy(now + 1000);
    await this.boundTokens(node, now);
    this.kick();
    return true;
  }

  async revokeTokens(hashes: string[]): Promise<number> {
    const now = Date.now();
    const revoked = hashes.filter((hash) => tokens.revokeToken(this.sql, hash, now));
    this.wakeBy(now + 1000);
    await this.closeSockets({ hashes: revoked }, "token revoked");
    this.kick();
    return revoked.length;
  }

  async listTokens(after: string, prefix: string, limit: number): Promise<ListedToken[]> {
    const rows = this.sql
      .exec(
        "SELECT * FROM tokens WHERE revoked IS NULL AND hash>?1 AND substr(hash,1,length(?2))=?2 ORDER BY hash LIMIT ?3",
        after,
        prefix,
        limit,
      )
      .toArray();
    return (rows as unknown as tokens.TokenRow[]).map((row) => ({ hash: row.hash, entry: tokens.tokenEntry(row) }));
  }

  // None or one, live.
  async findToken(hash: string): Promise<ListedToken[]> {
    const token = tokens.findToken(this.sql, hash);
    return token === undefined || !tokens.isLive(token, Date.now()) ? [] : [{ hash, entry: tokens.tokenEntry(token) }];
  }

  // Whether one of these is, or was, a node's.
  async knowsTokens(hashes: string[]): Promise<boolean> {
    return hashes.some((hash) => tokens.findToken(this.sql, hash) !== undefined);
  }

  private async boundTokens(node: string, now: number): Promise<void> {
    const hashes = tokens.boundTokens(this.sql, node, now);
    if (hashes.length > 0) await this.closeSockets({ hashes }, "too many tokens of this node");
  }

  // A further token for a node. With `replacing`, by the node itself, that one ends with the first use of the new one; then a number
  // says in how many seconds it may ask again.
  async issueToken(node: string, author: string, replacing?: string): Promise<tokens.IssuedToken | number> {
    const now = Date.now();
    const wait = replacing === undefined ? 0 : this.asked.take(node, 1, now);
    if (wait > 0) return wait;
    nodes.ensureNode(this.sql, node, now);
    const lifeMs = settingsOf(this.env).tokenDays * DAY_MS;
    const issued = tokens.issueToken(
      this.sql,
      { node, author, lifeMs, ...(replacing === undefined ? {} : { replaces: replacing }) },
      now,
    );
    this.wakeBy(now + 1000);
    await this.boundTokens(node, now);
    this.kick();
    return issued;
  }

  // ---- enrolment

  async createJoin(
    id: string,
    given: { node: string; author: string; ttlSeconds: number; labels: Record<string, string> },
  ): Promise<"created" | "exists" | "full"> {
    const now = Date.now();
    if (joins.findJoin(this.sql, id) !== undefined) return "exists";
    if (Number(this.sql.exec("SELECT count(*) AS n FROM joins").one().n) >= JOINS) return "full";
    this.sql.exec(
      "INSERT INTO joins(id,node,author,created,expires,labels) VALUES(?,?,?,?,?,?)",
      id,
      given.node,
      given.author,
      now,
      now + given.ttlSeconds * 1000,
      JSON.stringify(given.labels),
    );
    return "created";
  }

  async listJoins(): Promise<joins.JoinRow[]> {
    return this.sql
      .exec("SELECT * FROM joins ORDER BY created DESC, id LIMIT 1000")
      .toArray() as unknown as joins.JoinRow[];
  }

  async getJoin(id: string): Promise<joins.JoinRow | null> {
    return joins.findJoin(this.sql, id) ?? null;
  }

  // Ends a join token; the device tokens that it gave stay (see revokeNode).
  async revokeJoin(id: string): Promise<boolean> {
    return (
      this.sql.exec("UPDATE joins SET revoked=? WHERE id=? AND revoked IS NULL RETURNING id", Date.now(), id).toArray()
        .length > 0
    );
  }

  async redeemJoin(id: string, presented: joins.Presented): Promise<joins.Redeemed> {
    const now = Date.now();
    const lifeMs = settingsOf(this.env).tokenDays * DAY_MS;
    const { result, ended } = joins.redeem(this.sql, id, presented, lifeMs, this.current()?.head.fleet ?? "", now);
    this.wakeBy(now + 1000);
    await this.closeSockets({ hashes: ended }, "token replaced");
    if (result.ok) await this.boundTokens(presented.node, now);
    this.kick();
    return result;
  }

  // ---- nodes

  async listNodes(only?: string): Promise<views.ListedNode[]> {
    return views.listNodes(this.sql, lastByNode(await this.liveness()), this.down().list, only);
  }

  async setTunnel(node: string, tunnel: string | null): Promise<boolean> {
    return this.sql.exec("UPDATE nodes SET tunnel=? WHERE node=? RETURNING node", tunnel, node).toArray().length > 0;
  }

  // All that lets a machine act as this node ends now; its socket is closed.
  async revokeNode(node: string): Promise<number> {
    const now = Date.now();
    const live = tokens.tokensOf(this.sql, node).map((row) => row.hash);
    for (const hash of live) tokens.revokeToken(this.sql, hash, now);
    this.sql.exec("UPDATE joins SET revoked=? WHERE node=? AND revoked IS NULL", now, node);
    this.wakeBy(now + 1000);
    await this.closeSockets({ node }, "node revoked");
    this.kick();
    return live.length;
  }

  async deleteNode(node: string): Promise<boolean> {
    const now = Date.now();
    const known = nodes.findNode(this.sql, node) !== undefined;
    const summary = this.summaries().get(node) ?? [];
    for (const server of summary) noteState(this.sql, serverSubject(node, server), null, now);
    noteState(this.sql, `node/${node}`, null, now);
    this.known = undefined;
    this.sql.exec("DELETE FROM nodes WHERE node=?", node);
    this.sql.exec("DELETE FROM status WHERE node=?", node);
    post(this.sql, "mirror-status", node, now);
    this.tellNode(node, summary);
    await this.revokeNode(node);
    return known;
  }

  async deleteStatus(node: string): Promise<void> {
    const now = Date.now();
    this.known = undefined;
    this.sql.exec("DELETE FROM status WHERE node=?", node);
    post(this.sql, "mirror-status", node, now);
    this.wakeBy(now + 1000);
    this.kick();
  }

  async askToRotate(node: string): Promise<void> {
    const message = { type: "rotate" };
    this.room.sendToNode(node, message);
    await Promise.all(this.hubs().map((hub) => hub.sendToNode(node, message)));
  }

  // ---- statuses

  async putStatus(node: string, body: string, metadata?: string): Promise<StatusVerdict> {
    const now = Date.now();
    const wait = this.statuses.take(node, 1, now) || this.statusBytes.take(node, body.length, now);
    if (wait > 0) return { ok: false, message: "too many statuses", retryAfterSeconds: wait };
    const before = this.summaries().get(node) ?? [];
    this.statusAt = Math.max(now, (this.statusAt ?? lastStatusAt(this.sql)) + 1);
    const verdict = putStatus(this.sql, node, body, metadata, now, this.statusAt);
    if (!verdict.ok) return verdict;
    if (verdict.news) this.known = undefined;
    this.boundHistory(node, verdict.changes);
    nodes.ensureNode(this.sql, node, now);
    nodes.noteSeen(this.sql, node, now);
    const due = nextDue(this.sql);
    if (due !== undefined) this.wakeBy(Math.max(due, now + 1000));
    if (verdict.news)
      this.room.sendToPeople(
        { type: "status", node, status: JSON.parse(body) as NodeStatus },
        (to) => to.statuses === true && to.feed !== true,
      );
    if (verdict.news) this.tellNode(node, before);
    this.kick();
    return verdict;
  }

  private boundHistory(node: string, changes: number): void {
    const written = (this.changes.get(node) ?? 0) + changes;
    if (written >= TRANSITIONS_LOOK) trimTransitions(this.sql, `server/${node}/`, TRANSITIONS_OF_NODE);
    this.changes.set(node, written >= TRANSITIONS_LOOK ? 0 : written);
  }

  // ---- the feed of the dashboard

  // What changed of a node and its servers; `before` is what they were.
  private tellNode(node: string, before = this.summaries().get(node) ?? []): void {
    if (!this.room.hasFeed()) return;
    const [row] = views.feedRows(this.sql, this.summaries(), node);
    const delta: FeedDelta = {
      type: "delta",
      cursor: cursorFrom(this.boot(), row?.at ?? 0),
      name: node,
      node: row === undefined ? null : views.withoutServers(row),
      ...differenceOf(before, row?.servers ?? []),
    };
    this.room.sendToPeople(delta, (to) => to.feed === true);
  }

  // Names this database: what was seen of another one is worth nothing.
  private boot(): string {
    let boot = readNote<string>(this.sql, "boot");
    if (boot === undefined) writeNote(this.sql, "boot", (boot = randomHex(8)));
    return boot;
  }

  private sync(socket: WebSocket, since: string): void {
    const rows = views.feedRows(this.sql, this.summaries());
    for (const message of stateMessages(rows, this.boot(), since)) socket.send(JSON.stringify(message));
  }

  async getStatuses(names: string[]): Promise<{ node: string; body: string; metadata: string }[]> {
    return names.flatMap((name) => {
      const row = findStatus(this.sql, name);
      return row === undefined ? [] : [{ node: name, body: row.body, metadata: row.metadata }];
    });
  }

  async listStatuses(prefix: string, after: string, limit: number): Promise<{ node: string; metadata: string }[]> {
    return this.sql
      .exec(
        "SELECT node, metadata FROM status WHERE node>?1 AND substr(node,1,length(?2))=?2 ORDER BY node LIMIT ?3",
        after,
        prefix,
        limit,
      )
      .toArray() as unknown as { node: string; metadata: string }[];
  }

  // All servers on all nodes, a page by node name: one call for `mcpctl get mcpservers`.
  async listServers(namespace: string, after: string, limit: number): Promise<views.ServerPage> {
    return views.listServers(this.summaries(), this.down().list, namespace, after, limit);
  }

  async serverOnNodes(namespace: string, name: string): Promise<views.ServerOnNode[]> {
    return views.serverOnNodes(this.sql, this.summaries(), this.down().list, namespace, name);
  }

  // Nodes on which this server is Ready and that can be reached.
  async readyNodes(namespace: string, name: string): Promise<views.ReachableNode[]> {
    return views.readyNodes(this.sql, this.summaries(), this.down().list, namespace, name, Date.now());
  }

  // Where a node that holds a session is; null when it is gone.
  async tunnelOf(node: string): Promise<string | null> {
    if (this.down().list.nodes.includes(node)) return null;
    return views.tunnelTo(this.sql, node, Date.now());
  }

  // ---- logs

  async admitChunk(given: Omit<Chunk, "day" | "at">): Promise<Admission> {
    return admitChunk(this.sql, given, this.uploads, settingsOf(this.env).logBytesPerMinute, Date.now());
  }

  async chunks(from: number, until: number, node: string | undefined, most: number): Promise<Chunk[]> {
    return chunksWithin(this.sql, from, until, node, most);
  }

  // ---- what is wrong, and what was

  async alerts(all: boolean): Promise<AlertRow[]> {
    return listAlerts(this.sql, all, 1000);
  }

  async acknowledge(key: string, who: string): Promise<boolean> {
    if (!acknowledge(this.sql, key, who, Date.now())) return false;
    this.room.sendToPeople({ type: "alert", state: "acknowledged", key }, (to) => to.statuses === true);
    return true;
  }

  // `bars` more figures of each, of equal parts of the time; 0: none. Of a prefix all in one (`mean`), or the worst.
  async uptime(subject: string, from: number, until: number, bars = 0, mean = false): Promise<SubjectUptime[]> {
    const subjects = subject.endsWith("/") ? subjectsOf(this.sql, subject) : [subject];
    if (mean) return [meanOf(subject, this.uptimes(subjects, from, until, bars), bars)];
    const worst = worstOf(this.uptimes(subjects, from, until, 0), UPTIME_ROWS);
    return bars === 0 ? worst : [...this.uptimes(worst.map((each) => each.subject), from, until, bars)];
  }

  private *uptimes(subjects: readonly string[], from: number, until: number, bars: number): Generator<SubjectUptime> {
    for (const subject of subjects) {
      const transitions = transitionsOf(this.sql, subject, from, until);
      const found = { subject, uptime: uptimeWithin(transitions, from, until) };
      yield bars === 0 ? found : { ...found, bars: uptimeBars(transitions, from, until, bars) };
    }
  }

  // ---- who did what

  async noteAudit(deed: Deed): Promise<void> {
    noteDeed(this.sql, deed, Date.now());
  }

  async audit(before: number, most: number): Promise<DeedRow[]> {
    return listDeeds(this.sql, before, most);
  }

  async downList(): Promise<DownList> {
    return this.down().list;
  }

  private summaries(): Map<string, ServerSummary[]> {
    return (this.known ??= summariesOf(this.sql));
  }

  private down(): DownState {
    return readNote<DownState>(this.sql, "down") ?? emptyDown();
  }

  private rhythm(): Rhythm {
    return rhythmOf(settingsOf(this.env));
  }

  // A look over the fleet: who is silent, what is wrong, what is old. Every sweepMs by the alarm.
  private async sweep(now: number): Promise<void> {
    const alive = lastByNode(await this.liveness());
    const before = this.down();
    const seen = nodes.allNodes(this.sql).map((row) => {
      const last = alive.get(row.node);
      // Gone without a word since the last look: then it was still there.
      if (last === undefined && row.connected !== 0) {
        nodes.noteGone(this.sql, row.node, before.sweptAt);
        this.tellNode(row.node);
      }
      return { node: row.node, last: Math.max(row.last_seen, last ?? (row.connected !== 0 ? before.sweptAt : 0)) };
    });
    const after = decideDown(before, seen, now, this.rhythm());
    writeNote(this.sql, "down", after);
    const down = new Set(after.list.nodes);
    for (const { node, last } of seen) {
      const here = !down.has(node);
      if (last === 0 || !noteState(this.sql, `node/${node}`, here, now)) continue;
      // What its servers do is not known while nothing is heard of it.
      for (const server of this.summaries().get(node) ?? []) noteState(this.sql, serverSubject(node, server), here ? isUp(server) : null, now);
    }
    if (after.list.sequence !== before.list.sequence) await this.tellDown(after.list);
    this.judge(now);
    pruneRecent(this.sql, now);
    if (now >= (readNote<number>(this.sql, "prune-at") ?? 0)) {
      writeNote(this.sql, "prune-at", now + DAY_MS);
      pruneOld(this.sql, settingsOf(this.env).logRetentionDays, now);
      pruneDeeds(this.sql, now);
    }
    if (this.room.endSilentLooks(now, 3 * PING_SECONDS * 1000)) await this.tellMeasured();
    this.room.closeExpired(now);
    await Promise.all(this.hubs().map((hub) => hub.closeExpired(now)));
  }

  // Slack and PagerDuty look for no signature.
  private signsNothing(): boolean {
    return !this.env.WEBHOOK_KEY && settingsOf(this.env).webhooks.some(({ format }) => format === "generic");
  }

  private judge(now: number): void {
    const settings = settingsOf(this.env);
    const mayTell = ({ subject }: { subject: string }) => this.notices.take(subject.split("/")[0]!, 1, now) === 0;
    const active = evaluate(
      factsOf(this.sql, this.down(), this.summaries(), settings.tokens, this.signsNothing()),
      { notReadyMs: settings.notReadyMinutes * 60_000, tokenWarningMs: TOKEN_WARNING_MS },
      now,
    );
    for (const { state, key, kind, subject, message } of updateAlerts(this.sql, active, settings.webhooks, now, mayTell)) {
      this.room.sendToPeople({ type: "alert", state, key, kind, subject, message }, (to) => to.statuses === true);
    }
  }

  // By cron: is the mirror of the head still ours? Its content is compared, never used.
  async checkMirror(): Promise<void> {
    const mirror = await this.env.CONFIG.get("head");
    const now = Date.now();
    const found = foreignMirror(this.sql, mirror, headMirroredAt(this.sql), now);
    writeNote(this.sql, FOREIGN_HEAD, found ?? "");
    // What we know is put back; the alert has told of it.
    if (found !== undefined && currentHead(this.sql) !== undefined) post(this.sql, "mirror-head", "head", now);
    this.judge(now);
    await this.schedule();
    this.kick();
  }

  // ---- the alarm and the outbox

  override async alarm(): Promise<void> {
    const now = Date.now();
    // Not waited for: who hangs when he is told must not hold up the next look, nor the next alarm.
    this.kick();
    if (now >= (readNote<number>(this.sql, "sweep-at") ?? 0)) {
      writeNote(this.sql, "sweep-at", now + this.rhythm().sweepMs);
      await this.sweep(now);
      this.kick();
    }
    await this.schedule();
  }

  // Asks for the alarm no later than `at`, without waiting: part of the transaction that is under way.
  private wakeBy(at: number): void {
    void this.ctx.storage.setAlarm(at);
  }

  private async schedule(): Promise<void> {
    let sweepAt = readNote<number>(this.sql, "sweep-at");
    if (sweepAt === undefined) writeNote(this.sql, "sweep-at", (sweepAt = Date.now() + this.rhythm().sweepMs));
    // What is under way is looked after when it is done, and before that in case that this object dies over it.
    const underWay = this.postman.underWay();
    const due = nextDue(this.sql, underWay);
    // Nothing to look after in an empty fleet.
    const busy =
      this.sql.exec("SELECT 1 FROM nodes LIMIT 1").toArray().length > 0 ||
      this.sql.exec("SELECT 1 FROM recent LIMIT 1").toArray().length > 0;
    const at = Math.min(
      due ?? Number.POSITIVE_INFINITY,
      underWay.length > 0 ? Date.now() + UNDER_WAY_MS : Number.POSITIVE_INFINITY,
      busy ? Math.max(sweepAt, Date.now()) : Number.POSITIVE_INFINITY,
    );
    if (at === Number.POSITIVE_INFINITY) return;
    if ((await this.ctx.storage.getAlarm()) !== at) await this.ctx.storage.setAlarm(at);
  }

  private kick(): void {
    const told = this.postman.deliver();
    for (const lane of told.length === 0 ? [Promise.resolve()] : told) {
      if (this.followed.has(lane)) continue;
      this.followed.add(lane);
      this.ctx.waitUntil(lane.then(() => this.schedule()));
    }
  }

  private async broadcastHead(): Promise<void> {
    const head = currentHead(this.sql);
    if (head === undefined) return;
    const values = newsSince(this.sql, head.at - NEWS_MS);
    this.room.broadcastHead(head.body, head.etag, values);
    await Promise.all(this.hubs().map((hub) => hub.broadcastHead(head.body, head.etag, values)));
  }

  // ---- sockets

  // The upgrade of a socket. The Worker has authenticated it and says in the attachment who it is.
  override async fetch(request: Request): Promise<Response> {
    const attachment = JSON.parse(request.headers.get("Mcpfleet-Attachment") ?? "{}") as Attachment;
    if (this.room.isFull(attachment)) return new Response("too many watchers", { status: 503 });
    const { client, server } = this.room.accept(attachment);
    const opening = await this.open(attachment, request.headers.get("Mcpfleet-Nonce") ?? "");
    if (opening === null) server.close(1008, TOKEN_ENDED);
    for (const text of opening?.texts ?? []) server.send(text);
    server.serializeAttachment({ ...attachment, ...(opening?.etag === undefined ? {} : { head: opening.etag }) });
    await this.schedule();
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: attachment.plain ? {} : { "Sec-WebSocket-Protocol": SUBPROTOCOL },
    });
  }

  // What a socket is told first. Also for Hub objects, which call it after they have registered the socket. null: its token ended
  // between the look at it and now, so nothing would close the socket.
  async open(attachment: Attachment, presented: string): Promise<{ texts: string[]; etag?: string } | null> {
    if (attachment.node !== undefined && !tokens.isLive(tokens.findToken(this.sql, attachment.tokenHash ?? ""), Date.now())) return null;
    const texts: string[] = [];
    if (!attachment.plain) {
      const hello: Extract<News, { type: "hello" }> = {
        type: "hello",
        name: attachment.name,
        down: this.down().list,
        hints: hintsFor(nodes.countNodes(this.sql), this.rhythm().pingSeconds),
      };
      if (attachment.node === undefined) {
        texts.push(JSON.stringify(hello));
      } else {
        const { nonce } = nodes.exchangeNonce(this.sql, attachment.node, presented);
        texts.push(JSON.stringify({ ...hello, nonce, follow: this.follows(attachment.node), measure: this.measured(attachment.node) }));
      }
    }
    if (attachment.node !== undefined) {
      // Its first sign of life makes a node fit for placement: the list of down nodes should say so soon.
      if (nodes.findNode(this.sql, attachment.node)?.last_seen === 0) writeNote(this.sql, "sweep-at", Date.now());
      nodes.noteConnected(this.sql, attachment.node, Date.now());
      this.tellNode(attachment.node);
    }
    const head = currentHead(this.sql);
    if (head !== undefined) texts.push(head.body);
    return { texts, ...(head === undefined ? {} : { etag: head.etag }) };
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const attachment = Room.attachmentOf(socket);
    if (!isAcceptable(socket, message)) return;
    if (attachment.node !== undefined) {
      const answer = await this.fromNode(attachment.node, attachment.tokenHash ?? "", message);
      if (answer !== null) socket.send(JSON.stringify(answer));
      return;
    }
    const parsed = parseMessage(FromPerson, message);
    if (typeof parsed === "string") return socket.send(JSON.stringify({ type: "error", message: parsed }));
    if (!this.room.mayLook(socket, Date.now()))
      return socket.send(JSON.stringify({ type: "error", message: `${parsed.type}: more than ${LOOKS} in ${LOOKS_MS / 1000} s; wait` }));
    if (parsed.type === "sync") {
      socket.serializeAttachment({ ...attachment, feed: true });
      return this.sync(socket, parsed.since);
    }
    if (parsed.type === "follow" || parsed.type === "unfollow") {
      const { follows: _, ...rest } = attachment;
      const { type, ...follow } = parsed;
      socket.serializeAttachment(type === "follow" ? { ...rest, follows: follow } : rest);
      return this.tellFollows();
    }
    const { measures: _, ...rest } = attachment;
    const { type, ...target } = parsed;
    const measures = type === "measure" ? Measure.safeParse(target) : undefined;
    if (measures?.success === false) return socket.send(JSON.stringify({ type: "error", message: `measure: ${measures.error.issues[0]?.message ?? "is not valid"}` }));
    socket.serializeAttachment(measures === undefined ? rest : { ...rest, measures: measures.data });
    await this.tellMeasured(measures === undefined ? undefined : socket);
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 can't be sent; they say that there was no code.
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
    const { node } = Room.attachmentOf(socket);
    if (node !== undefined && !this.room.hasOther(node, socket)) {
      nodes.noteGone(this.sql, node, Date.now());
      this.tellNode(node);
    }
    await this.endLooks(socket);
  }

  // The socket is gone without a word; a node is judged by its silence.
  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.endLooks(socket);
  }

  private async endLooks(socket: WebSocket): Promise<void> {
    const { follows, measures } = Room.attachmentOf(socket);
    if (follows !== undefined) await this.tellFollows();
    if (measures !== undefined) await this.tellMeasured();
  }

  // A node's message; what to answer.
  async fromNode(node: string, tokenHash: string, text: string): Promise<object | null> {
    if (!tokens.isLive(tokens.findToken(this.sql, tokenHash), Date.now())) {
      await this.closeSockets({ hashes: [tokenHash] }, TOKEN_ENDED);
      return null;
    }
    const message = parseMessage(FromNode, text);
    if (typeof message === "string") return { type: "error", message };
    switch (message.type) {
      case "status": {
        const verdict = await this.putStatus(
          node,
          JSON.stringify(message.status),
          message.metadata === undefined ? undefined : JSON.stringify(message.metadata),
        );
        if (verdict.ok) return { type: "status-stored", sequence: verdict.sequence };
        const { message: why, retryAfterSeconds } = verdict;
        return retryAfterSeconds === undefined ? { type: "error", message: why } : { type: "slow", retryAfterSeconds };
      }
      case "nonce":
        if (this.statuses.take(node, 1, Date.now()) > 0) return { type: "slow", retryAfterSeconds: 1 };
        nodes.confirmNonce(this.sql, node, message.nonce);
        return null;
      case "log":
        return this.passLines(node, message, text.length);
      case "usage":
        if (!this.usage.takes(node, text.length, Date.now())) return { type: "slow", retryAfterSeconds: 1 };
        this.room.sendUsage(node, message.servers);
        return null;
    }
  }

  private passLines(node: string, message: Extract<FromNode, { type: "log" }>, bytes: number): object | null {
    // The chunks in R2 have every line; a live view may lose some, and says so.
    if (!this.lines.takes(node, bytes, Date.now())) return { type: "slow", retryAfterSeconds: 1 };
    const { namespace, server, lines } = message;
    this.room.sendToPeople(
      { type: "log", node, namespace, server, lines },
      ({ follows }) =>
        follows !== undefined &&
        follows.namespace === namespace &&
        follows.server === server &&
        (follows.node === undefined || follows.node === node),
    );
    return null;
  }

  private measured(node: string): Measured[] {
    return this.room.measured("all").filter((each) => each.node === undefined || each.node === node);
  }

  private follows(node: string): Follow[] {
    return this.room.follows().filter((follow) => follow.node === undefined || follow.node === node);
  }

  // Nodes ship lines live, and chunks sooner, while somebody looks.
  private async tellFollows(): Promise<void> {
    const message = { type: "follow", servers: this.room.follows() };
    this.room.sendToNodes(message);
    await Promise.all(this.hubs().map((hub) => hub.sendToNodes(message)));
  }

  // Nodes measure more often, and send it, while somebody looks. `fresh` has just begun.
  private async tellMeasured(fresh?: WebSocket): Promise<void> {
    const message = { type: "measure", servers: this.room.measured(fresh) };
    this.room.sendToNodes(message);
    await Promise.all(this.hubs().map((hub) => hub.sendToNodes(message)));
  }

  private async tellDown(list: DownList): Promise<void> {
    const message: News = { type: "down", ...list };
    this.room.sendToNodes(message);
    this.room.sendToPeople(message, (to) => !to.plain);
    await Promise.all(this.hubs().map((hub) => hub.sendToNodes(message)));
  }

  private async liveness(): Promise<Liveness[]> {
    const rest = await Promise.all(this.hubs().map((hub) => hub.liveness()));
    return [...this.room.liveness(), ...rest.flat()];
  }

  private async closeSockets(which: { node?: string; hashes?: string[] }, reason: string): Promise<void> {
    this.room.closeSockets(which, reason);
    await Promise.all(this.hubs().map((hub) => hub.closeSockets(which, reason)));
  }

  private hubs() {
    const count = settingsOf(this.env).hubs;
    return Array.from({ length: count }, (_, index) => this.env.HUB.get(this.env.HUB.idFromName(`hub-${index}`)));
  }
}
