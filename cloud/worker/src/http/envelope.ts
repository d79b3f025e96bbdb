// The answers of the KV REST protocol: always an envelope, also for refusals. The codes are Cloudflare's own where it
// has one; store/server/kv_server.cc answers the same.
import { z } from "zod";

export const CODE = {
  authentication: 10000,
  badRequest: 10001,
  route: 7003,
  keyNotFound: 10009,
  namespaceNotFound: 10013,
  condition: 10040, // ours: Cloudflare has no conditional writes
  notSigned: 10041, // ours: not signed as the fleet's trust documents ask
  rateLimit: 10429, // ours
} as const;

export const Envelope = z.object({
  result: z.unknown(),
  success: z.boolean(),
  errors: z.array(z.object({ code: z.int(), message: z.string() })),
  messages: z.array(z.unknown()),
});

export function reply(result: unknown, resultInfo?: unknown, status = 200): Response {
  const body = {
    result,
    success: true,
    errors: [],
    messages: [],
    ...(resultInfo === undefined ? {} : { result_info: resultInfo }),
  };
  return Response.json(body, { status });
}

export function refuse(status: number, code: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json(
    { result: null, success: false, errors: [{ code, message }], messages: [] },
    { status, headers },
  );
}

// A refusal on its way up; app.ts turns it into an answer.
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
  response(): Response {
    return refuse(this.status, this.code, this.message, this.headers);
  }
}

export const badRequest = (message: string) => new Refusal(400, CODE.badRequest, message);
export const tooLarge = (message: string) => new Refusal(413, CODE.badRequest, message);
export const forbidden = (message = "Authentication error") => new Refusal(403, CODE.authentication, message);
export const unauthenticated = () => new Refusal(401, CODE.authentication, "Authentication error");
export const tooMany = (message: string, seconds: number) => new Refusal(429, CODE.rateLimit, message, { "Retry-After": String(seconds) });
export const notFound = (message: string) => new Refusal(404, CODE.keyNotFound, message);
