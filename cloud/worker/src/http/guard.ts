// What stands in front of every route: limits by address, who it is, what he may, limits by identity, foreign pages.
import type { Context, MiddlewareHandler } from "hono";
import { authenticate } from "../auth/authenticate.js";
import { type Caller, permits, type Rule } from "../auth/caller.js";
import type { Env } from "../env.js";
import { isDashboard } from "./cors.js";
import { forbidden, tooMany } from "./envelope.js";
import { harden } from "./harden.js";

export interface AppEnv {
  Bindings: Env;
  Variables: { caller: Caller };
}
export type AppContext = Context<AppEnv>;

async function admit(limit: RateLimit | undefined, key: string): Promise<void> {
  if (limit !== undefined && !(await limit.limit({ key })).success) throw tooMany("too many requests", 60);
}

// Before anything else is done for a request.
export const limitByAddress: MiddlewareHandler<AppEnv> = async (c, next) => {
  await admit(c.env.RATE_ADDRESS, c.req.header("CF-Connecting-IP") ?? "unknown");
  await next();
};

// A browser sends Access' cookie whatever page asks. A page of another origin can't read an answer, unless it is the dashboard's own
// (cors.ts); this keeps it from making changes and from opening a socket.
function checkOrigin(request: Request, env: Env): void {
  const origin = request.headers.get("Origin");
  if (origin === null || origin === new URL(request.url).origin || isDashboard(request, env)) return;
  const changes = request.method !== "GET" && request.method !== "HEAD";
  if (changes || request.headers.get("Upgrade") !== null) throw forbidden("requests from other origins are refused");
}

export function guard(rule: Rule): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    checkOrigin(c.req.raw, c.env);
    if (!rule.public) {
      const caller = await authenticate(c.req.raw, c.env, rule);
      await admit(c.env.RATE_IDENTITY, caller.name);
      if (!permits(rule, caller, c.req.param("node"))) throw forbidden();
      c.set("caller", caller);
    }
    await next();
  };
}

export const securityHeaders: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  if (c.res.status === 101) return;
  const headers = new Headers(c.res.headers);
  harden(headers);
  c.res = new Response(c.res.body, { status: c.res.status, headers });
};
