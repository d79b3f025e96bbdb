// What the tests share: requests as somebody, builders of the desired state and of statuses, sockets, signed identities.
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { env } from "cloudflare:workers";
import {
  createExecutionContext,
  evictDurableObject,
  reset,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, beforeEach, expect, vi } from "vitest";
import worker from "../src/index.js";
import { forgetKeys } from "../src/auth/access.js";
import { forgetDevices } from "../src/auth/device.js";
import type { Env } from "../src/env.js";
import { forgetReached } from "../src/routes/mcp.js";
import type { Fleet } from "../src/fleet/fleet.js";
import { sha256Hex } from "../src/schema/hash.js";
import { AUDIENCE, OPERATOR, TEAM } from "./credentials.js";

export { AUDIENCE, EXPIRED, OPERATOR, TEAM, VIEWER } from "./credentials.js";
export const bindings = env as unknown as Env;
export const ORIGIN = "https://fleet.example.com";
export const KV = "/client/v4/accounts/local/storage/kv/namespaces";

export const fleet = (): DurableObjectStub<Fleet> => bindings.FLEET.get(bindings.FLEET.idFromName("fleet"));
export const inFleet = <R>(run: (instance: Fleet, state: DurableObjectState) => R | Promise<R>): Promise<R> =>
  runInDurableObject(fleet(), run);
// Waits until what is due was told: requests and alarms don't wait for it.
export const delivered = (): Promise<void> =>
  inFleet(async (instance) => void (await Promise.all((instance as unknown as { postman: { deliver(): Promise<void>[] } }).postman.deliver())));
// As the alarm does, whenever that is set.
export async function ring(): Promise<void> {
  await inFleet((instance) => instance.alarm());
  await delivered();
}
export async function alarm(): Promise<boolean> {
  const rang = await runDurableObjectAlarm(fleet());
  await delivered();
  return rang;
}
export const evict = (): Promise<void> => evictDurableObject(fleet());

// Every test begins with an empty account.
export function freshAccount(): void {
  beforeEach(async () => {
    forgetDevices();
    forgetKeys();
    forgetReached();
    // Nothing leaves the machine: a test that wants an answer from outside says so.
    outside({});
    vi.spyOn(console, "warn").mockImplementation(() => {});
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    vi.useRealTimers();
    await Promise.all(watchers.splice(0).map(hangUp));
    await reset();
  });
}

export interface Ask {
  as?: string; // a bearer token; "" for none
  headers?: Record<string, string>;
  body?: BodyInit | object;
}

const isPlain = (body: unknown): body is object =>
  typeof body === "object" &&
  body !== null &&
  !(body instanceof Uint8Array) &&
  !(body instanceof ReadableStream) &&
  !(body instanceof FormData);

export async function ask(
  method: string,
  path: string,
  { as = OPERATOR, headers = {}, body }: Ask = {},
): Promise<Response> {
  const all = new Headers(headers);
  if (as !== "") all.set("Authorization", `Bearer ${as}`);
  const init: RequestInit = { method, headers: all, redirect: "manual" };
  if (body !== undefined) init.body = isPlain(body) ? JSON.stringify(body) : (body as BodyInit);
  // Not by the pool's own entry (exports.default), which takes longer with each request, without bound.
  return worker.fetch(new Request(ORIGIN + path, init), bindings, createExecutionContext());
}

// The text of a body of any type.
export async function textOf(response: Response | Promise<Response>): Promise<string> {
  return new TextDecoder().decode(await (await response).arrayBuffer());
}

export interface Answered {
  status: number;
  result: any;
  info: any;
  code: number | undefined;
  message: string | undefined;
}

// A request whose answer is an envelope.
export async function call(method: string, path: string, given: Ask = {}): Promise<Answered> {
  const response = await ask(method, path, given);
  const json = (await response.json()) as any;
  return {
    status: response.status,
    result: json.result,
    info: json.result_info,
    code: json.errors?.[0]?.code,
    message: json.errors?.[0]?.message,
  };
}

export const valuePath = (namespace: string, key: string) => `${KV}/${namespace}/values/${encodeURIComponent(key)}`;

// ---- the desired state

export function snapshotOf(
  parent: string,
  more: Record<string, unknown> = {},
): { key: string; hash: string; bytes: string } {
  const bytes = JSON.stringify({
    author: "",
    message: "",
    parent,
    shards: Array.from({ length: 64 }, () => ""),
    time: "2026-11-28T00:00:00Z",
    ...more,
  });
  const hash = sha256Hex(bytes);
  return { key: `snapshots/${hash}`, hash, bytes };
}

export function headOf(snapshot: string, revision: number, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    epoch: 1,
    fleet: "a".repeat(32),
    revision,
    signatures: [],
    snapshot,
    time: "2026-11-28T00:00:00Z",
    trust: 0,
    validUntil: "",
    ...more,
  });
}

export const putHead = (body: string, headers: Record<string, string>, as = OPERATOR) =>
  call("PUT", valuePath("CONFIG", "head"), { body, headers, as });
export const putBlob = (key: string, bytes: string) => call("PUT", valuePath("CONFIG", key), { body: bytes });

