import { describe, expect, it } from "vitest";
import {
  ask,
  bindings,
  call,
  CERTS,
  clockAt,
  deviceToken,
  EXPIRED,
  freshAccount,
  FUTURE,
  identity,
  inFleet,
  OPERATOR,
  type Outside,
  outside,
  putStatus,
  statusOf,
  valuePath,
  VIEWER,
} from "./kit.js";
import { sealCookie } from "../src/auth/session.js";
import { sha256Hex } from "../src/schema/hash.js";
import { goesToNode, isModern, isUnreachable, mayTryElsewhere, orderFor } from "../src/route/decide.js";
import { openSession, sealSession } from "../src/route/session_id.js";

freshAccount();

const URL_ = "/default/a/mcp";
const rpc = (method: string, params: object = {}) => ({ jsonrpc: "2.0", id: 1, method, params });
const initialize = rpc("initialize", {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "t", version: "1" },
});
const modern = rpc("tools/list", { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });

// A gateway that answers healthz, and the rest by `answer`.
const gateway = (answer: (request: Request) => Response | Promise<Response>) => (request: Request) =>
  request.url.endsWith("/healthz") ? new Response("ok") : answer(request);
// What was asked of gateways besides healthz.
const asked = (seen: Outside) => seen.requests.filter((request) => !request.url.endsWith("/healthz"));

// Nodes on which default/a is Ready, with tunnels that `answer` stands for.
async function nodes(names: string[]): Promise<void> {
  for (const name of names) {
    await putStatus(name, await deviceToken(name), statusOf(name, 1, [{ name: "a" }]));
    expect((await call("PATCH", `/v1/nodes/${name}`, { body: { tunnel: `${name}.example.com` } })).status).toBe(200);
  }
}
const hostOf = (request: Request) => new URL(request.url).hostname.split(".")[0]!;
const post = (body: object, headers: Record<string, string> = {}, as = OPERATOR) =>
  ask("POST", URL_, {
    as,
    body,
    headers: { Accept: "application/json, text/event-stream", "Content-Type": "application/json", ...headers },
  });

