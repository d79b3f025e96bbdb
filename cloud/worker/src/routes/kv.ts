// The KV REST protocol below /client/v4: what C++ and the official clients speak. The shapes are those of
// store/server/kv_server.cc, which answers for the embedded store.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { forbidden, badRequest, CODE, notFound, refuse, reply, tooLarge } from "../http/envelope.js";
import { check, parseJson, readBody, readJson, utf8 } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { parseMultipart } from "../http/multipart.js";
import type { Rule } from "../auth/caller.js";
import { ConfigStore } from "../kv/config.js";
import { storeFor } from "../kv/index.js";
import { BulkPair, checkKey, checkPair, type Pair, pairOf, ttlOf } from "../kv/pair.js";
import { keyIn, knownNamespace, namespaceIn } from "../kv/route.js";
import { isNamespace, kvPermits, NAMESPACES, type Operation } from "../kv/rules.js";
import type { Found, PutCondition, Store } from "../kv/store.js";
import {
  BULK_BYTES,
  BULK_GET_KEYS,
  BULK_PAIRS,
  COMMIT_BYTES,
  LIST_KEYS,
  LIST_KEYS_LEAST,
  METADATA_BYTES,
  VALUE_BYTES,
} from "../limits.js";
import { addRoute } from "./add.js";
import { answer, bytesAnswer } from "./describe.js";

const BASE = "/client/v4/accounts/{account}/storage/kv/namespaces";
// Which keys, and which of these operations, kvPermits decides.
const read: Rule = { device: "any", viewer: true, operator: true };
const write: Rule = { ...read, strong: true };
const tag = "kv";

// The store of the request's namespace, if the caller may do this with these keys there.
function storeOf(c: AppContext, operation: Operation, keys: readonly string[]): Store {
  const name = namespaceIn(c.req.raw);
  if (!kvPermits(c.get("caller"), operation, isNamespace(name) ? name : undefined, keys)) throw forbidden();
  return storeFor(knownNamespace(name), c.env, c.get("caller"));
}

const namespaceJson = (id: string) => ({ id, title: id, supports_url_encoding: true });

function number(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw badRequest(`${name} is not a number`);
  return Number(text);
}

const unquoted = (etag: string): string => /^(?:W\/)?"(.*)"$/.exec(etag)?.[1] ?? etag;

async function readPair(c: AppContext, key: string): Promise<Pair> {
  const ttl = ttlOf(
    number(c.req.query("expiration_ttl"), "expiration_ttl"),
    number(c.req.query("expiration"), "expiration"),
  );
  const type = c.req.header("Content-Type") ?? "";
  const body = await readBody(c.req.raw, VALUE_BYTES + METADATA_BYTES + 4096);
  const pair: Pair = { key, value: body, ...(ttl === undefined ? {} : { ttl }) };
  if (!/^multipart\/form-data/i.test(type)) return pair;
  const parts = parseMultipart(type, body);
  const value = parts.get("value");
  if (value === undefined) throw badRequest("multipart: no part named value");
  const metadata = parts.get("metadata");
  return { ...pair, value, ...(metadata === undefined ? {} : { metadata: parseJson(utf8(metadata), "the metadata") }) };
}

const Keys = (most: number) => z.array(z.string()).max(most, `more than ${most} keys`);
const BulkGet = z.object({
  keys: Keys(BULK_GET_KEYS),
  type: z.enum(["text", "json"]).default("text"),
  withMetadata: z.boolean().default(false),
});

function bulkValue(found: Found | undefined, asked: z.infer<typeof BulkGet>): unknown {
  if (found === undefined) return null;
  const text = utf8(found.value);
  if (text === undefined) throw badRequest("a value is not text");
  const value = asked.type === "json" ? parseJson(text, "a value") : text;
  return asked.withMetadata ? { value, metadata: found.metadata } : value;
}

async function bulkDelete(c: AppContext): Promise<Response> {
  const keys = await readJson(c.req.raw, Keys(BULK_PAIRS), BULK_BYTES);
  for (const key of keys) checkKey(key);
  const left = await storeOf(c, "bulkDelete", keys).delete(keys);
  return reply({ successful_key_count: keys.length - left.length, unsuccessful_keys: left });
}

const conditionOf = (c: AppContext): PutCondition => {
  const none = c.req.header("If-None-Match") ?? "";
  if (none !== "" && none !== "*") throw badRequest("If-None-Match allows only *");
  const match = c.req.header("If-Match");
  return { ifNoneMatch: none === "*", ...(match === undefined ? {} : { ifMatch: unquoted(match) }) };
};

