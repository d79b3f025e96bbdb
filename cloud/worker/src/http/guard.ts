// What stands in front of every route: limits by address, who it is, what he may, limits by identity, foreign pages.
import type { Context, MiddlewareHandler } from "hono";
import { authenticate } from "../auth/authenticate.js";
import { type Caller, permits, type Rule } from "../auth/caller.js";
import type { Env } from "../env.js";
import { CODE, forbidden, Refusal } from "./envelope.js";

export interface AppEnv {
  Bindings: Env;
  Variables: { caller: Caller };
}
export type AppContext = Context<AppEnv>;

const tooMany = () => new Refusal(429, CODE.rateLimit, "too many requests", { "Retry-After": "60" });

async function admit(limit: RateLimit | undefined, key: string): Promise<void> {
  if (limit !== undefined && !(await limit.limit({ key })).success) throw tooMany();
}

// Before anything else is done for a request.
export const limitByAddress: MiddlewareHandler<AppEnv> = async (c, next) => {
  await admit(c.env.RATE_ADDRESS, c.req.header("CF-Connecting-IP") ?? "unknown");
  await next();
};

// A browser sends Access' cookie whatever page asks. There is no CORS here, so a page of another origin can't read an
// answer; this keeps it from making changes and from opening a socket.
function checkOrigin(request: Request): void {
  const origin = request.headers.get("Origin");
  if (origin === null || origin === new URL(request.url).origin) return;
  const changes = request.method !== "GET" && request.method !== "HEAD";
  if (changes || request.headers.get("Upgrade") !== null) throw forbidden("requests from other origins are refused");
}

export function guard(rule: Rule): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    checkOrigin(c.req.raw);
    if (!rule.public) {
      const caller = await authenticate(c.req.raw, c.env, rule);
      await admit(c.env.RATE_IDENTITY, caller.name);
      if (!permits(rule, caller, c.req.param("node"))) throw forbidden();
      c.set("caller", caller);
    }
    await next();
  };
}

// The dashboard is of this origin; nothing else may frame, script or sniff what comes from here.
export const securityHeaders: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  if (c.res.status === 101) return;
  const headers = new Headers(c.res.headers);
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("X-Frame-Options", "DENY");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
  // The dashboard's page brings its own.
  if (!headers.has("Content-Security-Policy"))
    headers.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  c.res = new Response(c.res.body, { status: c.res.status, headers });
};
