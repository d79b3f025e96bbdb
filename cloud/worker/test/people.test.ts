// What a browser needs: signing in, the feed, acknowledging, uptime as bars, the files.
import { describe, expect, it } from "vitest";
import { makeApp } from "../src/app.js";
import { differenceOf, type FeedState, stateMessages } from "../src/fleet/feed.js";
import { LOOKS } from "../src/limits.js";
import { meanOf, uptimeBars } from "../src/fleet/uptime.js";
import { alarm, ask, bindings, call, clockAt, deviceToken, freshAccount, FUTURE, OPERATOR, outside, putStatus, statusOf, VIEWER, watch } from "./kit.js";

freshAccount();

describe("a browser's session", () => {
  const cookieIn = (response: Response) => response.headers.get("Set-Cookie")!;
  it("is a cookie for a proven token, which no script and no other site can use", async () => {
    const response = await ask("POST", "/v1/session", { as: VIEWER });
    expect(response.status).toBe(200);
    expect(cookieIn(response)).toMatch(/^mcpfleet-session=[\w-]+\.[\w-]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure$/);
    const headers = { Cookie: cookieIn(response).split(";")[0]! };
    expect((await call("GET", "/v1/whoami", { as: "", headers })).result).toMatchObject({ name: "test viewer", role: "viewer" });
    expect((await call("POST", "/v1/nodes/edge-1/revoke", { as: "", headers })).status).toBe(403);
    expect((await call("GET", "/v1/whoami", { as: "", headers: { ...headers, Cookie: `${headers.Cookie}x` } })).status).toBe(401);
    expect((await ask("POST", "/v1/session", { as: "", headers })).status).toBe(400); // a session makes no session
  });
  it("ends after twelve hours, and is taken away", async () => {
    const clock = clockAt(FUTURE);
    const headers = { Cookie: cookieIn(await ask("POST", "/v1/session")).split(";")[0]! };
    clock.advance(12 * 3_600_000 - 1000);
    expect((await call("GET", "/v1/whoami", { as: "", headers })).status).toBe(200);
    clock.advance(2000);
    expect((await call("GET", "/v1/whoami", { as: "", headers })).status).toBe(401);
    expect(cookieIn(await ask("DELETE", "/v1/session", { as: "" }))).toContain("Max-Age=0");
  });
  it("makes no change for a page of another origin", async () => {
    const headers = { Cookie: cookieIn(await ask("POST", "/v1/session")).split(";")[0]!, Origin: "https://evil.example" };
    expect((await call("POST", "/v1/nodes/edge-1/revoke", { as: "", headers })).status).toBe(403);
  });
});

