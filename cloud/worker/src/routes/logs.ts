// Logs: chunks come from nodes and go to R2 as they are; people read lines, merged by time.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { fleetOf } from "../env.js";
import { type Chunk, chunkName } from "../fleet/chunk_index.js";
import { badRequest, CODE, Refusal, reply } from "../http/envelope.js";
import { check, readBody } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { CHUNK_BYTES, LOG_CHUNKS_PER_QUERY, LOG_LINES } from "../limits.js";
import { packingOf, parseChunkName, parseLines, unpack } from "../logs/chunk.js";
import { mergeLines } from "../logs/merge.js";
import { sha256Hex } from "../schema/hash.js";
import { Name } from "../schema/status.js";
import { addRoute } from "./add.js";
import { answer } from "./describe.js";

const HOUR_MS = 3_600_000;
// A clock that is ahead, or a node that comes back from a year in a drawer; beyond that the times are wrong.
const AHEAD_MS = 10 * 60_000;
const OLD_MS = 400 * 86_400_000;

const Time = z.iso.datetime({ offset: true });
const Stored = z.object({ name: z.string(), repeat: z.boolean() });
const Query = z.object({
  since: Time.optional().describe("from this time on; by default the last hour"),
  until: Time.optional().describe("before this time; by default now"),
  node: Name.optional(),
  namespace: z.string().max(63).optional(),
  server: z.string().max(63).optional(),
  contains: z.string().min(1).max(256).optional().describe("lines with this text, case counts"),
  limit: z.coerce.number().int().min(1).max(LOG_LINES).default(200),
  cursor: z.string().max(512).optional().describe("result_info.cursor of the page before"),
});
const Row = z.object({
  time: z.string(),
  node: z.string(),
  namespace: z.string(),
  server: z.string(),
  stream: z.string(),
  text: z.string(),
});

function timeHeader(c: AppContext, name: string): number {
  const value = check(Time, c.req.header(name), name);
  return Date.parse(value);
}

async function upload(c: AppContext): Promise<Response> {
  const node = check(Name, c.req.param("node"), "the node");
  const name = parseChunkName(c.req.param("chunk") ?? "");
  if (name === undefined) throw badRequest("the chunk's name is not <bootId>-<seq>");
  const bytes = await readBody(c.req.raw, CHUNK_BYTES);
  if (packingOf(bytes) === undefined) throw badRequest("a chunk is compressed with zstd or gzip");
  const first = timeHeader(c, "Mcpfleet-First");
  const last = timeHeader(c, "Mcpfleet-Last");
  const now = Date.now();
  if (first > last || last > now + AHEAD_MS || first < now - OLD_MS)
    throw badRequest("the times of the chunk can't be");
  const admission = await fleetOf(c.env).admitChunk({ node, ...name, first, last, bytes: bytes.byteLength });
  if (!admission.admit) {
    throw new Refusal(429, CODE.rateLimit, "the node uploads too much", {
      "Retry-After": String(admission.retryAfterSeconds),
    });
  }
  const sha256 = sha256Hex(bytes);
  const stored = await c.env.LOGS.put(admission.name, bytes as Uint8Array<ArrayBuffer>, {
    onlyIf: new Headers({ "If-None-Match": "*" }),
    customMetadata: { sha256, first: String(first), last: String(last) },
    httpMetadata: { contentType: `application/${packingOf(bytes)}` },
  });
  if (stored === null) {
    // It was there: the same bytes are a repeat, others would rewrite history.
    const before = await c.env.LOGS.head(admission.name);
    if (before !== null && before.customMetadata?.sha256 !== sha256)
      throw new Refusal(409, CODE.condition, "the chunk is there with other bytes");
  }
  return reply({ name: admission.name, repeat: stored === null });
}

async function query(c: AppContext): Promise<Response> {
  const asked = check(Query, c.req.query(), "the query");
  const until = asked.until === undefined ? Date.now() + AHEAD_MS : Date.parse(asked.until);
  const from = asked.since === undefined ? Math.min(until, Date.now()) - HOUR_MS : Date.parse(asked.since);
  if (from >= until) throw badRequest("since: is not before until");
  const after = asked.cursor === undefined ? "" : Buffer.from(asked.cursor, "base64url").toString("utf8");
  if (after !== "" && !/^\d{12}\.\d{9}\|/.test(after)) throw badRequest("cursor: is not one of ours");
  const start = after === "" ? from : Math.max(from, Number(after.slice(0, 12)) * 1000 + Number(after.slice(13, 16)));
  const chunks = await fleetOf(c.env).chunks(start, until, asked.node, LOG_CHUNKS_PER_QUERY + 1);
  const load = async (chunk: Chunk) => {
    const object = await c.env.LOGS.get(chunkName(chunk));
    const text = object === null ? undefined : unpack(new Uint8Array(await object.arrayBuffer()));
    return text === undefined ? undefined : parseLines(text);
  };
  const merged = await mergeLines(chunks.slice(0, LOG_CHUNKS_PER_QUERY), load, {
    after,
    from,
    until,
    limit: asked.limit,
    wanted: (line) =>
      (asked.namespace === undefined || line.namespace === asked.namespace) &&
      (asked.server === undefined || line.server === asked.server) &&
      (asked.contains === undefined || line.text.includes(asked.contains)),
  });
  // More chunks than one request may read: what was read is complete only before the first line of the rest.
  const rest = chunks[LOG_CHUNKS_PER_QUERY];
  let { lines, more } = merged;
  let cursor = more && lines.length > 0 ? lines[lines.length - 1]!.key : "";
  if (rest !== undefined) {
    const limit = `${String(Math.floor(rest.first / 1000)).padStart(12, "0")}.${String(rest.first % 1000).padStart(3, "0")}000000|`;
    const complete = lines.filter((placed) => placed.key < limit);
    if (complete.length < lines.length || cursor === "") cursor = limit;
    lines = complete;
    more = true;
    if (cursor <= after) throw new Refusal(422, CODE.badRequest, "too many chunks at one time; name a node");
  }
  const rows = lines.map(({ line, node }) => ({
    time: line.time,
    node,
    namespace: line.namespace,
    server: line.server,
    stream: line.stream,
    text: line.text,
  }));
  return reply(rows, {
    count: rows.length,
    cursor: cursor === "" ? "" : Buffer.from(cursor).toString("base64url"),
    missing: merged.missing,
    bad: merged.bad,
  });
}

export function addLogRoutes(app: OpenAPIHono<AppEnv>): void {
  addRoute(
    app,
    {
      method: "put",
      path: "/v1/logs/{node}/{chunk}",
      tag: "logs",
      summary:
        "Uploads a chunk, at most 1 MiB, named <bootId>-<seq>; headers Mcpfleet-First and Mcpfleet-Last are the times of its lines",
      rule: { device: "own", strong: true },
      body: z.string(),
      bodyType: "application/zstd",
      responses: answer("where it is", Stored),
    },
    upload,
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/logs",
      tag: "logs",
      summary: "Lines of all nodes in the order of time",
      rule: { viewer: true, operator: true },
      query: Query,
      responses: answer("lines", z.array(Row)),
    },
    query,
  );
}
