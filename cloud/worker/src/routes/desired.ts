// The desired state for people: what it is, what it was, and changing it. Everything that is named by a hash may be kept for ever.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { change, type Edit } from "../desired/change.js";
import { bareNode, declareEdit, nodeEdit, removeEdit, restoreEdit, serverEdit, setEdit } from "../desired/edits.js";
import { isSigned, listProposals } from "../desired/propose.js";
import { Reader } from "../desired/reader.js";
import { ObjectRow, rowFor } from "../desired/rows.js";
import { badRequest, CODE, Refusal, reply } from "../http/envelope.js";
import { check, readJson } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { CHANGES_BYTES, CHANGES_OBJECTS, HISTORY } from "../limits.js";
import { FleetObject, keyOf, nameOf, ObjectKey } from "../manifest/object.js";
import { validate } from "../manifest/validate.js";
import { Name } from "../schema/status.js";
import { addRoute } from "./add.js";
import { answer } from "./describe.js";

const people = { viewer: true, operator: true } as const;
const operator = { operator: true } as const;
const Hash = z.string().regex(/^[0-9a-f]{64}$/, "is no hash");
const FOR_EVER = "private, max-age=31536000, immutable";

const Desired = z.object({
  head: z.string().nullable().describe("trust.epoch.revision; null: nothing was ever applied"),
  fleet: z.string(),
  snapshot: z.string(),
  signed: z.boolean().describe("changes become proposals, which mcpctl signs"),
  time: z.string(),
});
const SnapshotView = z.object({
  parent: z.string(),
  shards: z.array(z.string()).describe("hashes; empty ones hold nothing"),
  message: z.string(),
  author: z.string(),
  time: z.string(),
});
const HistoryRow = SnapshotView.omit({ shards: true }).extend({ snapshot: z.string(), changedShards: z.int() });
const HistoryQuery = z.object({
  from: Hash.optional().describe("a snapshot; by default the present one"),
  limit: z.coerce.number().int().min(1).max(HISTORY).default(50),
});
const Violation = z.object({ path: z.string(), problem: z.string(), allowed: z.string() }).openapi("Violation");
const Objects = z.strictObject({ objects: z.array(z.unknown()).max(CHANGES_OBJECTS) });
const Changes = z.strictObject({
  set: z.array(z.unknown()).max(CHANGES_OBJECTS).default([]),
  remove: z.array(ObjectKey).max(CHANGES_OBJECTS).default([]),
  message: z.string().max(1024).default(""),
  dryRun: z.boolean().default(false),
  base: z.string().max(64).nullable().optional().describe("the head that was looked at, null: there was none; while another is in force nothing is changed (409)"),
});
const Result = z
  .object({
    changes: z.array(
      z.object({
        kind: z.string(),
        namespace: z.string(),
        name: z.string(),
        change: z.enum(["created", "configured", "unchanged", "deleted", "not found"]),
        generation: z.int(),
      }),
    ),
    head: z.string().nullable(),
    moved: z.boolean(),
    proposal: z.string().nullable().describe("in a signed fleet: what mcpctl proposals sign takes"),
  })
  .openapi("ChangeResult");
const Rollback = z.strictObject({ snapshot: Hash, dryRun: z.boolean().default(false) });
const Key = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "is no key: 43 characters of base64url are expected");
const Declared = z.strictObject({
  labels: z.record(z.string().max(317), z.string().max(63)).default({}).describe("added to those that it has"),
  keys: z.strictObject({ signing: Key, sealing: Key }).optional().describe("that the node has proven"),
});
const Proposal = z.object({ id: z.string(), author: z.string(), message: z.string(), time: z.string(), objects: z.int() });

const author = (c: AppContext): string => c.get("caller").name;

async function make(c: AppContext, edits: readonly Edit[], message: string, dryRun = false, base?: string | null): Promise<Response> {
  return reply(await change(c.env, edits, { message: message.slice(0, 1024), author: author(c), base }, dryRun));
}

function forEver(result: unknown): Response {
  const response = reply(result);
  response.headers.set("Cache-Control", FOR_EVER);
  return response;
}

// Refuses an object by its first fault; `name` says of which.
function judge(object: unknown, name: () => string): void {
  const [first] = validate(object);
  if (first !== undefined) throw badRequest(`${name()}${first.path}: ${first.problem}${first.allowed === "" ? "" : `; allowed: ${first.allowed}`}`);
}