describe("the feed", () => {
  it("tells what is, then what changes, and after an absence what changed meanwhile", async () => {
    const one = await deviceToken("edge-1");
    const two = await deviceToken("edge-2");
    await putStatus("edge-1", one, statusOf("edge-1", 1, [{ name: "a" }, { name: "b" }]));
    await putStatus("edge-2", two, statusOf("edge-2", 1, [{ name: "c" }]));
    const viewer = await watch(VIEWER);
    viewer.socket.send(JSON.stringify({ type: "sync", since: "" }));
    const state: FeedState = await viewer.message("state");
    expect(state).toMatchObject({ whole: true, last: true, names: ["edge-1", "edge-2"] });
    expect(state.nodes.map(({ node, servers }) => [node.node, servers!.length])).toEqual([["edge-1", 2], ["edge-2", 1]]);
    await putStatus("edge-1", one, statusOf("edge-1", 2, [{ name: "a", ready: "False", reason: "NotReady" }]));
    const delta = await viewer.message("delta");
    expect(delta).toMatchObject({ name: "edge-1", gone: [["default", "b"]], set: [{ name: "a", ready: "False" }] });
    expect(viewer.texts.some((text) => JSON.parse(text).type === "status")).toBe(false);

    const back = await watch(VIEWER);
    back.socket.send(JSON.stringify({ type: "sync", since: state.cursor }));
    const since: FeedState = await back.message("state");
    expect(since).toMatchObject({ whole: false, cursor: delta.cursor });
    expect(since.nodes.map(({ servers }) => servers?.length ?? null)).toEqual([1, null]);
    await call("DELETE", "/v1/nodes/edge-2");
    expect(await back.message("delta")).toMatchObject({ name: "edge-2", node: null, gone: [["default", "c"]] });
  });
  it("tells everything to one whose cursor is of another fleet", () => {
    const row = { node: "n", connected: true, lastSeen: 0, cloned: false, version: "", head: "", runtimes: [], conditions: [], capacity: { cpus: 0, memoryBytes: 0, diskBytes: 0 }, at: 5, servers: [] };
    expect(stateMessages([row], "b", "a.9")).toMatchObject([{ whole: true, cursor: "b.5" }]);
    expect(stateMessages([row], "b", "b.5")).toMatchObject([{ whole: false, nodes: [{ servers: null }] }]);
    expect(stateMessages([], "b", "")).toMatchObject([{ last: true, names: [], nodes: [] }]);
  });
  it("comes in bounded messages", () => {
    const server = { namespace: "d", name: "x", ready: "True" as const, reason: "", message: "", looping: false, pinsViolated: "", restarts: 0, tools: 0, protocol: "", generation: 1, revision: "", endpoint: "" };
    const row = { connected: true, lastSeen: 0, cloned: false, version: "", head: "", runtimes: [], conditions: [], capacity: { cpus: 0, memoryBytes: 0, diskBytes: 0 }, at: 1 };
    const rows = Array.from({ length: 200 }, (_, index) => ({ ...row, node: `n${index}`, servers: Array.from({ length: 50 }, (_, each) => ({ ...server, name: `s${each}` })) }));
    const messages = stateMessages(rows, "b", "");
    expect(messages.flatMap(({ nodes }) => nodes)).toHaveLength(200);
    for (const message of messages) expect(JSON.stringify(message).length).toBeLessThan(1024 * 1024);
    expect(messages.map(({ last }) => last)).toEqual([...Array(messages.length - 1).fill(false), true]);
    expect(differenceOf([server], [server])).toEqual({ set: [], gone: [] });
  });

  it("is told whole so often in a while, whoever asks", async () => {
    clockAt(FUTURE);
    const viewer = await watch(VIEWER);
    for (let i = 0; i <= LOOKS; ++i) viewer.socket.send(JSON.stringify({ type: "sync", since: "" }));
    expect((await viewer.message("error")).message).toContain("sync: more than");
    expect(viewer.texts.filter((text) => text.includes('"state"'))).toHaveLength(LOOKS);
  });
});

describe("alerts", () => {
  it("are acknowledged until they are raised again", async () => {
    const clock = clockAt(FUTURE);
    const token = await deviceToken("edge-1");
    await putStatus("edge-1", token, statusOf("edge-1", 1, []));
    for (let i = 0; i < 5; ++i) {
      clock.advance(31_000);
      await alarm();
    }
    const [alert] = (await call("GET", "/v1/alerts")).result;
    expect(alert).toMatchObject({ kind: "NodeOffline", acknowledged: null });
    expect((await call("POST", "/v1/alerts/acknowledge", { body: { key: alert.key } })).status).toBe(200);
    expect((await call("GET", "/v1/alerts")).result[0]).toMatchObject({ acknowledged: expect.any(Number), acknowledged_by: "test operator" });
    expect((await call("POST", "/v1/alerts/acknowledge", { body: { key: "NodeOffline/none" } })).status).toBe(404);
    expect((await call("GET", "/v1/audit")).result[0]).toMatchObject({ what: "acknowledge", subject: alert.key });
    for (let sequence = 2; sequence < 10; ++sequence) {
      await putStatus("edge-1", token, statusOf("edge-1", sequence, []));
      clock.advance(31_000);
      await alarm();
    }
    expect((await call("GET", "/v1/alerts")).result).toEqual([]);
    for (let i = 0; i < 6; ++i) {
      clock.advance(31_000);
      await alarm();
    }
    const [again, past, ...none] = (await call("GET", "/v1/alerts?all=true")).result;
    expect(again).toMatchObject({ key: alert.key, cleared: null, acknowledged: null });
    expect(again.raised).toBeGreaterThan(alert.raised);
    expect(past).toMatchObject({ key: alert.key, raised: alert.raised, cleared: expect.any(Number), acknowledged_by: "test operator" });
    expect(none).toEqual([]);
  });
});