describe("routed MCP", () => {
  it("keeps a session on its node, hides the node's own id, and gives it to nobody else", async () => {
    await nodes(["n1", "n2", "n3"]);
    const seen = outside(
      {},
      gateway((request) =>
        Response.json(
          { jsonrpc: "2.0", id: 1, result: { at: hostOf(request) } },
          { headers: { "Mcp-Session-Id": "upstream-1" } },
        ),
      ),
    );
    const begun = await post(initialize);
    const node = ((await begun.json()) as { result: { at: string } }).result.at;
    const id = begun.headers.get("Mcp-Session-Id")!;
    expect(id).toMatch(/^[\w-]+\.[\w-]{43}$/);
    expect(id).not.toContain("upstream-1");
    for (let i = 0; i < 5; ++i) {
      const answer = (await (await post(rpc("tools/list"), { "Mcp-Session-Id": id })).json()) as {
        result: { at: string };
      };
      expect(answer.result.at).toBe(node);
      expect(asked(seen).at(-1)!.headers.get("Mcp-Session-Id")).toBe("upstream-1");
    }
    // Another caller, another server, another id.
    const gone = { jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null };
    const before = asked(seen).length;
    for (const refused of [
      post(rpc("tools/list"), { "Mcp-Session-Id": id }, VIEWER),
      ask("POST", "/default/b/mcp", { body: modern.params, headers: { "Mcp-Session-Id": id } }),
      post(rpc("x"), { "Mcp-Session-Id": `${id.slice(0, -1)}${id.endsWith("A") ? "B" : "A"}` }),
    ]) {
      const response = await refused;
      expect([response.status, await response.json()]).toEqual([404, gone]);
    }
    expect(asked(seen)).toHaveLength(before);
  });

  it("says 404 for the session of a node that is down or can't be reached", async () => {
    await nodes(["n1"]);
    outside(
      {},
      gateway(() => Response.json({}, { headers: { "Mcp-Session-Id": "u" } })),
    );
    const id = (await post(initialize)).headers.get("Mcp-Session-Id")!;
    const lost = () => Promise.reject(new TypeError("Network connection lost")) as never;
    outside({}, lost);
    expect((await post(rpc("tools/list"), { "Mcp-Session-Id": id })).status).toBe(404);
    outside({}, () => new Response("error code: 1033", { status: 530 }));
    expect((await post(rpc("tools/list"), { "Mcp-Session-Id": id })).status).toBe(404);
    outside({}, gateway(lost)); // it is there, and may have begun the request
    expect((await post(rpc("tools/call"), { "Mcp-Session-Id": id })).status).toBe(502);
    await inFleet(
      (_, state) =>
        void state.storage.sql.exec(
          "INSERT INTO notes(key,value) VALUES('down',?)",
          JSON.stringify({ list: { sequence: 1, nodes: ["n1"], frozen: false }, steady: {}, never: [], sweptAt: 0 }),
        ),
    );
    const seen = outside({}, () => Response.json({}));
    expect((await post(rpc("tools/list"), { "Mcp-Session-Id": id })).status).toBe(404);
    expect((await post(initialize)).status).toBe(503);
    expect(seen.requests).toHaveLength(0);
  });

  it("gives a request to another node when the first can't be reached, and not after one has answered", async () => {
    await nodes(["n1", "n2", "n3"]);
    const tried: string[] = [];
    outside({}, (request) => {
      if (request.url.endsWith("/healthz")) tried.push(hostOf(request));
      if (tried.length === 1) throw new TypeError("Network connection lost");
      return tried.length === 2 ? new Response("error code: 1033", { status: 530 }) : Response.json({ ok: true });
    });
    const answer = await post(modern);
    expect([answer.status, new Set(tried).size, answer.headers.get("Mcpfleet-Node")]).toEqual([200, 3, tried[2]]);
    for (const status of [400, 404, 500, 502, 503]) {
      const once = outside(
        {},
        gateway(() => new Response("no", { status })),
      );
      expect((await post(modern)).status).toBe(status);
      expect(asked(once)).toHaveLength(1);
    }
    // The tunnel lost its connector just now: 530 comes from in front of it.
    let first = "";
    outside(
      {},
      gateway((request) =>
        (first ||= hostOf(request)) === hostOf(request) ? new Response("", { status: 530 }) : Response.json({}),
      ),
    );
    expect((await post(modern)).headers.get("Mcpfleet-Node")).not.toBe(first);
  });

  it("does not repeat a request that a node may have begun", async () => {
    await nodes(["n1", "n2"]);
    const seen = outside(
      {},
      gateway(() => Promise.reject(new TypeError("Network connection lost")) as never),
    );
    const answer = await post(modern);
    expect([answer.status, asked(seen).length]).toEqual([502, 1]);
  });

  it("looks whether a node is there once in ten seconds, not for each request", async () => {
    const clock = clockAt(FUTURE);
    await nodes(["n1"]);
    const seen = outside(
      {},
      gateway(() => Response.json({})),
    );
    const looks = () => seen.requests.length - asked(seen).length;
    for (let i = 0; i < 5; ++i) await post(modern);
    expect(looks()).toBe(1);
    clock.advance(10_000);
    await post(modern);
    expect(looks()).toBe(2);
  });

  it("passes a stream on as it comes", async () => {
    await nodes(["n1"]);
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const writer = pipe.writable.getWriter();
    outside(
      {},
      gateway(
        () =>
          new Response(pipe.readable, {
            headers: {
              "Content-Type": "text/event-stream",
              "X-Accel-Buffering": "no",
              "Set-Cookie": "a=b",
              Server: "x",
            },
          }),
      ),
    );
    const answer = await post(modern);
    expect([
      answer.headers.get("Content-Type"),
      answer.headers.get("X-Accel-Buffering"),
      answer.headers.get("Set-Cookie"),
      answer.headers.get("Server"),
    ]).toEqual(["text/event-stream", "no", null, null]);
    const reader = answer.body!.getReader();
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      void writer.write(new TextEncoder().encode(event));
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(event);
    }
    void writer.close();
    expect((await reader.read()).done).toBe(true);
  });

  it("gives a node the client's own credential for its server, but never ours, nor cookies", async () => {
    await nodes(["n1"]);
    const keys = await identity("k1");
    const seen = outside(
      { [CERTS]: [keys.jwk] },
      gateway(() => Response.json({})),
    );
    await post(modern, { Cookie: "CF_Authorization=x", "X-Other": "1", "Mcp-Method": "tools/list" });
    const ours = asked(seen).at(-1)!.headers;
    expect([ours.get("Authorization"), ours.get("Cookie"), ours.get("X-Other"), ours.get("Mcp-Method")]).toEqual([
      null,
      null,
      null,
      "tools/list",
    ]);
    const assertion = await keys.assertion({ email: "someone@example.com" });
    await ask("POST", URL_, {
      as: "of-the-server-behind",
      body: modern,
      headers: { "Cf-Access-Jwt-Assertion": assertion },
    });
    const theirs = asked(seen).at(-1)!.headers;
    expect([theirs.get("Authorization"), theirs.get("Cf-Access-Jwt-Assertion")]).toEqual([
      "Bearer of-the-server-behind",
      null,
    ]);
  });

  it("keeps every token of ours from a node, also one that comes beside the credential that counts", async () => {
    await nodes(["n1"]);
    const own = "a token that mcpctl made".replaceAll(" ", "-");
    await call("PUT", valuePath("DEVICE_TOKENS", `tokens/${sha256Hex(own)}`), { body: { node: "n2" } });
    const revoked = await deviceToken("n3");
    await call("POST", "/v1/nodes/n3/revoke");
    const keys = await identity("k1");
    const seen = outside(
      { [CERTS]: [keys.jwk] },
      gateway(() => Response.json({})),
    );
    const assertion = await keys.assertion({ email: "someone@example.com" });
    const forwarded = async (authorization: string) => {
      const answer = await ask("POST", URL_, { as: "", body: modern, headers: { "Cf-Access-Jwt-Assertion": assertion, Authorization: authorization } });
      expect(answer.status).toBe(200);
      return asked(seen).at(-1)!.headers.get("Authorization");
    };
    for (const token of [OPERATOR, VIEWER, EXPIRED, await deviceToken("n2"), own, revoked])
      for (const scheme of ["Bearer ", "bearer  ", "Token ", ""]) expect([token, await forwarded(scheme + token)]).toEqual([token, null]);
    for (const theirs of ["Bearer of-the-server-behind", "Basic dTpw"]) expect(await forwarded(theirs)).toBe(theirs);
  });

  it("asks a node nothing from the moment on that it is revoked, also in a session", async () => {
    await nodes(["n1"]);
    const seen = outside(
      {},
      gateway(() => Response.json({}, { headers: { "Mcp-Session-Id": "u" } })),
    );
    const id = (await post(initialize)).headers.get("Mcp-Session-Id")!;
    expect((await post(rpc("tools/list"), { "Mcp-Session-Id": id })).status).toBe(200);
    await call("POST", "/v1/nodes/n1/revoke");
    const before = seen.requests.length;
    expect((await post(rpc("tools/list"), { "Mcp-Session-Id": id })).status).toBe(404);
    expect((await post(modern)).status).toBe(503);
    expect(seen.requests).toHaveLength(before);
    await deviceToken("n1"); // it is let in anew
    expect((await post(modern)).status).toBe(200);
  });

  it("asks nothing of a node whose token has expired", async () => {
    const clock = clockAt(FUTURE);
    await nodes(["n1"]);
    outside(
      {},
      gateway(() => Response.json({})),
    );
    clock.advance(364 * 86_400_000);
    expect((await post(modern)).status).toBe(200);
    clock.advance(86_400_000);
    expect((await post(modern)).status).toBe(503);
  });

  it("lets a viewer of the fleet see what a server has, and call nothing", async () => {
    await nodes(["n1"]);
    const keys = await identity("k1");
    const seen = outside(
      { [CERTS]: [keys.jwk] },
      gateway(() => Response.json({})),
    );
    const as = async (email: string, more = {}) => ({ "Cf-Access-Jwt-Assertion": await keys.assertion({ email }), ...more });
    const sent = () => asked(seen).filter((request) => request.url.endsWith("/mcp"));
    const session = { Cookie: `mcpfleet-session=${sealCookie(bindings.SESSION_KEY!, sha256Hex(VIEWER), Date.now())}` };
    const page = { Origin: "https://fleet.example.com" };
    const call_ = rpc("tools/call", { name: "delete_everything" });
    const status = async (body: object, headers: Record<string, string>) => (await ask("POST", URL_, { as: "", body, headers })).status;
    const viewer = { Authorization: `Bearer ${VIEWER}` };
    for (const headers of [viewer, session, await as("eye@example.com", page)]) {
      const before = sent().length;
      for (const refused of [call_, rpc("tasks/cancel"), [rpc("tools/list"), call_], { ...call_, method: 7 }]) expect([refused, await status(refused, headers)]).toEqual([refused, 403]);
      expect(sent()).toHaveLength(before);
      for (const taken of [initialize, rpc("tools/list"), rpc("notifications/initialized"), { jsonrpc: "2.0", id: 1, result: {} }]) expect(await status(taken, headers)).toBe(200);
    }
    // One reading of a message that has two.
    const twice = JSON.stringify(call_).replace("{", '{"method":"tools/list",');
    expect((await ask("POST", URL_, { as: VIEWER, body: twice })).status).toBe(403);
    const other = `{"method":"tools/call",${JSON.stringify(rpc("tools/list")).slice(1)}`;
    expect((await ask("POST", URL_, { as: VIEWER, body: other })).status).toBe(200);
    expect(await asked(seen).at(-1)!.text()).not.toContain("tools/call");
    // Who comes with an identity and no page of ours is a client: the server's auth says what it may.
    for (const headers of [await as("eye@example.com"), await as("someone@example.com"), await as("ops@example.com", page), { Authorization: `Bearer ${OPERATOR}` }])
      expect(await status(call_, headers)).toBe(200);
  });

  it("ignores a session id of the stateless era, and gives none back", async () => {
    await nodes(["n1"]);
    const seen = outside(
      {},
      gateway(() => Response.json({}, { headers: { "Mcp-Session-Id": "u" } })),
    );
    const answer = await post(modern, { "Mcp-Session-Id": "anything" });
    expect([
      answer.status,
      answer.headers.get("Mcp-Session-Id"),
      asked(seen)[0]!.headers.get("Mcp-Session-Id"),
    ]).toEqual([200, null, null]);
  });

  it("refuses what is too large, empty or no JSON before any node sees it", async () => {
    await nodes(["n1"]);
    const seen = outside({}, () => Response.json({}));
    expect((await ask("POST", URL_, { body: " ".repeat(4 * 1024 * 1024 + 1) })).status).toBe(413);
    expect((await ask("POST", URL_, { body: "" })).status).toBe(400);
    expect((await ask("POST", URL_, { body: "{" })).status).toBe(400);
    expect((await ask("POST", "/Default/a/mcp", { body: "{}" })).status).toBe(400);
    expect(seen.requests).toHaveLength(0);
  });

  it("goes to a node only while the server is Ready there", async () => {
    const token = await deviceToken("n1");
    await putStatus("n1", token, statusOf("n1", 1, [{ name: "a", ready: "False" }]));
    await call("PATCH", "/v1/nodes/n1", { body: { tunnel: "n1.example.com" } });
    outside({}, () => Response.json({}));
    expect((await post(modern)).status).toBe(503);
    await putStatus("n1", token, statusOf("n1", 2, [{ name: "a" }]));
    expect((await post(modern)).status).toBe(200);
    await call("PATCH", "/v1/nodes/n1", { body: { tunnel: null } });
    expect((await post(modern)).status).toBe(503);
  });
});

