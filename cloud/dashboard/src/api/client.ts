// All requests go through here: typed by the Worker's own description, which mcplet answers a part of, credentials by the browser's cookie (or Cloudflare Access).
import createClient, { type Middleware } from "openapi-fetch";
import { withCookie, workerOrigin } from "./origin";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type ObjectRow = Schemas["ObjectRow"];
export type Violation = Schemas["Violation"];
export type ChangeResult = Schemas["ChangeResult"];
export type Alert = Schemas["Alert"];
export type FleetObject = Schemas["FleetObject"];
export type ServerSummary = Schemas["ServerSummary"];
export type FeedNode = Schemas["FeedNode"];
export type Host = Schemas["Host"];
export type Feature = Host["features"][number];

// What was refused, or could not be asked.
export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer
    message: string,
  ) {
    super(message);
  }
}

const signedOut = new Set<() => void>();
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

const failures: Middleware = {
  async onResponse({ response }) {
    if (response.ok) return;
    if (response.status === 401) for (const listener of signedOut) listener();
    const body = (await response.clone().json().catch(() => undefined)) as { errors?: { message?: string }[] } | undefined;
    throw new ApiError(response.status, body?.errors?.[0]?.message ?? `the answer was ${response.status}`);
  },
  onError() {
    throw new ApiError(0, "there is no answer");
  },
};

export const api = createClient<paths>({ baseUrl: workerOrigin, credentials: withCookie });
api.use(failures);

interface Enveloped<T> {
  data?: { result?: T; result_info?: unknown };
}
// The result inside the envelope. A refusal has been thrown before this.
export async function result<T>(answer: Promise<Enveloped<T>>): Promise<T> {
  const { data } = await answer;
  return data?.result as T;
}
export async function page<T, I>(answer: Promise<Enveloped<T>>): Promise<{ result: T; info: I }> {
  const { data } = await answer;
  return { result: data?.result as T, info: (data?.result_info ?? {}) as I };
}
