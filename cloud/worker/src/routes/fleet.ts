// The fleet as people see it: nodes, servers, alerts, uptime.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { ALERT_KINDS } from "../alerts/evaluate.js";
import { fleetOf, settingsOf } from "../env.js";
import type { ListedNode } from "../fleet/views.js";
import { secretsOf } from "../fleet/secrets.js";
import { badRequest, notFound, reply } from "../http/envelope.js";
import { check, readJson } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { REQUEST_BYTES, UPTIME_BARS } from "../limits.js";
import { detailOf, Name, ServerDetail } from "../schema/status.js";
import { addRoute } from "./add.js";
import { answer } from "./describe.js";
import { checkTunnel } from "./enrol.js";

const people = { viewer: true, operator: true } as const;
const operator = { operator: true } as const;
const DAY_MS = 86_400_000;

const Node = z.object({
  node: z.string(),
  created: z.int(),
  lastSeen: z.int().describe("milliseconds since 1970; 0: never"),
  connected: z.boolean(),
  down: z.boolean(),
  cloned: z.boolean().describe("two machines seem to use this node's credentials"),
  tunnel: z.string().nullable(),
  keys: z.object({ signing: z.string(), sealing: z.string() }).nullable(),
  tokens: z.array(z.object({ id: z.string(), created: z.int(), expires: z.int().nullable() })),
  metadata: z.unknown(),
});
const Server = z.object({
  node: z.string(),
  nodeDown: z.boolean(),
  namespace: z.string(),
  name: z.string(),
  ready: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  restarts: z.int(),
  tools: z.int(),
  protocol: z.string(),
  generation: z.int(),
  revision: z.string(),
});
const ServersQuery = z.object({
  namespace: z.string().max(63).default(""),
  cursor: z.string().max(63).default(""),
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
});
const AlertsQuery = z.object({ all: z.enum(["true", "false"]).default("false") });
const AlertView = z
  .object({
    key: z.string(),
    kind: z.enum(ALERT_KINDS),
    subject: z.string(),
    message: z.string(),
    severity: z.enum(["warning", "critical"]),
    raised: z.int(),
    cleared: z.int().nullable(),
    acknowledged: z.int().nullable(),
    acknowledged_by: z.string().nullable(),
  })
  .openapi("Alert");
const Acknowledged = z.strictObject({ key: z.string().min(1).max(512) });
const UptimeQuery = z.object({
  bars: z.coerce.number().int().min(0).max(UPTIME_BARS).default(0).describe("ratios of that many equal parts of the time as well"),
  mean: z.enum(["true", "false"]).default("false").describe("one row for all"),
  subject: z
    .string()
    .min(1)
    .max(256)
    .describe("node/<node>, server/<node>/<namespace>/<name>, or a prefix of these that ends in /"),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
});
const Uptime = z.object({
  subject: z.string(),
  uptime: z.object({ upSeconds: z.int(), knownSeconds: z.int(), ratio: z.number().nullable() }),
  bars: z.array(z.number().nullable()).optional().describe("when they were asked for; null: nothing is known"),
});
const Who = z.object({
  kind: z.enum(["person", "device"]),
  name: z.string().optional(),
  role: z.enum(["viewer", "operator"]).nullable().optional(),
  via: z.enum(["token", "access", "jwt", "session"]).optional().describe("how a person is known"),
  node: z.string().optional(),
});
const Tunnel = z.strictObject({ tunnel: z.string().max(253).nullable() });

const nodeJson = (node: ListedNode): z.infer<typeof Node> => ({
  ...node,
  metadata: JSON.parse(node.metadata) as unknown,
});
const nodeOf = (c: AppContext): string => check(Name, c.req.param("node"), "the node");
const queryOf = <T extends z.ZodType>(c: AppContext, schema: T): z.output<T> =>
  check(schema, c.req.query(), "the query");