describe("decisions of the router", () => {
  it("spread callers over nodes, and move only those whose node went", () => {
    const all = ["a", "b", "c", "d"].map((node) => ({ node }));
    const first = (left: { node: string }[]) =>
      Array.from({ length: 400 }, (_, i) => orderFor(`caller ${i}`, "s", left)[0]!.node);
    const before = first(all);
    const after = first(all.slice(1));
    for (const node of ["a", "b", "c", "d"]) expect(before.filter((each) => each === node).length).toBeGreaterThan(60);
    expect(before.every((node, i) => node === "a" || after[i] === node)).toBe(true);
  });
  it("tell the eras apart by header or message, never by a session id", () => {
    expect([
      isModern("2026-07-28", null),
      isModern("2025-11-25", rpc("x")),
      isModern(undefined, modern),
      isModern(undefined, null),
      isModern("zzz", []),
    ]).toEqual([true, false, true, false, false]);
  });
  it("allow another try only when no byte can have arrived", () => {
    expect([200, 404, 500, 502, 503, 504, 530].map((status) => mayTryElsewhere({ status }))).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
    expect(mayTryElsewhere({ error: "x" })).toBe(false);
    expect([200, 401, 404, 503, 502, 504, 530].map((status) => isUnreachable({ status }))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(isUnreachable({ error: "x" })).toBe(true);
  });
  it("let no header through that is not the protocol's", () => {
    expect(
      [
        "Accept",
        "Mcp-Param-City",
        "Last-Event-ID",
        "Cookie",
        "Cf-Access-Jwt-Assertion",
        "Origin",
        "Host",
        "Mcp-Session-Id",
      ].map(goesToNode),
    ).toEqual([true, true, true, false, false, false, false, false]);
  });
  it("open a session only with its key, server and caller", () => {
    const id = sealSession("k".repeat(32), "default/a", "token ops", { node: "n1", upstream: "u" });
    expect(openSession("k".repeat(32), "default/a", "token ops", id)).toEqual({ node: "n1", upstream: "u" });
    for (const [key, server, caller, given] of [
      ["l".repeat(32), "default/a", "token ops", id],
      ["k".repeat(32), "default/b", "token ops", id],
      ["k".repeat(32), "default/a", "token eve", id],
      ["k".repeat(32), "default/a", "token ops", `${id}.x`],
      ["k".repeat(32), "default/a", "token ops", ""],
    ] as const) {
      expect(openSession(key, server, caller, given)).toBeUndefined();
    }
  });
});