async function changes(c: AppContext): Promise<Response> {
  const asked = await readJson(c.req.raw, Changes, CHANGES_BYTES);
  if (asked.set.length + asked.remove.length === 0) throw badRequest("set and remove are both empty");
  for (const object of asked.set) {
    judge(object, () => {
      const named = FleetObject.safeParse(object);
      return named.success ? `${nameOf(keyOf(named.data))}: ` : "";
    });
  }
  const manifests = asked.set.map((object) => check(FleetObject, object));
  return make(c, [...manifests.map(setEdit), ...asked.remove.map(removeEdit)], asked.message || "from the dashboard", asked.dryRun, asked.base);
}

async function rollback(c: AppContext): Promise<Response> {
  const { snapshot, dryRun } = await readJson(c.req.raw, Rollback, CHANGES_BYTES);
  const reader = new Reader(c.env);
  const current = await reader.head();
  if (current === null) throw badRequest("the store is empty");
  const [then, now] = await Promise.all([reader.snapshot(snapshot), reader.snapshot(current.head.snapshot)]);
  const found = await reader.shards([...then.shards, ...now.shards]);
  const all = (shards: readonly string[]) => new Map(shards.flatMap((hash) => found.get(hash) ?? []).map((entry) => [nameOf(entry), entry]));
  const before = all(then.shards);
  const present = all(now.shards);
  const back = [...before.values()].filter((entry) => present.get(nameOf(entry))?.hash !== entry.hash);
  const objects = await reader.objects(back.map((entry) => entry.hash));
  const lost = back.find((entry) => !objects.has(entry.hash));
  if (lost !== undefined) throw new Refusal(410, CODE.keyNotFound, `${nameOf(lost)} as it was then can't be read any more`);
  const gone = [...present.values()].filter((entry) => !before.has(nameOf(entry)));
  const edits = [...back.map((entry) => restoreEdit(objects.get(entry.hash)!)), ...gone.map(({ kind, namespace, name }) => removeEdit({ kind, namespace, name }))];
  return make(c, edits, `roll back to ${snapshot.slice(0, 12)}`, dryRun);
}

async function history(c: AppContext): Promise<Response> {
  const { from, limit } = check(HistoryQuery, c.req.query(), "the query");
  const reader = new Reader(c.env);
  let hash = from ?? (await reader.head())?.head.snapshot ?? "";
  const rows: z.infer<typeof HistoryRow>[] = [];
  // What gc took ends the history; that is no failure.
  let next = hash === "" ? undefined : await reader.snapshot(hash).catch(() => undefined);
  while (next !== undefined && rows.length < limit) {
    const { shards, ...snapshot } = next;
    next = snapshot.parent === "" ? undefined : await reader.snapshot(snapshot.parent).catch(() => undefined);
    const older = next?.shards;
    rows.push({ ...snapshot, snapshot: hash, changedShards: shards.filter((each, index) => each !== (older?.[index] ?? "")).length });
    hash = snapshot.parent;
  }
  return reply(rows, { count: rows.length, next: next === undefined ? "" : hash });
}

function addReads(app: OpenAPIHono<AppEnv>): void {
  const tag = "desired state";
  const get = (path: string, summary: string, responses: ReturnType<typeof answer>, handler: (c: AppContext) => Promise<Response>, query?: z.ZodObject) =>
    addRoute(app, { method: "get", path, tag, summary, rule: people, responses, ...(query === undefined ? {} : { query }) }, handler);
  get("/v1/desired", "Which version of the desired state is in force", answer("it", Desired), async (c) => {
    const current = await new Reader(c.env).head();
    return reply({
      head: current?.etag ?? null,
      fleet: current?.head.fleet ?? "",
      snapshot: current?.head.snapshot ?? "",
      signed: current !== null && isSigned(current.head),
      time: current?.head.time ?? "",
    });
  });
  get("/v1/desired/history", "The versions that were, newest first", answer("versions", z.array(HistoryRow)), history, HistoryQuery);
  get("/v1/desired/proposals", "Changes that wait for a signature (mcpctl proposals)", answer("proposals", z.array(Proposal)), async (c) =>
    reply(await listProposals(new Reader(c.env).store)),
  );
  get("/v1/desired/snapshots/{hash}", "A version; its shards by hash", answer("it", SnapshotView), async (c) =>
    forEver(await new Reader(c.env).snapshot(check(Hash, c.req.param("hash"), "the hash"))),
  );
  get("/v1/desired/shards/{hash}", "Rows of the objects of one shard", answer("rows", z.array(ObjectRow)), async (c) => {
    const reader = new Reader(c.env);
    const hash = check(Hash, c.req.param("hash"), "the hash");
    const entries = (await reader.shards([hash])).get(hash)!;
    const objects = await reader.objects(entries.map((entry) => entry.hash));
    const rows = entries.map((entry) => rowFor(entry, objects.get(entry.hash)));
    // One that could not be read yet must be asked for again.
    return objects.size === new Set(entries.map((entry) => entry.hash)).size ? forEver(rows) : reply(rows);
  });
  get("/v1/desired/objects/{hash}", "An object, whole", answer("it", FleetObject), async (c) =>
    forEver(await new Reader(c.env).object(check(Hash, c.req.param("hash"), "the hash"))),
  );
}