export function addFleetRoutes(app: OpenAPIHono<AppEnv>): void {
  const tag = "fleet";
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/whoami",
      tag,
      summary: "Who the caller is",
      rule: { ...people, device: "any", client: true },
      responses: answer("the caller", Who),
    },
    (c) => {
      const caller = c.get("caller");
      return reply(
        caller.kind === "device"
          ? { kind: "device", node: caller.node }
          : { kind: "person", name: caller.name, role: caller.role, via: caller.via },
      );
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/nodes",
      tag,
      summary: "The nodes, with what the Worker knows of them",
      rule: people,
      responses: answer("nodes", z.array(Node)),
    },
    async (c) => reply((await fleetOf(c.env).listNodes()).map(nodeJson)),
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/nodes/{node}",
      tag,
      summary: "One node",
      rule: people,
      responses: answer("the node", Node),
    },
    async (c) => {
      const [node] = await fleetOf(c.env).listNodes(nodeOf(c));
      if (node === undefined) throw notFound("no such node");
      return reply(nodeJson(node));
    },
  );
  addRoute(
    app,
    {
      method: "patch",
      path: "/v1/nodes/{node}",
      tag,
      summary: "Sets the host name of the node's tunnel, for routed MCP",
      rule: operator,
      audit: "tunnel",
      body: Tunnel,
      responses: answer("nothing"),
    },
    async (c) => {
      const { tunnel } = await readJson(c.req.raw, Tunnel, REQUEST_BYTES);
      const known = await fleetOf(c.env).setTunnel(
        nodeOf(c),
        tunnel === null ? null : checkTunnel(tunnel, settingsOf(c.env)),
      );
      if (!known) throw notFound("no such node");
      return reply({});
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/nodes/{node}/rotate",
      tag,
      summary: "Asks the node to get itself a new token",
      rule: operator,
      audit: "rotate",
      responses: answer("nothing"),
    },
    async (c) => {
      await fleetOf(c.env).askToRotate(nodeOf(c));
      return reply({});
    },
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/nodes/{node}/revoke",
      tag,
      summary: "Ends all that lets a machine act as this node, and names the secrets that it could open",
      rule: operator,
      audit: "revoke",
      responses: answer("what was revoked", z.object({ tokens: z.int(), secrets: z.array(z.string()).nullable() })),
    },
    async (c) => {
      const node = nodeOf(c);
      const tokens = await fleetOf(c.env).revokeNode(node);
      return reply({ tokens, secrets: await secretsOf(c.env, node) });
    },
  );
  addRoute(
    app,
    {
      method: "delete",
      path: "/v1/nodes/{node}",
      tag,
      summary: "Revokes the node and forgets it with its status",
      rule: operator,
      audit: "forget",
      responses: answer("the secrets to replace", z.object({ secrets: z.array(z.string()).nullable() })),
    },
    async (c) => {
      const node = nodeOf(c);
      const secrets = await secretsOf(c.env, node);
      if (!(await fleetOf(c.env).deleteNode(node))) throw notFound("no such node");
      return reply({ secrets });
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/servers",
      tag,
      summary: "All servers on all nodes, pages by node",
      rule: people,
      query: ServersQuery,
      responses: answer("servers", z.array(Server)),
    },
    async (c) => {
      const { namespace, cursor, limit } = queryOf(c, ServersQuery);
      const { servers, next } = await fleetOf(c.env).listServers(namespace, cursor, limit);
      return reply(servers, { count: servers.length, cursor: next });
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/servers/{namespace}/{server}",
      tag,
      summary: "One server, whole, on each node that reports it",
      rule: people,
      responses: answer("it on each node", z.array(z.object({ node: z.string(), nodeDown: z.boolean(), status: ServerDetail }))),
    },
    async (c) => {
      const found = await fleetOf(c.env).serverOnNodes(
        check(Name, c.req.param("namespace"), "the namespace"),
        check(Name, c.req.param("server"), "the server"),
      );
      return reply(found.map((each) => ({ ...each, status: detailOf(JSON.parse(each.status)) })));
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/down",
      tag,
      summary: "The nodes that are down, as placement uses them",
      rule: { ...people, device: "any" },
      responses: answer("the list", z.object({ sequence: z.int(), nodes: z.array(z.string()), frozen: z.boolean() })),
    },
    async (c) => reply(await fleetOf(c.env).downList()),
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/alerts",
      tag,
      summary: "Alerts that are raised; with all=true those that are over as well",
      rule: people,
      query: AlertsQuery,
      responses: answer("alerts", z.array(AlertView)),
    },
    async (c) => reply(await fleetOf(c.env).alerts(queryOf(c, AlertsQuery).all === "true")),
  );
  addRoute(
    app,
    {
      method: "post",
      path: "/v1/alerts/acknowledge",
      tag,
      summary: "Says that somebody has seen an alert, until it is raised again",
      rule: operator,
      body: Acknowledged,
      responses: answer("nothing"),
    },
    async (c) => {
      const { key } = await readJson(c.req.raw, Acknowledged, REQUEST_BYTES);
      const who = c.get("caller").name;
      if (!(await fleetOf(c.env).acknowledge(key, who))) throw notFound("no such alert is raised");
      await fleetOf(c.env).noteAudit({ who, what: "acknowledge", subject: key, detail: "" });
      return reply({});
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/uptime",
      tag,
      summary: "Uptime of nodes and servers within a time, by default the last 30 days; of a prefix the 1000 worst, the worst first",
      rule: people,
      query: UptimeQuery,
      responses: answer("uptimes", z.array(Uptime)),
    },
    async (c) => {
      const query = queryOf(c, UptimeQuery);
      const until = Math.min(query.until === undefined ? Date.now() : Date.parse(query.until), Date.now());
      const from = query.since === undefined ? until - 30 * DAY_MS : Date.parse(query.since);
      if (from >= until) throw badRequest("since: is not before until");
      return reply(await fleetOf(c.env).uptime(query.subject, from, until, query.bars, query.mean === "true"));
    },
  );
}
