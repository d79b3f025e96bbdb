// Every bound of the Worker, each with its reason. A buffer without a bound is a defect.

// Workers KV's own limits (developers.cloudflare.com/kv/platform/limits); base/limits.h holds the C++ side to the same.
export const KEY_BYTES = 512;
export const METADATA_BYTES = 1024;
export const VALUE_BYTES = 25 * 1024 * 1024;
export const LIST_KEYS = 1000;
export const LIST_KEYS_LEAST = 10;
export const BULK_GET_KEYS = 100;
export const BULK_PAIRS = 10_000;
export const TTL_LEAST_SECONDS = 60;

// The whole of a bulk request: it is held in the memory of an isolate (128 MB) several times over while it is checked.
export const BULK_BYTES = 10_000_000;
// An invocation may do 1000 operations; a binding writes one key in each. What is above is reported as not done.
export const BULK_WRITES = 900;
export const CONCURRENT_WRITES = 6;

// Hostile sizes, the same as a node's (base/limits.h).
export const HEAD_BYTES = 4096;
export const SNAPSHOT_BYTES = 64 * 1024;
export const SHARD_BYTES = 4 * 1024 * 1024;
export const OBJECT_BYTES = 1024 * 1024;
export const SHARDS = 64;

// A trust document, and keys of each kind in it (store/trust/trust.h).
export const TRUST_BYTES = 16 * 1024;
export const TRUST_KEYS = 16;
// How far a move may raise a counter of the head, which is by one: nobody can use up the numbers that later heads need. The first
// head of a restored store may begin where the lost one was.
export const HEAD_STEP = 1000;
export const HEAD_FIRST = 2 ** 52;

// A node's status: a row of the object's SQLite may have 2 MB.
export const STATUS_BYTES = 1024 * 1024;
// Any other JSON body of /v1.
export const REQUEST_BYTES = 64 * 1024;
// One message from a node or a browser on the socket.
export const SOCKET_BYTES = STATUS_BYTES + 4096;

// Statuses of one node, by whatever way: a node sends one a second at most (status_publisher.h). At once, and a second from then on.
export const STATUSES = 60;
export const STATUSES_PER_SECOND = 2;
export const STATUS_BURST_BYTES = 8 * 1024 * 1024;
export const STATUS_BYTES_PER_SECOND = 256 * 1024;
// Changes of state of one node's servers that are kept, looked at after so many new ones: some 5 MB. Beyond it the node loses its
// own oldest history.
export const TRANSITIONS_OF_NODE = 50_000;
export const TRANSITIONS_LOOK = 1000;
// Alerts of one node at a time, and those that webhooks are told of: at once, and an hour from then on.
export const ALERTS_OF_NODE = 50;
export const NOTICES = 200;
export const NOTICES_PER_HOUR = 100;
// Alerts that are over: when there are so many, those of each node are cut to the newest.
export const ALERT_ROWS = 10_000;
export const ALERT_ROWS_OF_NODE = 500;
// Device tokens of one node that count, and that are over and remembered; and those that it may ask for: at once, and a minute.
export const TOKENS_OF_NODE = 16;
export const TOKENS_ENDED = 20;
export const TOKENS_ASKED = 10;
export const TOKENS_ASKED_PER_MINUTE = 1;

// Immutable values that KV may still miss: a miss is remembered for a minute or more, so they are kept ten times as long.
export const RECENT_MS = 10 * 60_000;
export const RECENT_BYTES = 64 * 1024 * 1024;
// How long gc may take between its look at what is needed and the last key it deletes. Nobody writes one of them meanwhile.
export const DELETION_MS = 60_000;
export const RECENT_PART_BYTES = 1024 * 1024;
// Values written in the last seconds go to the nodes with the head that names them, so that they read nothing: a small
// change whole, of a large one a part.
export const NEWS_MS = 10_000;
export const NEWS_BYTES = 32 * 1024;
export const NEWS_VALUES = 64;
// A change that is taken with its head in one request, as the body of a bulk write: what fits is one turn of the object,
// and goes to KV behind the answer.
export const COMMIT_BYTES = 256 * 1024;
export const COMMIT_VALUES = 200;
// Heads that were ours, to tell an old copy of the mirror from a foreign one.
export const HEAD_HISTORY = 1000;

// KV takes one write a second per key.
export const HEAD_MIRROR_MS = 1000;
// A write of a status is billed: at least this far apart.
export const STATUS_MIRROR_MS = 60_000;
// A delivery that failed is tried again after 1 s, 2 s, 4 s … this.
export const RETRY_MOST_MS = 60_000;
// A delivery that was begun is looked after so much later, should whoever made it have died.
export const UNDER_WAY_MS = 15_000;
// Messages to webhooks are given up after this many tries (about an hour).
export const WEBHOOK_TRIES = 60;

// A node's sign of life, and the look at all of them: at least this often (fleet/rhythm.ts).
export const SWEEP_MS = 30_000;
export const PING_SECONDS = 30;
// The most often that a node sends one, whatever it is asked for (store/watch_message.cc).
export const PING_SECONDS_LEAST = 5;

export const NODES = 100_000;
export const WATCHERS = 10_000;
export const SOCKETS_OF_A_NODE = 4;
export const SOCKETS_OF_A_PERSON = 100;
export const JOINS = 10_000;

// Usage on its way to who looks (fleet/usage.ts): what a node sends of one server in a message, an hour of minutes with room; of all
// servers in one; and in a second. An hour of 50 servers is 400 KB.
export const USAGE_SAMPLES = 120;
export const USAGE_EVENTS = 50;
export const USAGE_SERVERS = 1024;
export const USAGE_BYTES = 512 * 1024;
// Servers (and nodes) that are looked at, of all people together; a node takes no more (store/watch_message.h).
export const MEASURED_SERVERS = 1024;
// How often a person may look at something else: each time all nodes are told. A person who goes from page to page is far below it.
export const LOOKS = 20;
export const LOOKS_MS = 10_000;

// One chunk of logs as it is stored, and what it may unpack to.
export const CHUNK_BYTES = 1024 * 1024;
export const CHUNK_UNPACKED_BYTES = 32 * 1024 * 1024;
// What a node may upload unless the settings say otherwise: 4 MiB a second.
export const LOG_BYTES_PER_MINUTE = 60 * 4 * 1024 * 1024;
export const LOG_LINES = 1000;
export const LOG_CHUNKS_PER_QUERY = 200;
export const LOG_LINE_BYTES = 64 * 1024;

// One MCP message (base/limits.h, kHttpBodyBytes).
export const MCP_BYTES = 4 * 1024 * 1024;
export const MCP_TRIES = 3;

// One change of the desired state by /v1/changes, and its objects.
export const CHANGES_BYTES = 4 * 1024 * 1024;
export const CHANGES_OBJECTS = 500;
// Versions in one answer: each is a read of KV.
export const HISTORY = 200;

// The list of who did what: the newest ones, for a season.
export const AUDIT_ROWS = 10_000;
export const AUDIT_DAYS = 90;
// Parts of a bar of uptime; the worst of all that were asked for; and how many are looked at.
export const UPTIME_BARS = 200;
export const UPTIME_ROWS = 1000;
export const UPTIME_SUBJECTS = 20_000;
// A person's session in a browser, of an API token. Access has its own.
export const SESSION_SECONDS = 12 * 3600;
// Rows of servers and nodes in one message of the feed, of some 300 bytes each.
export const FEED_SERVERS = 2000;