function addWrites(app: OpenAPIHono<AppEnv>): void {
  const tag = "desired state";
  addRoute(
    app,
    { method: "post", path: "/v1/validate", tag, summary: "What is wrong with these objects, one list for each", rule: people, body: Objects, responses: answer("violations", z.array(z.array(Violation))) },
    async (c) => reply((await readJson(c.req.raw, Objects, CHANGES_BYTES)).objects.map(validate)),
  );
  addRoute(
    app,
    { method: "post", path: "/v1/changes", tag, summary: "Makes the fleet as these objects say, all together or not at all; in a signed fleet it becomes a proposal", rule: operator, body: Changes, responses: answer("what changed", Result), audit: "change" },
    changes,
  );
  addRoute(
    app,
    { method: "post", path: "/v1/rollback", tag, summary: "Makes the content of an earlier version the newest again", rule: operator, body: Rollback, responses: answer("what changed", Result), audit: "rollback" },
    rollback,
  );
  for (const action of ["restart", "suspend", "resume"] as const) {
    addRoute(
      app,
      { method: "post", path: `/v1/servers/{namespace}/{server}/${action}`, tag, summary: `A server: ${action}`, rule: operator, responses: answer("what changed", Result), audit: action },
      (c) => {
        const name = check(Name, c.req.param("server"), "the server");
        return make(c, [serverEdit(action, check(Name, c.req.param("namespace"), "the namespace"), name, Date.now())], `${action} ${name}`);
      },
    );
  }
  addRoute(
    app,
    { method: "delete", path: "/v1/servers/{namespace}/{server}", tag, summary: "Removes a server from the fleet", rule: operator, responses: answer("what changed", Result), audit: "delete" },
    (c) => {
      const name = check(Name, c.req.param("server"), "the server");
      return make(c, [removeEdit({ kind: "MCPServer", namespace: check(Name, c.req.param("namespace"), "the namespace"), name })], `delete ${name}`);
    },
  );
  for (const action of ["cordon", "uncordon", "drain"] as const) {
    addRoute(
      app,
      { method: "post", path: `/v1/nodes/{node}/${action}`, tag, summary: `A node: ${action}`, rule: operator, responses: answer("what changed", Result), audit: action },
      (c) => {
        const node = check(Name, c.req.param("node"), "the node");
        return make(c, [nodeEdit(action, node)], `${action} ${node}`);
      },
    );
  }
  addRoute(
    app,
    { method: "post", path: "/v1/nodes/{node}/declare", tag, summary: "A node that is to join, or has: its labels, its keys; what else is known of it stays", rule: operator, body: Declared, responses: answer("what changed", Result), audit: "declare" },
    async (c) => {
      const node = check(Name, c.req.param("node"), "the node");
      const { labels, keys } = await readJson(c.req.raw, Declared, CHANGES_BYTES);
      judge({ ...bareNode(node), metadata: { name: node, labels } }, () => "");
      return make(c, [declareEdit(node, labels, keys)], keys === undefined ? `enrol ${node}` : `keys of ${node}`);
    },
  );
}

export function addDesiredRoutes(app: OpenAPIHono<AppEnv>): void {
  addReads(app);
  addWrites(app);
}
