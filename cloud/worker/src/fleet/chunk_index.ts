// Which chunks of logs there are: admission of uploads and the index for queries. A chunk's place in R2 is fixed when it
// is admitted first, so that a repeat after midnight finds the same object.
export interface Chunk {
  node: string;
  boot: string;
  seq: number;
  day: string; // yyyy/mm/dd, when it was received
  first: number; // times of its first and last line, milliseconds
  last: number;
  bytes: number;
  at: number;
}

export const chunkName = (chunk: Pick<Chunk, "node" | "boot" | "seq" | "day">): string =>
  `logs/${chunk.node}/${chunk.day}/${chunk.boot}-${chunk.seq}`;

export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10).replaceAll("-", "/");

export type Admission = { admit: true; name: string; repeat: boolean } | { admit: false; retryAfterSeconds: number };

const WINDOW_MS = 60_000;

// What each node uploaded in the last minute. In memory: who uploads all the time keeps the object awake, and a row for
// each chunk would cost as much as the chunk.
export class UploadRate {
  private readonly nodes = new Map<string, { at: number; bytes: number }[]>();

  // 0 when `bytes` more are allowed, else in how many seconds it is worth another try.
  take(node: string, bytes: number, most: number, now: number): number {
    const recent = (this.nodes.get(node) ?? []).filter((upload) => upload.at > now - WINDOW_MS);
    const used = recent.reduce((sum, upload) => sum + upload.bytes, 0);
    const allowed = recent.length === 0 || used + bytes <= most;
    if (allowed) recent.push({ at: now, bytes });
    this.nodes.set(node, recent);
    return allowed ? 0 : Math.max(1, Math.ceil((recent[0]!.at + WINDOW_MS - now) / 1000));
  }
}

// A repeat costs nothing of the node's rate: it is how a lost answer is found again.
export function admitChunk(
  sql: SqlStorage,
  given: Omit<Chunk, "day" | "at">,
  rate: UploadRate,
  bytesPerMinute: number,
  now: number,
): Admission {
  const known = sql
    .exec("SELECT day FROM chunks WHERE node=? AND boot=? AND seq=?", given.node, given.boot, given.seq)
    .toArray()[0];
  if (known !== undefined) return { admit: true, name: chunkName({ ...given, day: String(known.day) }), repeat: true };
  const retryAfterSeconds = rate.take(given.node, given.bytes, bytesPerMinute, now);
  if (retryAfterSeconds > 0) return { admit: false, retryAfterSeconds };
  const day = dayOf(now);
  sql.exec(
    "INSERT INTO chunks(node,boot,seq,day,first,last,bytes,at) VALUES(?,?,?,?,?,?,?,?)",
    given.node,
    given.boot,
    given.seq,
    day,
    given.first,
    given.last,
    given.bytes,
    now,
  );
  return { admit: true, name: chunkName({ ...given, day }), repeat: false };
}

export function chunksWithin(
  sql: SqlStorage,
  from: number,
  until: number,
  node: string | undefined,
  most: number,
): Chunk[] {
  return sql
    .exec(
      "SELECT * FROM chunks WHERE last>=?1 AND first<?2 AND (?3='' OR node=?3) ORDER BY first, node, boot, seq LIMIT ?4",
      from,
      until,
      node ?? "",
      most,
    )
    .toArray() as unknown as Chunk[];
}
