// From the credentials of a request to a caller.
import { type Env, settingsOf } from "../env.js";
import { unauthenticated } from "../http/envelope.js";
import { equalsInConstantTime, sha256Hex } from "../schema/hash.js";
import { accessCaller, verify } from "./access.js";
import type { Caller, Rule } from "./caller.js";
import { areDevices, deviceOf } from "./device.js";
import { cookieOf, openCookie, sessionsWork } from "./session.js";

// As tokens.ts makes them.
const DEVICE_PREFIX = "mcp1_";

export const ASSERTION = "Cf-Access-Jwt-Assertion";

export function bearerOf(request: Request): string | undefined {
  const match = /^bearer +(\S{1,4096})$/i.exec(request.headers.get("Authorization") ?? "");
  return match?.[1];
}

function tokenCaller(hash: string, env: Env): Caller | undefined {
  let found: Caller | undefined;
  // All of them are compared: time tells nothing of which one matched.
  for (const token of settingsOf(env).tokens) {
    const expires = token.expires === undefined ? undefined : Date.parse(token.expires);
    if (!equalsInConstantTime(token.sha256, hash) || (expires !== undefined && expires <= Date.now())) continue;
    found = {
      kind: "person",
      role: token.role,
      name: token.name,
      via: "token",
      ...(expires === undefined ? {} : { expires }),
    };
  }
  return found;
}

const isOurs = (bearer: string, env: Env): boolean =>
  bearer.startsWith(DEVICE_PREFIX) || tokenCaller(sha256Hex(bearer), env) !== undefined;

// Who a browser's cookie stands for. It lives no longer than its token.
function cookieCaller(request: Request, env: Env): Caller | undefined {
  const cookie = cookieOf(request);
  if (cookie === undefined || !sessionsWork(env.SESSION_KEY)) return undefined;
  const session = openCookie(env.SESSION_KEY, cookie, Date.now());
  const caller = session === undefined ? undefined : tokenCaller(session.hash, env);
  if (session === undefined || caller?.kind !== "person") return undefined;
  return { ...caller, via: "session", expires: Math.min(session.expires, caller.expires ?? session.expires) };
}

// Throws a Refusal (401) when there are no credentials or wrong ones. A bearer token counts before an Access identity:
// a node may come through an Access application as well.
export async function authenticate(request: Request, env: Env, rule: Rule): Promise<Caller> {
  const bearer = bearerOf(request);
  const assertion = request.headers.get(ASSERTION);
  // A credential of ours that was sent on purpose counts before the cookie, which a browser sends whatever page asks. At
  // routed MCP another bearer token belongs to the server behind.
  if (assertion === null && (bearer === undefined || (rule.client === true && !isOurs(bearer, env)))) {
    const session = cookieCaller(request, env);
    if (session !== undefined) return session;
  }
  if (rule.client) return authenticateClient(bearer, assertion, env);
  if (bearer === undefined) {
    if (assertion === null) throw unauthenticated();
    return accessCaller(assertion, settingsOf(env));
  }
  const hash = sha256Hex(bearer);
  const caller = tokenCaller(hash, env) ?? (await deviceOf(hash, env, rule.strong === true));
  if (caller === undefined) throw unauthenticated();
  return caller;
}

// Of routed MCP. Behind Access the Authorization header belongs to the server behind, not to us.
async function authenticateClient(bearer: string | undefined, assertion: string | null, env: Env): Promise<Caller> {
  const settings = settingsOf(env);
  if (assertion !== null) return accessCaller(assertion, settings);
  if (bearer === undefined) throw unauthenticated();
  const hash = sha256Hex(bearer);
  const known = tokenCaller(hash, env) ?? (await deviceOf(hash, env, true));
  if (known !== undefined) return known;
  const { routeJwt } = settings;
  if (routeJwt === undefined || bearer.split(".").length !== 3) throw unauthenticated();
  const payload = await verify(bearer, routeJwt.jwksUri, routeJwt.issuer, routeJwt.audience, [
    "RS256",
    "ES256",
    "EdDSA",
  ]);
  if (typeof payload.sub !== "string" || payload.sub === "") throw unauthenticated();
  return { kind: "person", role: null, name: payload.sub.slice(0, 256), via: "jwt", expires: payload.exp! * 1000 };
}

// Of an API token that is proven: its hash, for a browser's session.
export function apiTokenOf(request: Request, env: Env): { hash: string; caller: Caller } | undefined {
  const bearer = bearerOf(request);
  if (bearer === undefined) return undefined;
  const hash = sha256Hex(bearer);
  const caller = tokenCaller(hash, env);
  return caller === undefined ? undefined : { hash, caller };
}

// Whether Authorization, in whatever scheme, holds a token of ours, and so is nobody else's business: also one that has ended, and
// one that came beside the credential that counted. The tokens of nodes have no one form (mcpctl store token create).
export async function holdsOurToken(request: Request, env: Env): Promise<boolean> {
  const words = (request.headers.get("Authorization") ?? "").split(/[\s,]+/).filter((word) => word !== "");
  if (words.some((word) => word.startsWith(DEVICE_PREFIX))) return true;
  const hashes = words.map((word) => sha256Hex(word));
  if (settingsOf(env).tokens.some((token) => hashes.includes(token.sha256))) return true;
  return areDevices(hashes, env);
}
