// Routed MCP through real workerd to real HTTP servers on loopback that stand for the gateways behind tunnels.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { start, value } from "./server.mjs";

let dir;
let server;
const gateways = [];
before(async () => {
  dir = mkdtempSync(join(tmpdir(), "mcpfleet-route-"));
  server = await start(dir);
});
after(async () => {
  for (const { http } of gateways) {
    http.closeAllConnections();
    http.close();
  }
  await server.end();
  rmSync(dir, { recursive: true });
});

// A node on which `name` is Ready, whose gateway is `answer`.
async function node(id, name, answer) {
  const requests = [];
  const http = createServer(async (request, response) => {
    if (request.url.endsWith("/healthz")) return response.end("ok");
    let body = "";
    for await (const piece of request) body += piece;
    requests.push({ method: request.method, url: request.url, headers: request.headers, body });
    answer(request, response, body);
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  gateways.push({ http });
  const tunnel = `http://127.0.0.1:${http.address().port}`;
  const { token } = await server.call("POST", `/v1/nodes/${id}/tokens`);
  const ready = { type: "Ready", status: "True", reason: "Ready", message: "" };
  const status = { node: id, sequence: 1, bootId: "b", servers: [{ namespace: "default", name, conditions: [ready] }] };
  await server.call("PUT", value("SERVER_STATE", `nodes/${id}`), { token, body: status });
  await server.call("PATCH", `/v1/nodes/${id}`, { body: { tunnel } });
  return { requests, http, close: () => new Promise((resolve) => (http.closeAllConnections(), http.close(resolve))) };
}

const json = (id) => (_, response) => {
  response.writeHead(200, { "Content-Type": "application/json", "Mcp-Session-Id": `session-of-${id}` });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { node: id } }));
};
const message = (method) => ({ jsonrpc: "2.0", id: 1, method, params: {} });
const post = (name, body, headers = {}) =>
  server.request("POST", `/default/${name}/mcp`, {
    body,
    headers: { Accept: "application/json, text/event-stream", "Content-Type": "application/json", ...headers },
  });

test("a session stays on its node, and is gone when its node is", async () => {
  const nodes = { n1: await node("n1", "sticky", json("n1")), n2: await node("n2", "sticky", json("n2")) };
  const begun = await post("sticky", message("initialize"));
  const { result } = await begun.json();
  const session = begun.headers.get("Mcp-Session-Id");
  for (let i = 0; i < 10; ++i)
    assert.equal(
      (await (await post("sticky", message("tools/list"), { "Mcp-Session-Id": session })).json()).result.node,
      result.node,
    );
  assert.equal(nodes[result.node].requests.at(-1).headers["mcp-session-id"], `session-of-${result.node}`);
  assert.equal(nodes[result.node].requests.at(-1).url, "/default/sticky/mcp");
  assert.equal(nodes[result.node].requests.at(-1).headers.authorization, undefined);
  const other = result.node === "n1" ? "n2" : "n1";
  assert.equal(nodes[other].requests.length, 0);
  await nodes[result.node].close();
  const gone = await post("sticky", message("tools/list"), { "Mcp-Session-Id": session });
  assert.deepEqual([gone.status, (await gone.json()).error], [404, { code: -32001, message: "Session not found" }]);
  // A new session finds the other node though this one still counts as Ready: nothing listens there, no byte arrived.
  const again = await post("sticky", message("initialize"));
  assert.deepEqual([again.status, (await again.json()).result], [200, { node: other }]);
  await nodes[other].close();
  // It was there a moment ago and got the request; from then on it is known not to be.
  assert.equal((await post("sticky", message("initialize"))).status, 502);
  assert.equal((await post("sticky", message("initialize"))).status, 503);
});

test("a request that a node has read is not given to another", async () => {
  const nodes = [];
  const drop = (_, response) => response.socket.destroy();
  nodes.push(await node("n3", "once", drop), await node("n4", "once", drop));
  const answer = await post("once", message("tools/call"));
  assert.equal(answer.status, 502);
  assert.equal(nodes[0].requests.length + nodes[1].requests.length, 1);
});

test("events come as the node sends them, and the node hears when the client goes", async () => {
  let stream;
  let hear;
  const closed = new Promise((resolve) => (hear = resolve));
  await node("n5", "events", (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    stream = response;
    response.on("close", () => hear("closed"));
    response.write("data: 1\n\n");
  });
  const answer = await post("events", message("tools/call"));
  const reader = answer.body.getReader();
  const read = async () => Buffer.from((await reader.read()).value).toString();
  assert.equal(await read(), "data: 1\n\n");
  stream.write("data: 2\n\n");
  assert.equal(await read(), "data: 2\n\n");
  await reader.cancel();
  // It shows with what the node writes next.
  const writing = setInterval(() => stream.write(": keep-alive\n\n"), 20);
  assert.equal(await closed, "closed");
  clearInterval(writing);
});
