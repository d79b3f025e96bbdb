// The dashboard at an origin of its own (Cloudflare Pages): the one origin of the settings may use the API from a browser, with the person's
// credentials. Any other is answered as if there were no CORS, and so is everything that a dashboard has no business with.
import type { MiddlewareHandler } from "hono";
import { type Env, settingsOf } from "../env.js";
import type { AppEnv } from "./guard.js";

// What the page asks for: the API, and routed MCP for "try a tool". Not the KV protocol, which is for nodes and mcpctl.
const ASKED = /^\/(v1\/|[a-z0-9-]+\/[a-z0-9-]+\/mcp$)/;
const METHODS = "GET, POST, PUT, PATCH, DELETE";
// As the page and the MCP SDK send them; `Mcp-Param-…` are of the revision 2026-07-28.
const HEADERS = new Set(["accept", "authorization", "content-type", "last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"]);
const READABLE = "Mcp-Session-Id, Mcp-Protocol-Version, Mcpfleet-Node, Retry-After, WWW-Authenticate";
const PREFLIGHT_SECONDS = "600";

const mayBeAsked = (name: string): boolean => HEADERS.has(name) || name.startsWith("mcp-param-");

// Whether a request comes from the dashboard's own origin, for something that it may ask for.
export function isDashboard(request: Request, env: Env): boolean {
  const origin = request.headers.get("Origin");
  return origin !== null && origin === settingsOf(env).dashboardOrigin && ASKED.test(new URL(request.url).pathname);
}

export const cors: MiddlewareHandler<AppEnv> = async (c, next) => {
  const request = c.req.raw;
  if (!isDashboard(request, c.env)) {
    await next();
    // An answer that was kept for one origin must not serve another.
    if (settingsOf(c.env).dashboardOrigin !== undefined && c.res.status !== 101) c.header("Vary", "Origin", { append: true });
    return;
  }
  const preflight = request.method === "OPTIONS" && request.headers.has("Access-Control-Request-Method");
  if (preflight) {
    const asked = (request.headers.get("Access-Control-Request-Headers") ?? "").split(",").map((name) => name.trim().toLowerCase());
    c.res = new Response(null, {
      status: 204,
      headers: { "Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": asked.filter(mayBeAsked).join(", "), "Access-Control-Max-Age": PREFLIGHT_SECONDS },
    });
  } else {
    await next();
    if (c.res.status === 101) return;
    c.header("Access-Control-Expose-Headers", READABLE);
  }
  c.header("Access-Control-Allow-Origin", request.headers.get("Origin")!);
  c.header("Access-Control-Allow-Credentials", "true");
  c.header("Vary", "Origin", { append: true });
};
