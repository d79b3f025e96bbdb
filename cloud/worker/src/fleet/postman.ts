// Delivers the letters of the outbox: to sockets, to KV, to webhooks, each in a lane of its own, so that a webhook that
// hangs holds up no head. What fails stays and is tried again later, so each receiver must bear a repeat.
import { bodyFor, type Notice, signatureOf } from "../alerts/message.js";
import { type Env, settingsOf } from "../env.js";
import { CONCURRENT_WRITES, TTL_LEAST_SECONDS, WEBHOOK_TRIES } from "../limits.js";
import { currentHead } from "./heads.js";
import { delivered, dueLetters, failed, type Letter, type OutboxKind } from "./outbox.js";
import { findRecent } from "./recent.js";
import { findStatus } from "./status_book.js";
import { readNote, writeNote } from "./tables.js";
import { findToken, isLive, tokenEntry } from "./tokens.js";

const MIRRORED_AT = "head-mirrored-at";
const WEBHOOK_TIMEOUT_MS = 10_000;

// When KV's copy of the head was written last, in milliseconds; 0: never.
export function headMirroredAt(sql: SqlStorage): number {
  return readNote<number>(sql, MIRRORED_AT) ?? 0;
}

// A lane is one delivery at a time, of so many letters at once.
const LANES: readonly { kinds: readonly OutboxKind[]; atOnce: number }[] = [
  { kinds: ["broadcast"], atOnce: 1 },
  { kinds: ["mirror-value", "mirror-head", "mirror-token", "mirror-status"], atOnce: CONCURRENT_WRITES },
  { kinds: ["webhook"], atOnce: 10 },
];
type Lane = (typeof LANES)[number];

export class Postman {
  private readonly delivering = new Map<Lane, Promise<void>>();
  private readonly waiting = new Map<Lane, Promise<void>>();

  // `env` is read at each delivery; `broadcast` tells the present head to every socket that has not got it.
  constructor(
    private readonly sql: SqlStorage,
    private readonly env: Env,
    private readonly broadcast: () => Promise<void>,
  ) {}

  // Everything that is due: of each lane that has something, when it is done. Who asks while a lane is busy waits for it and for one
  // more turn, which all who ask meanwhile share.
  deliver(): Promise<void>[] {
    return LANES.flatMap((lane) => this.deliverLane(lane) ?? []);
  }

  // What is being delivered now.
  underWay(): OutboxKind[] {
    return [...this.delivering.keys()].flatMap(({ kinds }) => kinds);
  }

  private deliverLane(lane: Lane): Promise<void> | undefined {
    const waiting = this.waiting.get(lane);
    if (waiting !== undefined) return waiting;
    const now = this.delivering.get(lane);
    if (now === undefined) return this.begin(lane);
    const turn = async () => {
      this.waiting.delete(lane);
      await this.begin(lane);
    };
    const next = now.then(turn, turn);
    this.waiting.set(lane, next);
    return next;
  }

  private begin(lane: Lane): Promise<void> | undefined {
    const letters = dueLetters(this.sql, lane.kinds, Date.now());
    if (letters.length === 0) return undefined;
    const delivery = this.deliverAll(lane, letters).finally(() => this.delivering.delete(lane));
    this.delivering.set(lane, delivery);
    return delivery;
  }

  private async deliverAll({ atOnce }: Lane, letters: readonly Letter[]): Promise<void> {
    for (let at = 0; at < letters.length; at += atOnce) {
      await Promise.all(letters.slice(at, at + atOnce).map((letter) => this.tryOne(letter)));
    }
  }

  private async tryOne(letter: Letter): Promise<void> {
    try {
      await this.deliverOne(letter);
      delivered(this.sql, letter);
    } catch (error) {
      const { kind, key, tries } = letter;
      console.warn(JSON.stringify({ message: "not delivered yet", kind, key, tries: tries + 1, error: String(error) }));
      failed(this.sql, letter, Date.now(), kind === "webhook" ? WEBHOOK_TRIES : Number.POSITIVE_INFINITY);
    }
  }

  private deliverOne(letter: Letter): Promise<void> {
    switch (letter.kind) {
      case "broadcast":
        return this.broadcast();
      case "mirror-value":
        return this.mirrorValue(letter);
      case "mirror-head":
        return this.mirrorHead();
      case "mirror-token":
        return this.mirrorToken(letter.key);
      case "mirror-status":
        return this.mirrorStatus(letter.key);
      case "webhook":
        return this.callWebhook(letter);
    }
  }

  private async mirrorValue({ key, body }: Letter): Promise<void> {
    const [blob] = findRecent(this.sql, [key]); // kept until this is done
    if (blob === undefined) throw new Error("the value is gone");
    await this.env.CONFIG.put(key, blob.value as Uint8Array<ArrayBuffer>, body === "" ? {} : { metadata: JSON.parse(body) as unknown });
  }

  private async mirrorHead(): Promise<void> {
    const head = currentHead(this.sql);
    if (head === undefined) return;
    // Before the write: a write that fails half-way counts against the one write a second as well.
    writeNote(this.sql, MIRRORED_AT, Date.now());
    await this.env.CONFIG.put("head", head.body);
  }

  private async mirrorToken(hash: string): Promise<void> {
    const now = Date.now();
    const token = findToken(this.sql, hash);
    if (token === undefined || !isLive(token, now)) return this.env.DEVICE_TOKENS.delete(`tokens/${hash}`);
    const entry = tokenEntry(token);
    // KV takes no expiration that is nearer than a minute; the entry says it as well.
    const soon = token.expires !== null && token.expires < now + TTL_LEAST_SECONDS * 1000 + 5000;
    await this.env.DEVICE_TOKENS.put(`tokens/${hash}`, entry, {
      metadata: JSON.parse(entry) as unknown,
      ...(token.expires === null || soon ? {} : { expiration: Math.floor(token.expires / 1000) }),
    });
  }

  private async mirrorStatus(node: string): Promise<void> {
    const row = findStatus(this.sql, node);
    if (row === undefined) return this.env.SERVER_STATE.delete(`nodes/${node}`);
    if (row.digest === row.mirrored) return; // it changed back
    this.sql.exec("UPDATE status SET mirrored_at=? WHERE node=?", Date.now(), node);
    await this.env.SERVER_STATE.put(`nodes/${node}`, row.body, { metadata: JSON.parse(row.metadata) as unknown });
    this.sql.exec("UPDATE status SET mirrored=? WHERE node=?", row.digest, node);
  }

  private async callWebhook(letter: Letter): Promise<void> {
    const webhook = settingsOf(this.env).webhooks[Number.parseInt(letter.key, 10)];
    if (webhook === undefined) return; // taken out of the settings meanwhile
    const body = bodyFor(webhook, JSON.parse(letter.body) as Notice);
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (this.env.WEBHOOK_KEY)
      headers["Mcpfleet-Signature"] = signatureOf(this.env.WEBHOOK_KEY, body, Math.floor(Date.now() / 1000));
    const response = await fetch(webhook.url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
  }
}
