// /<namespace>/<server>/mcp: one URL for a server, whichever node serves it.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { ownsBearer } from "../auth/authenticate.js";
import { type Env, fleetOf } from "../env.js";
import { badRequest } from "../http/envelope.js";
import { check, parseJson, readBody, utf8 } from "../http/body.js";
import type { AppContext, AppEnv } from "../http/guard.js";
import { MCP_BYTES, MCP_TRIES } from "../limits.js";
import { goesToClient, goesToNode, isModern, mayTryElsewhere, orderFor } from "../route/decide.js";
import { openSession, sealSession } from "../route/session_id.js";
import { Name } from "../schema/status.js";
import { addRoute } from "./add.js";

const SESSION = "Mcp-Session-Id";

// Errors of the router are JSON-RPC's, which is what an MCP client reads (codes as in the MCP SDK).
function rpcError(status: number, code: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });
}
const sessionGone = () => rpcError(404, -32001, "Session not found");
const noNode = (message: string) => rpcError(503, -32000, message, { "Retry-After": "5" });

interface Attempt {
  response?: Response;
  retry: boolean;
}

async function send(c: AppContext, target: string, headers: Headers, body: Uint8Array | undefined): Promise<Attempt> {
  let bodyTaken = false;
  let stream: ReadableStream | undefined;
  if (body !== undefined) {
    // Its writer learns when the connection begins to read: before that no byte can have reached the node.
    const fixed = new FixedLengthStream(body.byteLength);
    const writer = fixed.writable.getWriter();
    void writer.write(body).then(() => {
      bodyTaken = true;
      return writer.close();
    }).catch(() => undefined);
    stream = fixed.readable;
  }
  try {
    const response = await fetch(target, {
      method: c.req.method,
      headers,
      redirect: "manual",
      signal: c.req.raw.signal,
      ...(stream === undefined ? {} : { body: stream }),
    });
    if (mayTryElsewhere({ status: response.status, bodyTaken })) {
      await response.body?.cancel();
      return { retry: true };
    }
    return { response, retry: false };
  } catch (error) {
    console.warn(JSON.stringify({ message: "a node could not be reached", target: new URL(target).host, error: String(error), bodyTaken }));
    return { retry: mayTryElsewhere({ error, bodyTaken }) };
  }
}

function headersFor(c: AppContext, env: Env, upstreamSession: string | undefined): Headers {
  const headers = new Headers();
  for (const [name, value] of c.req.raw.headers) if (goesToNode(name)) headers.set(name, value);
  const authorization = c.req.header("Authorization");
  if (authorization !== undefined && !ownsBearer(c.req.raw, c.get("caller"))) headers.set("Authorization", authorization);
  if (upstreamSession !== undefined) headers.set(SESSION, upstreamSession);
  if (env.TUNNEL_CLIENT_ID && env.TUNNEL_CLIENT_SECRET) {
    headers.set("CF-Access-Client-Id", env.TUNNEL_CLIENT_ID);
    headers.set("CF-Access-Client-Secret", env.TUNNEL_CLIENT_SECRET);
  }
  return headers;
}

async function route(c: AppContext): Promise<Response> {
  const namespace = check(Name, c.req.param("namespace"), "the namespace");
  const name = check(Name, c.req.param("server"), "the server");
  const key = c.env.SESSION_KEY ?? "";
  if (key.length < 32) return noNode("routing is off: the Worker has no SESSION_KEY of 32 characters");
  const server = `${namespace}/${name}`;
  const caller = c.get("caller");
  const who = `${caller.kind === "person" ? caller.via : "device"} ${caller.name}`;
  const body = c.req.method === "POST" ? await readBody(c.req.raw, MCP_BYTES) : undefined;
  if (body !== undefined && body.byteLength === 0) throw badRequest("the body is empty");
  const modern = isModern(c.req.header("MCP-Protocol-Version"), body === undefined ? null : parseJson(utf8(body)));
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
    const { response } = await send(c, `${tunnel}/${server}/mcp`, headersFor(c, c.env, session.upstream), body);
    // A session is on its node or nowhere; the client begins a new one.
    return response === undefined ? sessionGone() : answer(session.node, response);
  }

  const ready = orderFor(who, server, await fleetOf(c.env).readyNodes(namespace, name));
  if (ready.length === 0) return noNode(`${server} is Ready on no node that can be reached`);
  for (const { node, tunnel } of ready.slice(0, MCP_TRIES)) {
    const attempt = await send(c, `${tunnel}/${server}/mcp`, headersFor(c, c.env, undefined), body);
    if (attempt.response !== undefined) return answer(node, attempt.response);
    if (!attempt.retry) return rpcError(502, -32000, "the node went away while it had the request");
  }
  return noNode("no node could be reached");
}

export function addMcpRoutes(app: OpenAPIHono<AppEnv>): void {
  const responses = { 200: { description: "as the MCP server answers" }, 404: { description: "the session is gone" }, 503: { description: "no node serves it now" } };
  const rule = { client: true } as const;
  const path = "/{namespace}/{server}/mcp";
  const tag = "mcp";
  addRoute(app, { method: "post", path, tag, summary: "A message to an MCP server (Streamable HTTP, both eras)", rule, body: z.unknown(), responses }, route);
  addRoute(app, { method: "get", path, tag, summary: "The stream of a session", rule, responses }, route);
  addRoute(app, { method: "delete", path, tag, summary: "Ends a session", rule, responses }, route);
}
