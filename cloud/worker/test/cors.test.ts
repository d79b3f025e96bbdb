// The dashboard at an origin of its own: that one may, and nobody else.
import { describe, expect, it } from "vitest";
import { makeApp } from "../src/app.js";
import pages from "../src/pages.js";
import { ask, bindings, call, deviceToken, freshAccount, KV, outside, putStatus, statusOf, VIEWER, watch } from "./kit.js";
import { testSettings } from "./settings.js";

freshAccount();

const OURS = testSettings.dashboardOrigin;
const OTHERS = ["https://evil.example", "https://fleet.pages.dev.evil.example", "https://x.fleet.pages.dev", "http://fleet.pages.dev", "https://fleet.pages.dev:8443", "null"];
const CORS = ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Allow-Methods"];
const shown = (response: Response) => CORS.filter((name) => response.headers.has(name));
const preflight = (path: string, origin: string, method = "POST", headers = "content-type") =>
  ask("OPTIONS", path, { as: "", headers: { Origin: origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers } });
const session = async (headers: Record<string, string> = {}) => (await ask("POST", "/v1/session", { as: VIEWER, headers })).headers.get("Set-Cookie")!;

describe("the origin of the settings", () => {
  it("is told that it may ask, with credentials, and what it may send", async () => {
    const response = await preflight("/v1/servers/default/a/restart", OURS, "POST", "Content-Type, Authorization, X-Other, Mcp-Param-City");
    expect(response.status).toBe(204);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(OURS);
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBe("true");
    expect(response.headers.get("Access-Control-Allow-Headers")).toBe("content-type, authorization, mcp-param-city");
    expect(response.headers.get("Access-Control-Allow-Methods")).toContain("DELETE");
    expect(response.headers.get("Vary")).toBe("Origin");
  });
  it("reads answers, refusals too, and makes changes as far as its person may", async () => {
    const Cookie = (await session()).split(";")[0]!;
    const headers = { Origin: OURS, Cookie };
    const who = await ask("GET", "/v1/whoami", { as: "", headers });
    expect([who.status, who.headers.get("Access-Control-Allow-Origin"), who.headers.get("Vary")]).toEqual([200, OURS, "Origin"]);
    const denied = await ask("POST", "/v1/nodes/edge-1/revoke", { as: "", headers });
    expect([denied.status, denied.headers.get("Access-Control-Allow-Origin")]).toEqual([403, OURS]);
    expect(((await denied.json()) as { errors: { message: string }[] }).errors[0]!.message).toBe("Authentication error"); // his role, not his page
    const none = await ask("GET", "/v1/whoami", { as: "", headers: { Origin: OURS } });
    expect([none.status, none.headers.get("Access-Control-Allow-Origin")]).toEqual([401, OURS]);
    expect((await ask("POST", "/v1/nodes/edge-1/revoke", { headers: { Origin: OURS } })).status).toBe(200);
  });
  it("opens the socket", async () => {
    const Cookie = (await session()).split(";")[0]!;
    const person = await watch("", { "Sec-WebSocket-Protocol": "mcpfleet.v1", Origin: OURS, Cookie });
    expect((await person.message("hello")).name).toBe("test viewer");
  });
  it("calls tools, and reads the id of its session", async () => {
    const token = await deviceToken("edge-1");
    await call("PATCH", "/v1/nodes/edge-1", { body: { tunnel: "http://127.0.0.1:9" } });
    await putStatus("edge-1", token, statusOf("edge-1", 1, [{ name: "a" }]));
    outside({}, () => Response.json({ jsonrpc: "2.0", id: 1, result: {} }, { headers: { "Mcp-Session-Id": "1" } }));
    expect((await preflight("/default/a/mcp", OURS, "POST", "mcp-protocol-version,mcp-session-id")).headers.get("Access-Control-Allow-Headers")).toBe("mcp-protocol-version, mcp-session-id");
    const Cookie = (await session()).split(";")[0]!;
    const response = await ask("POST", "/default/a/mcp", { as: "", headers: { Origin: OURS, Cookie, "Content-Type": "application/json" }, body: { jsonrpc: "2.0", id: 1, method: "initialize" } });
    expect([response.status, response.headers.get("Access-Control-Allow-Origin")]).toEqual([200, OURS]);
    expect(response.headers.get("Access-Control-Expose-Headers")).toContain("Mcp-Session-Id");
  });
  it("gets a cookie that works at another site, there alone; at the same site a strict one", async () => {
    expect(await session({ Origin: OURS, "Sec-Fetch-Site": "cross-site" })).toMatch(/; HttpOnly; SameSite=None; Secure; Partitioned$/);
    expect(await session({ Origin: OURS, "Sec-Fetch-Site": "same-site" })).toMatch(/; HttpOnly; SameSite=Strict; Secure$/);
    expect((await ask("DELETE", "/v1/session", { as: "", headers: { Origin: OURS, "Sec-Fetch-Site": "cross-site" } })).headers.get("Set-Cookie")).toContain("Partitioned");
  });
  it("has no business with the KV protocol", async () => {
    expect((await preflight(`${KV}/CONFIG/values/head`, OURS, "PUT")).status).not.toBe(204);
    expect(shown(await ask("GET", `${KV}/CONFIG/values/head`, { headers: { Origin: OURS } }))).toEqual([]);
    expect((await ask("PUT", `${KV}/CONFIG/values/x`, { headers: { Origin: OURS }, body: "1" })).status).toBe(403);
    expect(shown(await ask("GET", "/-/", { as: "", headers: { Origin: OURS } }))).toEqual([]);
  });
});