// Moves the head from revision to revision, `revisions` times; the snapshots' hashes.
export async function moveHeads(revisions: number): Promise<string[]> {
  const hashes: string[] = [];
  for (let revision = 1; revision <= revisions; ++revision) {
    const snapshot = snapshotOf(hashes.at(-1) ?? "", { message: `move ${revision}` });
    expect((await putBlob(snapshot.key, snapshot.bytes)).status).toBe(200);
    const on: Record<string, string> =
      revision === 1 ? { "If-None-Match": "*" } : { "If-Match": `"0.1.${revision - 1}"` };
    expect((await putHead(headOf(snapshot.hash, revision), on)).status).toBe(200);
    hashes.push(snapshot.hash);
  }
  await delivered();
  return hashes;
}

// ---- nodes

// A device token of `node`, as `mcpctl store token create` makes one.
export async function deviceToken(node: string): Promise<string> {
  const { status, result } = await call("POST", `/v1/nodes/${node}/tokens`);
  expect(status).toBe(200);
  await delivered();
  return result.token as string;
}

export interface ServerSpec {
  name: string;
  ready?: "True" | "False" | "Unknown";
  reason?: string;
  conditions?: { type: string; status: string; reason: string; message?: string }[];
}

export function statusOf(
  node: string,
  sequence: number,
  servers: ServerSpec[] = [],
  more: Record<string, unknown> = {},
): object {
  return {
    node,
    sequence,
    bootId: "boot1",
    version: "0.1.0",
    heartbeat: `2026-11-28T00:00:${String(sequence % 60).padStart(2, "0")}Z`,
    acceptedHead: "0.1.1",
    conditions: [
      { type: "Ready", status: "True", reason: "Ready", message: "", lastTransitionTime: "2026-11-28T00:00:00Z" },
    ],
    servers: servers.map((server) => ({
      namespace: "default",
      name: server.name,
      conditions: [
        { type: "Ready", status: server.ready ?? "True", reason: server.reason ?? "Ready", message: "m" },
        ...(server.conditions ?? []),
      ],
      restarts: { count: 0 },
      catalog: { tools: 3 },
    })),
    ...more,
  };
}

export const putStatus = (node: string, token: string, status: object) =>
  call("PUT", valuePath("SERVER_STATE", `nodes/${node}`), { as: token, body: status });

// ---- sockets

const watchers: Watcher[] = [];

// Closes a socket and waits for the other side, which must not find its object gone.
async function hangUp({ socket, closed }: Watcher): Promise<void> {
  socket.close();
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 200))]);
}

export interface Watcher {
  socket: WebSocket;
  texts: string[];
  closed: Promise<number>;
  next(matches?: (text: string) => boolean): Promise<string>;
  message(type: string): Promise<any>;
}

export async function watch(
  token: string,
  headers: Record<string, string> = { "Sec-WebSocket-Protocol": "mcpfleet.v1" },
): Promise<Watcher> {
  const response = await ask("GET", "/v1/watch", { as: token, headers: { Upgrade: "websocket", ...headers } });
  expect(response.status).toBe(101);
  return listen(response.webSocket!);
}

export function listen(socket: WebSocket): Watcher {
  const texts: string[] = [];
  let wake = () => {};
  let at = 0;
  socket.addEventListener("message", (event) => {
    texts.push(event.data as string);
    wake();
  });
  const closed = new Promise<number>((resolve) => socket.addEventListener("close", (event) => resolve(event.code)));
  socket.accept();
  const next = async (matches: (text: string) => boolean = () => true): Promise<string> => {
    for (;;) {
      for (; at < texts.length; ++at) if (matches(texts[at]!)) return texts[at++]!;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const message = async (type: string) =>
    JSON.parse(await next((text) => text.startsWith("{") && JSON.parse(text).type === type));
  const watcher = { socket, texts, closed, next, message };
  watchers.push(watcher);
  return watcher;
}

// ---- Cloudflare Access

export interface Identity {
  assertion(
    claims: Record<string, unknown>,
    more?: { audience?: string; issuer?: string; expires?: string | number; kid?: string },
  ): Promise<string>;
  jwk: object;
}

// An identity provider's key, published where Access publishes its own once `publish` is called with it.
export async function identity(kid: string): Promise<Identity> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" };
  return {
    jwk,
    assertion: (claims, more = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", kid: more.kid ?? kid })
        .setIssuer(more.issuer ?? TEAM)
        .setAudience(more.audience ?? AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(more.expires ?? "5m")
        .sign(privateKey),
  };
}

export interface Outside {
  requests: Request[];
  bodies: string[];
}

// Answers what the Worker asks of the outside: keys by URL, and anything else by `other`.
export function outside(
  keys: Record<string, object[]>,
  other?: (request: Request) => Response | Promise<Response>,
): Outside {
  const seen: Outside = { requests: [], bodies: [] };
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input as RequestInfo, init as RequestInit);
    seen.requests.push(request);
    const published = keys[request.url];
    if (published !== undefined) return Response.json({ keys: published });
    if (other === undefined) throw new TypeError("Network connection lost");
    seen.bodies.push(await request.clone().text());
    return other(request);
  });
  return seen;
}

export const CERTS = `${TEAM}/cdn-cgi/access/certs`;

// A time that real alarms do not reach (and that KV, which counts seconds in 32 bits, still takes): in these tests the
// object's alarm rings only when a test rings it.
export const FUTURE = "2035-01-01T12:00:00Z";

// Time stands still at `iso` and moves by `advance`.
export function clockAt(iso: string): { advance(ms: number): void } {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(iso) });
  return { advance: (ms) => void vi.setSystemTime(Date.now() + ms) };
}
