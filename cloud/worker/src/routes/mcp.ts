// /<namespace>/<server>/mcp: one URL for a server, whichever node serves it.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { holdsOurToken } from "../auth/authenticate.js";
import { type Env, fleetOf } from "../env.js";
import { badRequest } from "../http/envelope.js";
import { check, parseJson, readBody, utf8 } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { MCP_BYTES, MCP_TRIES } from "../limits.js";
import {
  goesToClient,
  goesToNode,
  isLook,
  isModern,
  isUnreachable,
  mayTryElsewhere,
  orderFor,
  type Outcome,
} from "../route/decide.js";
import { openSession, sealSession } from "../route/session_id.js";
import { Name } from "../schema/status.js";
import { addRoute } from "./add.js";

const SESSION = "Mcp-Session-Id";

// Errors of the router are JSON-RPC's, which is what an MCP client reads (codes as in the MCP SDK).
function rpcError(status: number, code: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });
}
const sessionGone = () => rpcError(404, -32001, "Session not found");
const wentAway = () => rpcError(502, -32000, "the node went away while it had the request");
const noNode = (message: string) => rpcError(503, -32000, message, { "Retry-After": "5" });

// When each node was found reachable, of this isolate. A node is asked before it gets a request, at most this often: a
// request that went into nothing could not be given to another.
const REACHED_MS = 10_000;
const reached = new Map<string, number>();

export function forgetReached(): void {
  reached.clear();
}

async function isReachable(c: AppContext, tunnel: string, server: string, force = false): Promise<boolean> {
  if (!force && Date.now() - (reached.get(tunnel) ?? 0) < REACHED_MS) return true;
  const outcome: Outcome = {};
  try {
    const response = await fetch(`${tunnel}/${server}/healthz`, {
      headers: tunnelHeaders(c.env),
      redirect: "manual",
      signal: AbortSignal.timeout(5000),
    });
    await response.body?.cancel();
    outcome.status = response.status;
  } catch (error) {
    outcome.error = error;
  }
  const there = !isUnreachable(outcome);
  if (there) reached.set(tunnel, Date.now());
  else reached.delete(tunnel);
  return there;
}

async function send(
  c: AppContext,
  target: string,
  headers: Headers,
  body: Uint8Array | undefined,
): Promise<Response | undefined> {
  try {
    return await fetch(target, {
      method: c.req.method,
      headers,
      redirect: "manual",
      signal: c.req.raw.signal,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
  } catch (error) {
    console.warn(JSON.stringify({ message: "a node went away", target: new URL(target).host, error: String(error) }));
    reached.delete(new URL(target).origin);
    return undefined;
  }
}

function tunnelHeaders(env: Env): Headers {
  const headers = new Headers();
  if (env.TUNNEL_CLIENT_ID && env.TUNNEL_CLIENT_SECRET) {
    headers.set("CF-Access-Client-Id", env.TUNNEL_CLIENT_ID);
    headers.set("CF-Access-Client-Secret", env.TUNNEL_CLIENT_SECRET);
  }
  return headers;
}

async function headersFor(c: AppContext, env: Env, upstreamSession: string | undefined): Promise<Headers> {
  const headers = tunnelHeaders(env);
  for (const [name, value] of c.req.raw.headers) if (goesToNode(name)) headers.set(name, value);
  const authorization = c.req.header("Authorization");
  if (authorization !== undefined && !(await holdsOurToken(c.req.raw, env))) headers.set("Authorization", authorization);
  if (upstreamSession !== undefined) headers.set(SESSION, upstreamSession);
  return headers;
}

// Whether the caller came as a viewer of the fleet: by a token or a session of ours, or from the dashboard's page (no other page may
// POST here). An identity of Access or of routeJwt is more than that: what it may call is the matter of the server's auth.
function isViewer(c: AppContext): boolean {
  const caller = c.get("caller");
  if (caller.kind !== "person" || caller.role !== "viewer") return false;
  return caller.via === "token" || caller.via === "session" || c.req.header("Origin") !== undefined;
}

async function route(c: AppContext): Promise<Response> {
  const namespace = check(Name, c.req.param("namespace"), "the namespace");
  const name = check(Name, c.req.param("server"), "the server");
  const key = c.env.SESSION_KEY ?? "";
  if (key.length < 32) return noNode("routing is off: the Worker has no SESSION_KEY of 32 characters");
  const server = `${namespace}/${name}`;
  const caller = c.get("caller");
  const who = `${caller.kind === "person" ? caller.via : "device"} ${caller.name}`;
  let body = c.req.method === "POST" ? await readBody(c.req.raw, MCP_BYTES) : undefined;
  if (body !== undefined && body.byteLength === 0) throw badRequest("the body is empty");
  const message = body === undefined ? null : parseJson(utf8(body));
  if (body !== undefined && isViewer(c)) {
    if (!isLook(message)) return rpcError(403, -32000, "viewers see, operators act: a viewer's token calls no tools");
    // What was judged, not another reading of the same bytes.
    body = Buffer.from(JSON.stringify(message));
  }
  const modern = isModern(c.req.header("MCP-Protocol-Version"), message);
  const given = modern ? undefined : c.req.header(SESSION);

  const answer = (node: string, response: Response): Response => {
    const headers = new Headers();
    for (const [header, value] of response.headers) if (goesToClient(header)) headers.set(header, value);
    const upstream = response.headers.get(SESSION);
    if (upstream !== null && !modern) headers.set(SESSION, sealSession(key, server, who, { node, upstream }));
    headers.set("Mcpfleet-Node", node);
    return new Response(response.body, { status: response.status, headers });
  };

  if (given !== undefined) {
    const session = openSession(key, server, who, given);
    const tunnel = session === undefined ? null : await fleetOf(c.env).tunnelOf(session.node);
    if (session === undefined || tunnel === null) return sessionGone();
    const response = await send(c, `${tunnel}/${server}/mcp`, await headersFor(c, c.env, session.upstream), body);
    if (response !== undefined && !mayTryElsewhere(response)) return answer(session.node, response);
    await response?.body?.cancel();
    // A session is on its node or nowhere: when that is gone the client begins a new one.
    return response !== undefined || !(await isReachable(c, tunnel, server, true)) ? sessionGone() : wentAway();
  }

  const ready = orderFor(who, server, await fleetOf(c.env).readyNodes(namespace, name));
  if (ready.length === 0) return noNode(`${server} is Ready on no node that can be reached`);
  for (const { node, tunnel } of ready.slice(0, MCP_TRIES)) {
    if (!(await isReachable(c, tunnel, server))) continue;
    const response = await send(c, `${tunnel}/${server}/mcp`, await headersFor(c, c.env, undefined), body);
    if (response === undefined) return wentAway();
    if (!mayTryElsewhere(response)) return answer(node, response);
    await response.body?.cancel();
  }
  return noNode("no node could be reached");
}

export function addMcpRoutes(app: OpenAPIHono<AppEnv>): void {
  const responses = {
    200: { description: "as the MCP server answers" },
    404: { description: "the session is gone" },
    503: { description: "no node serves it now" },
  };
  const rule = { client: true } as const;
  const path = "/{namespace}/{server}/mcp";
  const tag = "mcp";
  addRoute(
    app,
    {
      method: "post",
      path,
      tag,
      summary: "A message to an MCP server (Streamable HTTP, both eras)",
      rule,
      body: z.unknown(),
      responses,
    },
    route,
  );
  addRoute(app, { method: "get", path, tag, summary: "The stream of a session", rule, responses }, route);
  addRoute(app, { method: "delete", path, tag, summary: "Ends a session", rule, responses }, route);
}
