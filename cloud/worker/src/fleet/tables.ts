// The tables of the Fleet object. Times are milliseconds since 1970. Each row and each entry of an index that is written
// is billed, so there are few indices, and WITHOUT ROWID where rows are many. A change of a table is a new step at the end of
// STEPS; steps that a database has seen are never edited.
export const STEPS: readonly string[] = [
  `CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id=1), body TEXT NOT NULL, etag TEXT NOT NULL, at INTEGER NOT NULL);
   CREATE TABLE known_heads(sha256 TEXT PRIMARY KEY, at INTEGER NOT NULL);
   CREATE TABLE recent(key TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(key, part));
   CREATE INDEX recent_at ON recent(at);
   CREATE TABLE tokens(hash TEXT PRIMARY KEY, node TEXT NOT NULL, author TEXT NOT NULL, created INTEGER NOT NULL,
     expires INTEGER, revoked INTEGER, join_id TEXT, replaces TEXT);
   CREATE INDEX tokens_node ON tokens(node);
   CREATE TABLE joins(id TEXT PRIMARY KEY, node TEXT NOT NULL, author TEXT NOT NULL, created INTEGER NOT NULL,
     expires INTEGER NOT NULL, labels TEXT NOT NULL, bound TEXT, bound_at INTEGER, revoked INTEGER);
   CREATE TABLE nodes(node TEXT PRIMARY KEY, created INTEGER NOT NULL, last_seen INTEGER NOT NULL, connected INTEGER NOT NULL,
     tunnel TEXT, signing_key TEXT, sealing_key TEXT, nonce_issued TEXT NOT NULL, nonce_confirmed TEXT NOT NULL, cloned INTEGER NOT NULL);
   CREATE TABLE status(node TEXT PRIMARY KEY, body TEXT NOT NULL, metadata TEXT NOT NULL, digest TEXT NOT NULL,
     boot TEXT NOT NULL, sequence INTEGER NOT NULL, summary TEXT NOT NULL, at INTEGER NOT NULL, mirrored TEXT NOT NULL, mirrored_at INTEGER NOT NULL);
   CREATE TABLE transitions(subject TEXT NOT NULL, at INTEGER NOT NULL, up INTEGER, PRIMARY KEY(subject, at)) WITHOUT ROWID;
   CREATE TABLE down_since(subject TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE alerts(key TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL,
     severity TEXT NOT NULL, raised INTEGER NOT NULL, cleared INTEGER);
   CREATE TABLE chunks(node TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL, day TEXT NOT NULL, first INTEGER NOT NULL,
     last INTEGER NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(node, boot, seq)) WITHOUT ROWID;
   CREATE INDEX chunks_last ON chunks(last);
   CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
     due INTEGER NOT NULL, tries INTEGER NOT NULL, UNIQUE(kind, key));
   CREATE TABLE notes(key TEXT PRIMARY KEY, value TEXT NOT NULL);`,
  `ALTER TABLE alerts ADD COLUMN acknowledged INTEGER;
   ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
   CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
     subject TEXT NOT NULL, detail TEXT NOT NULL);`,
  `CREATE TABLE deleting(key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;`,
  `CREATE TABLE trust(version INTEGER PRIMARY KEY, body TEXT NOT NULL);
   ALTER TABLE alerts ADD COLUMN told INTEGER NOT NULL DEFAULT 1;`,
  // One that comes again is another one: who looks back sees both.
  `CREATE TABLE alerts_by_time(key TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL,
     severity TEXT NOT NULL, raised INTEGER NOT NULL, cleared INTEGER, acknowledged INTEGER, acknowledged_by TEXT,
     told INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(key, raised));
   INSERT INTO alerts_by_time SELECT key,kind,subject,message,severity,raised,cleared,acknowledged,acknowledged_by,told FROM alerts;
   DROP TABLE alerts;
   ALTER TABLE alerts_by_time RENAME TO alerts;
   CREATE UNIQUE INDEX alerts_open ON alerts(key) WHERE cleared IS NULL;`,
];

export function migrate(sql: SqlStorage): void {
  sql.exec("CREATE TABLE IF NOT EXISTS steps(done INTEGER NOT NULL)");
  const done = Number(sql.exec("SELECT count(*) AS n FROM steps").one().n);
  for (const [index, step] of STEPS.entries()) {
    if (index < done) continue;
    sql.exec(step);
    sql.exec("INSERT INTO steps(done) VALUES(?)", index);
  }
}

// One value that is not worth a table: JSON by name.
export function readNote<T>(sql: SqlStorage, key: string): T | undefined {
  const row = sql.exec<{ value: string }>("SELECT value FROM notes WHERE key=?", key).toArray()[0];
  return row === undefined ? undefined : (JSON.parse(row.value) as T);
}

export function writeNote(sql: SqlStorage, key: string, value: unknown): void {
  const text = JSON.stringify(value);
  sql.exec(
    "INSERT INTO notes(key,value) VALUES(?1,?2) ON CONFLICT(key) DO UPDATE SET value=?2 WHERE value<>?2",
    key,
    text,
  );
}
