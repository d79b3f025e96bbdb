// Enrolment and the life of device tokens. The authority is the Fleet object.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { fleetOf, settingsOf } from "../env.js";
import { JoinId, type JoinRow, joinState, Labels, Presented } from "../fleet/joins.js";
import type { IssuedToken } from "../fleet/tokens.js";
import { badRequest, CODE, notFound, Refusal, reply, tooMany } from "../http/envelope.js";
import { check, readJson } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { REQUEST_BYTES } from "../limits.js";
import { Name } from "../schema/status.js";
import { addRoute } from "./add.js";
import { answer } from "./describe.js";

const NewJoin = z.strictObject({
  node: Name,
  ttlSeconds: z
    .int()
    .min(60)
    .max(30 * 86_400)
    .default(3600),
  labels: Labels.default({}),
});

const Join = z.object({
  id: z.string(),
  node: z.string(),
  state: z.enum(["Pending", "Joined", "Expired", "Revoked"]),
  author: z.string(),
  created: z.string(),
  expires: z.string(),
  labels: z.record(z.string(), z.string()),
  presented: Presented.optional(),
  presentedAt: z.string().optional(),
});

const Token = z.object({ token: z.string(), expires: z.string() });

const time = (ms: number) => new Date(ms).toISOString();

function joinJson(row: JoinRow): z.infer<typeof Join> {
  return {
    id: row.id,
    node: row.node,
    state: joinState(row, Date.now()),
    author: row.author,
    created: time(row.created),
    expires: time(row.expires),
    labels: JSON.parse(row.labels) as Record<string, string>,
    ...(row.bound === null ? {} : { presented: JSON.parse(row.bound) as Presented, presentedAt: time(row.bound_at!) }),
  };
}

function tokenReply(issued: IssuedToken | number): Response {
  if (typeof issued === "number") throw tooMany("too many tokens were asked for", issued);
  return reply({ token: issued.token, expires: time(issued.expires) });
}

const idOf = (c: AppContext): string => check(JoinId, c.req.param("id"), "the id");
const operator = { operator: true } as const;

export function addEnrolRoutes(app: OpenAPIHono<AppEnv>): void {
  const tag = "enrolment";
  addRoute(
    app,
    {
      method: "put",
      path: "/v1/joins/{id}",
      tag,
      summary: "Makes a join token known by its id; the secret stays with the operator",
      rule: operator,
      audit: "enrol",
      body: NewJoin,
      responses: answer("the join token", Join),
    },
    async (c) => {
      const id = idOf(c);
      const given = await readJson(c.req.raw, NewJoin, REQUEST_BYTES);
      const made = await fleetOf(c.env).createJoin(id, { ...given, author: c.get("caller").name });
      if (made === "exists") throw new Refusal(409, CODE.badRequest, "there is a join token of this id already");
      if (made === "full") throw new Refusal(409, CODE.badRequest, "too many join tokens");
      return reply(joinJson((await fleetOf(c.env).getJoin(id))!));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/joins",
      tag,
      summary: "The join tokens, newest first",
      rule: operator,
      responses: answer("join tokens", z.array(Join)),
    },
    async (c) => reply((await fleetOf(c.env).listJoins()).map(joinJson)),
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/joins/{id}",
      tag,
      summary: "One join token, with the keys and the HMAC that a node presented",
      rule: operator,
      responses: answer("the join token", Join),
    },
    async (c) => {
      const row = await fleetOf(c.env).getJoin(idOf(c));
      if (row === null) throw notFound("no such join token");
      return reply(joinJson(row));
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path: "/v1/joins/{id}",
      tag,
      summary: "Ends a join token",
      rule: operator,
      audit: "end join token",
      responses: answer("of which node", z.object({ node: z.string().optional() })),
    },
    async (c) => {
      const id = idOf(c);
      const row = await fleetOf(c.env).getJoin(id);
      await fleetOf(c.env).revokeJoin(id);
      return reply(row === null ? {} : { node: row.node });
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/joins/{id}/redeem",
      tag,
      summary: "A node presents its public keys and gets its device token",
      rule: { public: true },
      body: Presented,
      responses: answer("the token", Token.extend({ fleet: z.string() })),
    },
    async (c) => {
      const presented = await readJson(c.req.raw, Presented, REQUEST_BYTES);
      const result = await fleetOf(c.env).redeemJoin(idOf(c), presented);
      if (!result.ok) throw new Refusal(result.status, CODE.authentication, result.message);
      return reply({ token: result.token, expires: time(result.expires), fleet: result.fleet });
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/device/token",
      tag,
      summary: "A node gets a new token; the one it asks with ends with the first use of the new one",
      rule: { device: "any", strong: true },
      responses: answer("the token", Token),
    },
    async (c) => {
      const caller = c.get("caller");
      if (caller.kind !== "device") throw badRequest("only a node has a device token");
      return tokenReply(await fleetOf(c.env).issueToken(caller.node, caller.name, caller.tokenHash));
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/nodes/{node}/tokens",
      tag,
      summary: "A further token for a node, shown only this once",
      rule: operator,
      audit: "token",
      responses: answer("the token", Token),
    },
    async (c) => {
      const node = check(Name, c.req.param("node"), "the node");
      return tokenReply(await fleetOf(c.env).issueToken(node, c.get("caller").name));
    },
  );
}

// A tunnel's address as an operator may set it.
export function checkTunnel(tunnel: string, settings: ReturnType<typeof settingsOf>): string {
  let url: URL;
  try {
    url = new URL(tunnel.includes("://") ? tunnel : `https://${tunnel}`);
  } catch {
    throw badRequest("tunnel: is no host name");
  }
  const bare =
    url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (!bare) throw badRequest("tunnel: is more than a host name");
  const loopback = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (loopback && settings.loopbackTunnels) return url.origin;
  if (url.protocol !== "https:" || url.port !== "" || loopback || /^[\d.]+$|^\[/.test(url.hostname)) {
    throw badRequest("tunnel: is not an https host name");
  }
  const allowed =
    settings.tunnelSuffixes.length === 0 ||
    settings.tunnelSuffixes.some((suffix) => url.hostname.endsWith(`.${suffix.replace(/^\./, "")}`));
  if (!allowed) throw badRequest("tunnel: ends in none of the allowed names");
  return url.origin;
}