describe("any other origin", () => {
  it.each(OTHERS)("%s is refused and told nothing", async (origin) => {
    const before = await preflight("/v1/nodes/edge-1/revoke", origin);
    expect([before.status >= 400, shown(before)]).toEqual([true, []]);
    const Cookie = (await session()).split(";")[0]!;
    expect(shown(await ask("GET", "/v1/whoami", { as: "", headers: { Origin: origin, Cookie } }))).toEqual([]);
    expect((await ask("POST", "/v1/session", { as: VIEWER, headers: { Origin: origin } })).status).toBe(403);
    expect((await ask("GET", "/v1/watch", { as: "", headers: { Origin: origin, Cookie, Upgrade: "websocket" } })).status).toBe(403);
    expect(shown(await ask("GET", "/v1/health", { as: "", headers: { Origin: origin } }))).toEqual([]);
  });
  it("is every one where the settings name none", async () => {
    const { dashboardOrigin: _, ...rest } = testSettings;
    const get = (headers: Record<string, string>) => makeApp().request("https://fleet.example.com/v1/health", { headers }, { ...bindings, SETTINGS: JSON.stringify(rest) });
    const response = await get({ Origin: OURS });
    expect([shown(response), response.headers.get("Vary")]).toEqual([[], null]);
  });
});

describe("what Pages runs", () => {
  const html = '<meta name="mcpfleet-worker" content="" /><meta name="csp-nonce" content="__CSP_NONCE__" />';
  const files: Record<string, string> = { "/-/": html, "/-/assets/a-1.js": "1" };
  const ASSETS = { fetch: async (request: Request) => { const body = files[new URL(request.url).pathname]; return body === undefined ? new Response("", { status: 404 }) : new Response(body, { headers: { "Content-Type": "text/html" } }); } };
  const get = (path: string, init: RequestInit = {}) => pages.fetch(new Request(`${OURS}${path}`, init), { ASSETS });
  it("tells the page where the Worker is, and lets it speak to that one only", async () => {
    (globalThis as unknown as { WORKER_ORIGIN: string }).WORKER_ORIGIN = "https://fleet.example.com";
    const page = await get("/-/servers");
    expect(await page.text()).toContain('<meta name="mcpfleet-worker" content="https://fleet.example.com" />');
    const policy = page.headers.get("Content-Security-Policy")!;
    const nonce = /'nonce-([0-9a-f]{32})'/.exec(policy)![1]!;
    expect(policy).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self' https://fleet.example.com wss://fleet.example.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    expect(page.headers.get("X-Frame-Options")).toBe("DENY");
    const file = await get("/-/assets/a-1.js");
    expect([file.status, file.headers.get("Cache-Control"), file.headers.get("X-Content-Type-Options")]).toEqual([200, "public, max-age=31536000, immutable", "nosniff"]);
    expect(file.headers.get("Content-Security-Policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    expect((await get("/")).headers.get("Location")).toBe("/-/");
    expect((await get("/v1/whoami")).status).toBe(404);
    expect((await get("/-/", { method: "POST" })).status).toBe(405);
  });
});