export function addKvRoutes(app: OpenAPIHono<AppEnv>): void {
  addRoute(
    app,
    { method: "get", path: BASE, tag, summary: "The namespaces", rule: read, responses: answer("namespaces") },
    (c) => {
      if (!kvPermits(c.get("caller"), "namespaces", undefined, [])) throw forbidden();
      const page = number(c.req.query("page"), "page") ?? 1;
      const all = page > 1 ? [] : NAMESPACES.map(namespaceJson);
      return reply(all, { page, per_page: 20, count: all.length, total_count: NAMESPACES.length, total_pages: 1 });
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: `${BASE}/{namespace}`,
      tag,
      summary: "One namespace",
      rule: read,
      responses: answer("the namespace"),
    },
    (c) => {
      const name = namespaceIn(c.req.raw);
      if (!kvPermits(c.get("caller"), "namespaces", undefined, [])) throw forbidden();
      return reply(namespaceJson(knownNamespace(name)));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: `${BASE}/{namespace}/keys`,
      tag,
      summary: "Keys, a page of 10 to 1000",
      rule: read,
      responses: answer("keys with metadata"),
    },
    async (c) => {
      const store = storeOf(c, "list", []);
      const limit = number(c.req.query("limit"), "limit") ?? LIST_KEYS;
      if (limit < LIST_KEYS_LEAST || limit > LIST_KEYS) throw badRequest("limit is not within 10..1000");
      const page = await store.list(c.req.query("prefix") ?? "", c.req.query("cursor") ?? "", limit);
      return reply(page.keys, { count: page.keys.length, cursor: page.cursor });
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: `${BASE}/{namespace}/values/{key}`,
      tag,
      summary: "A value, its bytes; the head has an ETag",
      rule: read,
      responses: bytesAnswer("the value"),
    },
    async (c) => {
      const key = checkKey(keyIn(c.req.raw));
      const found = await storeOf(c, "get", [key]).get(key);
      if (found === null) throw notFound("get: 'key not found'");
      const headers: Record<string, string> = { "Content-Type": "application/octet-stream" };
      if (found.etag !== undefined) {
        headers.ETag = `"${found.etag}"`;
        if (c.get("caller").kind === "person") headers["Mcpfleet-Commit"] = String(COMMIT_BYTES);
        const asked = (c.req.header("If-None-Match") ?? "").split(",").map((etag) => unquoted(etag.trim()));
        if (asked.includes(found.etag)) return new Response(null, { status: 304, headers });
      }
      return new Response(found.value as Uint8Array<ArrayBuffer>, { headers });
    },
  );
  addRoute(
    app,
    {
      method: "put",
      path: `${BASE}/{namespace}/values/{key}`,
      tag,
      summary: "Writes a value; the head with If-Match or If-None-Match: *",
      rule: write,
      responses: answer("nothing"),
    },
    async (c) => {
      const key = checkKey(keyIn(c.req.raw));
      const store = storeOf(c, "put", [key]);
      const on = conditionOf(c);
      const pair = await readPair(c, key);
      checkPair(knownNamespace(namespaceIn(c.req.raw)), pair);
      await store.put(pair, on);
      return reply({});
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path: `${BASE}/{namespace}/values/{key}`,
      tag,
      summary: "Deletes a value; of the desired state only what nobody needs",
      rule: write,
      responses: answer("nothing"),
    },
    async (c) => {
      const key = checkKey(keyIn(c.req.raw));
      const left = await storeOf(c, "delete", [key]).delete([key]);
      return left.length === 0 ? reply({}) : refuse(503, CODE.badRequest, "the key could not be deleted");
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: `${BASE}/{namespace}/metadata/{key}`,
      tag,
      summary: "The metadata of a value",
      rule: read,
      responses: answer("the metadata"),
    },
    async (c) => {
      const key = checkKey(keyIn(c.req.raw));
      const found = await storeOf(c, "metadata", [key]).get(key);
      if (found === null) throw notFound("get: 'key not found'");
      return reply(found.metadata);
    },
  );
  addRoute(
    app,
    {
      method: "put",
      path: `${BASE}/{namespace}/bulk`,
      tag,
      summary:
        "Writes many values, 10 MB at most; unsuccessful_keys are to be tried again. With the head among them, and its condition, a commit: all or nothing",
      rule: write,
      responses: answer("counts"),
    },
    async (c) => {
      const body = await readBody(c.req.raw, BULK_BYTES);
      const bytes = body.byteLength;
      const items = check(z.array(BulkPair).max(BULK_PAIRS, "more than 10000 pairs"), parseJson(utf8(body)));
      const pairs = items.map(pairOf);
      const store = storeOf(
        c,
        "bulkPut",
        pairs.map((pair) => pair.key),
      );
      const namespace = knownNamespace(namespaceIn(c.req.raw));
      for (const pair of pairs) checkPair(namespace, pair);
      const on = conditionOf(c);
      if (store instanceof ConfigStore && (on.ifNoneMatch || on.ifMatch !== undefined)) {
        if (bytes > COMMIT_BYTES) throw tooLarge(`a commit has at most ${COMMIT_BYTES} bytes`);
        await store.commit(pairs, on);
        return reply({ successful_key_count: pairs.length, unsuccessful_keys: [] });
      }
      const left = await store.putMany(pairs);
      return reply({ successful_key_count: pairs.length - left.length, unsuccessful_keys: left });
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: `${BASE}/{namespace}/bulk/get`,
      tag,
      summary: "Up to 100 values",
      rule: read,
      responses: answer("values by key"),
    },
    async (c) => {
      const asked = check(BulkGet, parseJson(utf8(await readBody(c.req.raw, BULK_BYTES))));
      for (const key of asked.keys) checkKey(key);
      const found = await storeOf(c, "bulkGet", asked.keys).getMany(asked.keys);
      let bytes = 0;
      for (const { value } of found.values()) bytes += value.byteLength;
      if (bytes > VALUE_BYTES) throw tooLarge("the values are larger than 25 MiB together");
      return reply({ values: Object.fromEntries(asked.keys.map((key) => [key, bulkValue(found.get(key), asked)])) });
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: `${BASE}/{namespace}/bulk/delete`,
      tag,
      summary: "Deletes many keys",
      rule: write,
      responses: answer("counts"),
    },
    bulkDelete,
  );
  addRoute(
    app,
    {
      method: "delete",
      path: `${BASE}/{namespace}/bulk`,
      tag,
      summary: "Deletes many keys (the older spelling)",
      rule: write,
      responses: answer("counts"),
    },
    bulkDelete,
  );
}
