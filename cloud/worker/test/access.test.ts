import { beforeEach, describe, expect, it } from "vitest";
import { makeApp } from "../src/app.js";
import { forgetDevices } from "../src/auth/device.js";
import { sealCookie } from "../src/auth/session.js";
import { sha256Hex } from "../src/schema/hash.js";
import { requestOf, type Row } from "./access_rows.js";
import { TABLE } from "./access_table.js";
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
  type Identity,
  identity,
  listen,
  OPERATOR,
  outside,
  VIEWER,
} from "./kit.js";

freshAccount();
const YEAR = 366 * 86_400_000;
const ROUTE_KEYS = "https://login.example.com/jwks.json";

interface Credential {
  name: string;
  column: "D" | "O" | "I" | "V" | "P" | "wrong";
  headers: Record<string, string>;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const access = (assertion: string) => ({ "Cf-Access-Jwt-Assertion": assertion });

const browser = (token: string) => ({
  Cookie: `other=1; mcpfleet-session=${sealCookie(bindings.SESSION_KEY!, sha256Hex(token), Date.now())}`,
});

// Made once: keys of RSA take a while.
const identities = Promise.all([identity("k1"), identity("k1"), identity("r1")]);

// Every kind of credential there is. Operators come last: what they do may end the others'.
async function credentials(client: boolean): Promise<Credential[]> {
  const clock = clockAt(new Date(Date.parse(FUTURE) - YEAR).toISOString());
  const expired = await deviceToken("edge-1");
  clock.advance(YEAR);
  const revoked = await deviceToken("edge-3");
  await call("POST", "/v1/nodes/edge-3/revoke");
  const own = await deviceToken("edge-1");
  const other = await deviceToken("edge-2");
  const [good, foreign, issuer] = await identities;
  outside({ [CERTS]: [good.jwk], [ROUTE_KEYS]: [issuer.jwk] });
  const eye = { email: "eye@example.com" };
  const route = { issuer: "https://login.example.com", audience: "mcp" };
  const made: [string, Credential["column"], Record<string, string>][] = [
    ["none", "wrong", {}],
    ["an unknown token", "wrong", bearer("x".repeat(43))],
    ["no scheme", "wrong", { Authorization: OPERATOR }],
    ["a browser's session that nobody made", "wrong", { Cookie: "mcpfleet-session=e30.e30" }],
    ["a browser's session of an expired token", "wrong", browser(EXPIRED)],
    ["another scheme", "wrong", { Authorization: `Basic ${btoa(`operator:${OPERATOR}`)}` }],
    ["an expired API token", "wrong", bearer(EXPIRED)],
    ["an expired device token", "wrong", bearer(expired)],
    ["a revoked device token", "wrong", bearer(revoked)],
    [
      "Access, other audience",
      "wrong",
      access(await good.assertion({ email: "ops@example.com" }, { audience: "other" })),
    ],
    [
      "Access, other issuer",
      "wrong",
      access(await good.assertion({ email: "ops@example.com" }, { issuer: "https://other.cloudflareaccess.com" })),
    ],
    [
      "Access, expired",
      "wrong",
      access(await good.assertion({ email: "ops@example.com" }, { expires: Math.floor(Date.now() / 1000) - 60 })),
    ],
    ["Access, foreign key", "wrong", access(await foreign.assertion({ email: "ops@example.com" }))],
    ["Access, nobody's name", "wrong", access(await good.assertion({}))],
    ["Access, no JWT", "wrong", access("x.y.z")],
    ["the device's own token", "D", bearer(own)],
    ["another device's token", "O", bearer(other)],
    ["Access without a role", "I", access(await good.assertion({ email: "someone@example.com", groups: ["all"] }))],
    ["a service token without a role", "I", access(await good.assertion({ common_name: "unknown.access" }))],
    // This one is good for routed MCP only; elsewhere it is no credential.
    ["a JWT of another issuer", client ? "I" : "wrong", bearer(await issuer.assertion({ sub: "s" }, route))],
    ["Access viewer by e-mail", "V", access(await good.assertion(eye))],
    [
      "Access viewer by group",
      "V",
      access(await good.assertion({ email: "someone@example.com", custom: { groups: ["fleet-viewers"] } })),
    ],
    ["viewer token", "V", bearer(VIEWER)],
    ["a viewer's browser", "V", browser(VIEWER)],
    ["Access operator by e-mail", "P", access(await good.assertion({ email: "OPS@example.com" }))],
    [
      "Access operator by group",
      "P",
      access(await good.assertion({ email: "someone@example.com", groups: ["fleet-operators"] })),
    ],
    ["Access operator by service token", "P", access(await good.assertion({ common_name: "ci.access" }))],
    ["an operator's browser", "P", browser(OPERATOR)],
    ["operator token", "P", bearer(OPERATOR)],
  ];
  forgetDevices();
  return made.map(([name, column, headers]) => ({ name, column, headers }));
}

function expected(row: Row, column: Credential["column"]): "allowed" | 401 | 403 {
  if (row[2].includes("A")) return "allowed";
  if (column === "wrong") return 401;
  return row[2].includes(column) ? "allowed" : 403;
}

describe("who may do what", () => {
  it("is said of every route", () => {
    const registered = makeApp()
      .routes.filter((route) => route.method !== "ALL")
      .map((route) => `${route.method} ${route.path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect([...new Set(TABLE.map(([route]) => route))].sort()).toEqual([...new Set(registered)].sort());
  });

  it.each(TABLE)("%s %j: %s", { timeout: 60_000 }, async (...row) => {
    const { method, path, headers, body } = requestOf(row);
    const wrong: string[] = [];
    for (const credential of await credentials(row[2].includes("I"))) {
      const response = await ask(method, path, {
        as: "",
        headers: { ...headers, ...credential.headers },
        ...(body === undefined ? {} : { body }),
      });
      if (response.webSocket) listen(response.webSocket);
      await response.arrayBuffer();
      const got = response.status === 401 || response.status === 403 ? response.status : "allowed";
      const want = expected(row, credential.column);
      if (got !== want) wrong.push(`${credential.name}: ${got} (${response.status}), not ${want}`);
    }
    expect(wrong).toEqual([]);
  });

  it("is told to nobody without credentials, not even what there is", async () => {
    for (const path of ["/x", "/v2", "/v1/nodes/x/y/z", "/client/v4/accounts"])
      expect((await ask("GET", path, { as: "" })).status).toBe(401);
    expect((await ask("POST", "/v1/nodes", { as: OPERATOR })).status).toBe(405);
    expect((await ask("GET", "/v2", { as: OPERATOR })).status).toBe(404);
  });
});

describe("Cloudflare Access", () => {
  let keys: Identity;
  beforeEach(async () => {
    keys = await identity("k1");
  });
  const whoami = async (assertion: string) => call("GET", "/v1/whoami", { as: "", headers: access(assertion) });

  it("asks for the keys once, again when a key is new, and takes both while they rotate", async () => {
    const clock = clockAt(FUTURE);
    const published = [keys.jwk];
    const seen = outside({ [CERTS]: published });
    for (let i = 0; i < 5; ++i)
      expect((await whoami(await keys.assertion({ email: "eye@example.com" }))).result).toEqual({
        kind: "person",
        name: "eye@example.com",
        role: "viewer",
        via: "access",
      });
    expect(seen.requests).toHaveLength(1);
    const next = await identity("k2");
    published.push(next.jwk);
    expect((await whoami(await next.assertion({ email: "eye@example.com" }))).status).toBe(401); // asked a moment ago
    clock.advance(31_000);
    expect((await whoami(await next.assertion({ email: "eye@example.com" }))).status).toBe(200);
    expect((await whoami(await keys.assertion({ email: "eye@example.com" }))).status).toBe(200);
    expect(seen.requests).toHaveLength(2);
    published.shift();
    clock.advance(601_000);
    expect((await whoami(await keys.assertion({ email: "eye@example.com" }))).status).toBe(401);
  });

  it("lets nobody in while the keys can't be had", async () => {
    for (const answer of [
      () => Promise.reject(new TypeError("Network connection lost")),
      () => new Response("<html>", { status: 200 }),
      () => new Response("", { status: 500 }),
    ]) {
      outside({}, answer as () => Response);
      const { status } = await whoami(await keys.assertion({ email: "ops@example.com" }));
      expect([401, 503]).toContain(status);
    }
  });

  it("can't be passed by an algorithm without a key", async () => {
    outside({ [CERTS]: [keys.jwk] });
    const part = (json: object) =>
      btoa(JSON.stringify(json)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
    const claims = part({
      iss: "https://team.cloudflareaccess.com",
      aud: "aud-of-the-tests",
      exp: 4e9,
      email: "ops@example.com",
    });
    for (const token of [
      `${part({ alg: "none" })}.${claims}.`,
      `${part({ alg: "HS256", kid: "k1" })}.${claims}.${part({})}`,
    ])
      expect((await whoami(token)).status).toBe(401);
  });
});

describe("a browser", () => {
  it("makes no change for a page of another origin, and gets no CORS", async () => {
    const keys = await identity("k1");
    outside({ [CERTS]: [keys.jwk] });
    const headers = { ...access(await keys.assertion({ email: "ops@example.com" })), Origin: "https://evil.example" };
    expect((await ask("POST", "/v1/nodes/edge-1/revoke", { as: "", headers })).status).toBe(403);
    expect(
      (
        await ask("POST", "/v1/nodes/edge-1/revoke", {
          as: "",
          headers: { ...headers, Origin: "https://fleet.example.com" },
        })
      ).status,
    ).toBe(200);
    const read = await ask("GET", "/v1/nodes", { as: "", headers });
    expect(read.headers.get("Access-Control-Allow-Origin")).toBeNull();
    expect(
      (await ask("OPTIONS", "/v1/nodes", { as: OPERATOR, headers: { Origin: "https://evil.example" } })).headers.get(
        "Access-Control-Allow-Origin",
      ),
    ).toBeNull();
  });

  it("is told not to frame, sniff, store or refer", async () => {
    for (const path of ["/v1/health", "/v1/nodes", "/v2"]) {
      const { headers } = await ask("GET", path);
      expect(
        Object.fromEntries(
          [
            "X-Content-Type-Options",
            "X-Frame-Options",
            "Referrer-Policy",
            "Content-Security-Policy",
            "Cache-Control",
          ].map((name) => [name, headers.get(name)]),
        ),
      ).toEqual({
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
      });
    }
  });
});

describe("rate limits", () => {
  it("hold by address before and by identity after authentication", async () => {
    const keys: string[] = [];
    const limiter = (refuse: (key: string) => boolean) => ({
      limit: async ({ key }: { key: string }) => (keys.push(key), { success: !refuse(key) }),
    });
    const env = {
      ...bindings,
      RATE_ADDRESS: limiter((key) => key === "192.0.2.9"),
      RATE_IDENTITY: limiter((key) => key === "test viewer"),
    } as typeof bindings;
    const request = (headers: Record<string, string>) =>
      makeApp().request("https://fleet.example.com/v1/nodes", { headers }, env);
    const limited = await request({ ...bearer(OPERATOR), "CF-Connecting-IP": "192.0.2.9" });
    expect([limited.status, limited.headers.get("Retry-After")]).toEqual([429, "60"]);
    expect((await request({ ...bearer(VIEWER), "CF-Connecting-IP": "192.0.2.1" })).status).toBe(429);
    expect((await request({ ...bearer(OPERATOR), "CF-Connecting-IP": "192.0.2.1" })).status).toBe(200);
    expect((await request({ ...bearer("wrong"), "CF-Connecting-IP": "192.0.2.1" })).status).toBe(401);
    expect(keys).toEqual(["192.0.2.9", "192.0.2.1", "test viewer", "192.0.2.1", "test operator", "192.0.2.1"]);
  });
});