describe("bars of uptime", () => {
  it("are the ratios of equal parts", () => {
    const bars = uptimeBars([{ at: 25, up: true }, { at: 50, up: false }, { at: 75, up: null }], 0, 100, 4);
    expect(bars).toEqual([null, 1, 0, null]);
  });
  it("of several have a mean, in which what is not known does not count", () => {
    const one = { subject: "x/1", uptime: { upSeconds: 10, knownSeconds: 10, ratio: 1 }, bars: [1, null, null] };
    const two = { subject: "x/2", uptime: { upSeconds: 0, knownSeconds: 30, ratio: 0 }, bars: [0, 0, null] };
    expect(meanOf("x/", [one, two], 3)).toEqual({ subject: "x/", uptime: { upSeconds: 10, knownSeconds: 40, ratio: 0.25 }, bars: [0.5, 0, null] });
    expect(meanOf("x/", [], 1)).toEqual({ subject: "x/", uptime: { upSeconds: 0, knownSeconds: 0, ratio: null }, bars: [null] });
  });
});

describe("the dashboard's files", () => {
  const files: Record<string, string> = { "/index.html": '<meta content="__CSP_NONCE__"><script src="/-/assets/a-1.js">', "/assets/a-1.js": "1" };
  const env = {
    ...bindings,
    ASSETS: { fetch: async (request: Request) => { const body = files[new URL(request.url).pathname]; return body === undefined ? new Response("", { status: 404 }) : new Response(body, { headers: { "Content-Type": "text/plain" } }); } },
  } as unknown as typeof bindings;
  const get = (path: string) => makeApp().request(`https://fleet.example.com${path}`, {}, env);
  it("are given to anybody: the page at every path, with a policy that lets no foreign script run", async () => {
    const nonces = new Set<string>(); // each is good once
    for (const path of ["/-/", "/-/servers/default/weather", "/-/nodes"]) {
      const response = await get(path);
      const policy = response.headers.get("Content-Security-Policy")!;
      const nonce = /'nonce-([0-9a-f]{32})'/.exec(policy)![1]!;
      expect(policy).toBe(
        `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self' ws://fleet.example.com wss://fleet.example.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      );
      expect(nonces.has(nonce)).toBe(false);
      nonces.add(nonce);
      expect(await response.text()).toContain(`content="${nonce}"`);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
    }
    expect((await get("/")).headers.get("Location")).toBe("/-/");
  });
  it("with a hash in their name are kept for ever, others are not there", async () => {
    const file = await get("/-/assets/a-1.js");
    expect([file.status, file.headers.get("Cache-Control")]).toEqual([200, "public, max-age=31536000, immutable"]);
    expect(file.headers.get("Content-Security-Policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    expect((await get("/-/assets/none.js")).status).toBe(404);
    expect((await get("/-/assets/../index.html")).headers.get("Cache-Control")).toBe("no-store");
    expect(OPERATOR).not.toBe("");
  });
});

describe("routed MCP from a browser", () => {
  it("takes the cookie, and leaves the server's own Authorization to the server", async () => {
    const cookie = (await ask("POST", "/v1/session", { as: VIEWER })).headers.get("Set-Cookie")!.split(";")[0]!;
    const token = await deviceToken("edge-1");
    await call("PATCH", "/v1/nodes/edge-1", { body: { tunnel: "http://127.0.0.1:9" } });
    await putStatus("edge-1", token, statusOf("edge-1", 1, [{ name: "a" }]));
    const seen = outside({}, () => Response.json({ jsonrpc: "2.0", id: 1, result: {} }));
    const post = (headers: Record<string, string>) => ask("POST", "/default/a/mcp", { as: "", headers: { "Content-Type": "application/json", ...headers }, body: { jsonrpc: "2.0", id: 1, method: "initialize" } });
    expect((await post({ Cookie: cookie, Authorization: "Bearer of-the-server" })).status).toBe(200);
    const last = seen.requests.at(-1)!;
    expect(last.headers.get("Authorization")).toBe("Bearer of-the-server");
    expect(last.headers.get("Cookie")).toBeNull();
    expect((await post({ Cookie: cookie })).status).toBe(200);
    // Ours is never passed on, and counts before the cookie.
    expect((await post({ Cookie: cookie, Authorization: `Bearer ${OPERATOR}` })).status).toBe(200);
    expect(seen.requests.at(-1)!.headers.get("Authorization")).toBeNull();
    expect((await post({ Cookie: cookie, Authorization: `Bearer ${token}` })).status).toBe(403);
    expect((await post({ Authorization: "Bearer of-the-server" })).status).toBe(401);
  });
});
