// What a node answers its page is what the Worker describes (OpenAPI): the page's types are made from that alone.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Validator } from "@cfworker/json-schema";
import { deadline, LoneNode, manifest, missing, remove, skipFor, startWorker, temporary, until } from "./fleet.mjs";

const skip = skipFor(missing.filter((each) => !each.includes("npm run build")));
let dir, node, cookie, described;
const tried = new Set();

before(async () => {
  if (skip) return;
  dir = temporary();
  const worker = await startWorker(join(dir, "worker"));
  described = await (await fetch(`${worker.url}/v1/openapi.json`)).json();
  await worker.end();
  node = new LoneNode("alone", dir);
  await node.prepare();
  node.start();
  await node.ready();
  const token = (await node.mcpctl("dashboard", "--no-open")).split("#")[1];
  const signed = await fetch(`${node.admin}/v1/session`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  cookie = signed.headers.get("set-cookie").split(";")[0];
  check("POST", "/v1/session", signed.status, await signed.json());
});
after(async () => {
  if (skip) return;
  await node.end();
  remove(dir);
});

function validate(schema, what, value) {
  const { valid, errors } = new Validator({ ...schema, components: described.components }, "2020-12", false).validate(value);
  assert.ok(valid, `${what}: ${errors.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`).join("; ")} in ${JSON.stringify(value).slice(0, 2000)}`);
}
// `path` as it is described.
function check(method, path, status, body) {
  const operation = described.paths[path]?.[method.toLowerCase()];
  assert.ok(operation, `${method} ${path} is not described`);
  const answer = operation.responses[status] ?? operation.responses.default;
  assert.ok(answer, `${method} ${path}: ${status} is not described`);
  validate(answer.content["application/json"].schema, `${method} ${path} ${status}`, body);
  tried.add(`${method} ${path}`);
}
async function ask(method, path, { of = {}, query = "", body, status = 200 } = {}) {
  const headers = { Cookie: cookie, ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const address = path.replace(/\{(\w+)\}/g, (_, name) => of[name]) + query;
  const response = await fetch(node.admin + address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(response.status, status, `${method} ${address}: ${JSON.stringify(answer)}`);
  check(method, path, status, answer);
  return answer;
}

describe("a node's answers", { skip, concurrency: 1 }, () => {
  test("are the Worker's", { timeout: 2 * deadline }, async () => {
    await ask("GET", "/v1/session");
    await ask("GET", "/v1/whoami");
    const empty = await ask("GET", "/v1/desired");
    assert.equal(empty.result.head, null);
    await ask("GET", "/v1/desired/history");
    const file = join(dir, "one.yaml");
    writeFileSync(file, manifest("one"));
    await node.mcpctl("apply", "-f", file, "-m", "the first");
    await node.mcpctl("wait", "mcp/one", "--for=condition=Ready", "--timeout=60s");

    const { result: desired } = await ask("GET", "/v1/desired");
    const { result: history } = await ask("GET", "/v1/desired/history");
    assert.equal(history[0].snapshot, desired.snapshot);
    const { result: snapshot } = await ask("GET", "/v1/desired/snapshots/{hash}", { of: { hash: desired.snapshot } });
    const { result: rows } = await ask("GET", "/v1/desired/shards/{hash}", { of: { hash: snapshot.shards.find(Boolean) } });
    assert.equal(rows[0].name, "one");
    const { result: object } = await ask("GET", "/v1/desired/objects/{hash}", { of: { hash: rows[0].hash } });
    assert.equal(object.metadata.name, "one");
    await ask("GET", "/v1/desired/objects/{hash}", { of: { hash: "f".repeat(64) }, status: 404 });
    await ask("GET", "/v1/desired/proposals");
    const { result: detail } = await ask("GET", "/v1/servers/{namespace}/{server}", { of: { namespace: "default", server: "one" } });
    assert.equal(detail[0].status.conditions.find(({ type }) => type === "Ready").status, "True");
    const { result: lines } = await ask("GET", "/v1/logs", { query: "?server=one&limit=5" });
    assert.ok(lines.length > 0, "it has said something");
    await ask("GET", "/v1/logs", { query: "?limit=0", status: 400 });

    const bad = { ...object, spec: { ...object.spec, transport: "http" } };
    const { result: found } = await ask("POST", "/v1/validate", { body: { objects: [object, bad] } });
    assert.deepEqual(found.map((each) => each.length), [0, 1]);
    const changed = { ...object, spec: { ...object.spec, args: ["--name", "two"] } };
    const plan = await ask("POST", "/v1/changes", { body: { set: [changed], message: "another", dryRun: true } });
    assert.equal(plan.result.moved, false);
    await ask("POST", "/v1/changes", { body: { set: [changed], message: "another" } });
    await ask("POST", "/v1/changes", { body: { set: [bad], message: "bad" }, status: 400 });
    await ask("POST", "/v1/rollback", { body: { snapshot: desired.snapshot, dryRun: true } });
    await ask("POST", "/v1/rollback", { body: { snapshot: desired.snapshot } });
    const one = { namespace: "default", server: "one" };
    for (const deed of ["restart", "suspend", "resume"]) await ask("POST", `/v1/servers/{namespace}/{server}/${deed}`, { of: one });
    for (const deed of ["cordon", "drain", "uncordon"]) await ask("POST", `/v1/nodes/{node}/${deed}`, { of: { node: "alone" } });
    await ask("GET", "/v1/audit");
    await ask("GET", "/v1/alerts", { query: "?all=true" });
    await ask("POST", "/v1/alerts/acknowledge", { body: { key: "CrashLoop/none" }, status: 404 });
    for (const query of ["?subject=server/&bars=24", "?subject=node/alone", "?subject=server/&mean=true&bars=4"]) {
      const { result: uptimes } = await ask("GET", "/v1/uptime", { query });
      assert.ok(uptimes[0].uptime.knownSeconds >= 0, query);
    }
  });

  test("on its socket, too", { timeout: deadline }, async () => {
    const socket = new WebSocket(`${node.admin.replace("http", "ws")}/v1/watch`, { protocols: ["mcpfleet.v1"], headers: { Cookie: cookie, Origin: node.admin } });
    const heard = new Map();
    socket.addEventListener("message", ({ data }) => {
      if (!data.startsWith("{")) return;
      const message = JSON.parse(data);
      heard.set(message.type, [...(heard.get(message.type) ?? []), message]);
    });
    const come = (type) => until(`a ${type} comes`, () => heard.get(type)?.length > 0);
    await come("hello");
    socket.send(JSON.stringify({ type: "sync" }));
    await come("state");
    socket.send(JSON.stringify({ type: "measure", namespace: "default", server: "one", node: "alone" }));
    await come("usage");
    await ask("POST", "/v1/servers/{namespace}/{server}/suspend", { of: { namespace: "default", server: "one" } });
    await come("delta");
    socket.close();
    const { FeedState, FeedDelta, News } = described.components.schemas;
    for (const each of heard.get("state")) validate(FeedState, "state", each);
    for (const each of heard.get("delta")) validate(FeedDelta, "delta", each);
    for (const each of [...heard.get("hello"), ...heard.get("usage")]) validate(News, each.type, each);
  });

  test("with a deletion, and nothing of what it has is left out", { timeout: deadline }, async () => {
    await ask("DELETE", "/v1/servers/{namespace}/{server}", { of: { namespace: "default", server: "one" } });
    await ask("DELETE", "/v1/session");
    // What a page asks of a Worker alone: enrolment (docs/dashboard.md).
    const others = /^\/(client|-)|^\/$|\/mcp$|openapi|health|\/v1\/(watch|joins|device|down)|^\/v1\/servers$|\{chunk\}|^\/v1\/nodes($|\/\{node\}($|\/(tokens|rotate|revoke|declare)))/;
    const all = Object.entries(described.paths).flatMap(([path, methods]) => (others.test(path) ? [] : Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)));
    assert.deepEqual(all.filter((each) => !tried.has(each)), []);
  });
});
