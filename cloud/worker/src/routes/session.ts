// What a dashboard finds here, signing in with an API token in a browser, and who did what.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { apiTokenOf } from "../auth/authenticate.js";
import { sealCookie, sessionsWork, setCookie } from "../auth/session.js";
import { fleetOf } from "../env.js";
import { isDashboard } from "../http/cors.js";
import { badRequest, CODE, Refusal, reply } from "../http/envelope.js";
import { check } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { SESSION_SECONDS } from "../limits.js";
import { addRoute } from "./add.js";
import { answer } from "./describe.js";

const people = { viewer: true, operator: true } as const;
const Who = z.object({ name: z.string(), role: z.enum(["viewer", "operator"]).nullable() });
// mcplet serves the same page with fewer abilities (edge-runtime/dashboard): what is not named, the page leaves out.
const FEATURES = ["alerts", "uptime", "enrol", "tools", "logs", "usage"] as const;
const Host = z
  .object({ host: z.enum(["worker", "node"]), features: z.array(z.enum(FEATURES)) })
  .openapi("Host");
const Deed = z.object({ id: z.int(), at: z.int().describe("milliseconds since 1970"), who: z.string(), what: z.string(), subject: z.string(), detail: z.string() });
const AuditQuery = z.object({
  before: z.coerce.number().int().min(0).default(0).describe("an id: older ones"),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

// Browsers say whether a page is of the same site; two host names of one domain are.
const placeOf = (c: AppContext) => ({
  secure: new URL(c.req.url).protocol === "https:",
  elsewhere: isDashboard(c.req.raw, c.env) && c.req.header("Sec-Fetch-Site") === "cross-site",
});

function signIn(c: AppContext): Response {
  if (!sessionsWork(c.env.SESSION_KEY))
    throw new Refusal(503, CODE.authentication, "signing in is off: the Worker has no SESSION_KEY of 32 characters");
  const proven = apiTokenOf(c.req.raw, c.env);
  if (proven?.caller.kind !== "person") throw badRequest("an API token makes a session; who comes by Access has one already");
  const response = reply({ name: proven.caller.name, role: proven.caller.role });
  response.headers.set("Set-Cookie", setCookie(sealCookie(c.env.SESSION_KEY, proven.hash, Date.now()), SESSION_SECONDS, placeOf(c)));
  return response;
}

export function addSessionRoutes(app: OpenAPIHono<AppEnv>): void {
  addRoute(
    app,
    { method: "get", path: "/v1/session", tag: "people", summary: "Who serves the dashboard, and what it can do", rule: { public: true }, responses: answer("it", Host) },
    () => reply({ host: "worker", features: FEATURES }),
  );
  addRoute(
    app,
    { method: "post", path: "/v1/session", tag: "people", summary: "Signs a browser in with an API token: a cookie for twelve hours", rule: people, responses: answer("who it is", Who) },
    signIn,
  );
  addRoute(
    app,
    { method: "delete", path: "/v1/session", tag: "people", summary: "Signs the browser out", rule: { public: true }, responses: answer("nothing") },
    (c) => {
      const response = reply({});
      response.headers.set("Set-Cookie", setCookie("", 0, placeOf(c)));
      return response;
    },
  );
  addRoute(
    app,
    { method: "get", path: "/v1/audit", tag: "people", summary: "Who did what, newest first", rule: people, query: AuditQuery, responses: answer("deeds", z.array(Deed)) },
    async (c) => {
      const { before, limit } = check(AuditQuery, c.req.query(), "the query");
      return reply(await fleetOf(c.env).audit(before, limit));
    },
  );
}
