// The official client against a store that speaks its protocol: every operation that mcpfleet's design needs.
// Run as: node cloudflare_client.mjs <base URL> <token>, with the package `cloudflare` to be found from $CLOUDFLARE_PACKAGE.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [, , baseURL, apiToken] = process.argv;
const require = createRequire(process.env.CLOUDFLARE_PACKAGE);
const { Cloudflare } = require("cloudflare");
const client = new Cloudflare({ baseURL: `${baseURL}/client/v4`, apiToken, maxRetries: 0, timeout: 20000 });
const account_id = "local";
const kv = client.kv.namespaces;
const step = async (name, run) => {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.error(`FAILED ${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
};
const at = (more) => ({ account_id, ...more });
const all = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};

await step("namespaces are listed and shown", async () => {
  const titles = (await all(kv.list(at()))).map((ns) => ns.title).sort();
  assert.deepEqual(titles, ["CONFIG", "DEVICE_TOKENS", "SERVER_STATE"]);
  assert.equal((await kv.get("CONFIG", at())).title, "CONFIG");
});
const ns = "SERVER_STATE";
const in_ns = { namespace_id: ns };
const key = "a/b%2F c?ä";
await step("a value with metadata is put, and both come back", async () => {
  await kv.values.update(key, at({ ...in_ns, value: "hello", metadata: JSON.stringify({ ready: true, n: 3 }) }));
  assert.equal(await (await kv.values.get(key, at(in_ns))).text(), "hello");
  assert.deepEqual(await kv.metadata.get(key, at(in_ns)), { ready: true, n: 3 });
});
await step("a value that expires says when", async () => {
  await kv.values.update("soon", at({ ...in_ns, value: "x", expiration_ttl: 120 }));
  const [found] = (await all(kv.keys.list(ns, at({ prefix: "soon" }))));
  assert.ok(found.expiration > Date.now() / 1000 + 60);
});
await step("bulk put, list over pages, bulk get", async () => {
  const body = Array.from({ length: 25 }, (_, i) => ({ key: `p/${String(i).padStart(2, "0")}`, value: `v${i}`, metadata: { i } }));
  const put = await kv.bulkUpdate(ns, at({ body }));
  assert.equal(put.successful_key_count, 25);
  const keys = await all(kv.keys.list(ns, at({ prefix: "p/", limit: 10 })));
  assert.deepEqual(keys.map((k) => k.name), body.map((pair) => pair.key));
  assert.deepEqual(keys[7].metadata, { i: 7 });
  const got = await kv.bulkGet(ns, at({ keys: ["p/01", "absent"] }));
  assert.deepEqual(got.values, { "p/01": "v1", absent: null });
  const rich = await kv.bulkGet(ns, at({ keys: ["p/02"], withMetadata: true }));
  assert.equal(rich.values["p/02"].value, "v2");
  assert.deepEqual(rich.values["p/02"].metadata, { i: 2 });
});
await step("delete and bulk delete", async () => {
  await kv.values.delete(key, at(in_ns));
  const gone = await kv.bulkDelete(ns, at({ body: ["p/00", "p/01", "absent"] }));
  assert.equal(gone.successful_key_count, 3);
  assert.equal((await all(kv.keys.list(ns, at({ prefix: "p/" })))).length, 23);
});
await step("a missing key and a missing namespace are told apart, a bad token is refused", async () => {
  const code = async (promise) => {
    try {
      await promise;
    } catch (error) {
      return [error.status, error.errors?.[0]?.code];
    }
    return "no error";
  };
  assert.deepEqual(await code(kv.values.get(key, at(in_ns))), [404, 10009]);
  assert.deepEqual(await code(kv.values.get(key, at({ namespace_id: "NOWHERE" }))), [404, 10013]);
  const stranger = new Cloudflare({ baseURL: `${baseURL}/client/v4`, apiToken: "wrong", maxRetries: 0 });
  assert.deepEqual(await code(stranger.kv.namespaces.get("CONFIG", at())), [401, 10000]);
});
console.log("all");
