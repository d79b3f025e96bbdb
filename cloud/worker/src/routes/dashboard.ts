// The dashboard's files (cloud/dashboard, built into public/). Below "/-", which no namespace can be named, so that no page is in the way
// of a routed server. The files are no secret; all that they show is asked for with the person's own credentials.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AppContext, AppEnv } from "../http/guard.js";
import { randomToken } from "../schema/hash.js";
import { addRoute } from "./add.js";

const NONCE = "__CSP_NONCE__";
const PAGE = "/index.html";

// Scripts are files of this origin and nothing else; styles too, and those that CodeMirror makes, by a number that is good once.
export function policyFor(host: string, nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src 'self' ws://${host} wss://${host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function fileAt(c: AppContext, path: string): Promise<Response | undefined> {
  const response = await c.env.ASSETS?.fetch(new Request(new URL(path, c.req.url), { redirect: "manual" }));
  if (response?.ok) return response;
  await response?.body?.cancel();
  return undefined;
}

const plain = (text: string, status: number) => new Response(`${text}\n`, { status, headers: { "Content-Type": "text/plain; charset=utf-8" } });

async function serve(c: AppContext): Promise<Response> {
  const path = new URL(c.req.url).pathname.slice("/-".length);
  if (/^\/(assets\/|favicon\.svg$)/.test(path)) {
    const file = await fileAt(c, path);
    if (file === undefined) return plain("no such file: the page is of another version, load it again", 404);
    const headers = new Headers({ "Content-Type": file.headers.get("Content-Type") ?? "application/octet-stream" });
    // Its name has the hash of its content.
    headers.set("Cache-Control", path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "public, max-age=86400");
    return new Response(file.body, { headers });
  }
  const page = await fileAt(c, PAGE);
  if (page === undefined) return plain("the dashboard is not built: npm run build in cloud/dashboard", 404);
  const nonce = randomToken(16);
  return new Response((await page.text()).replaceAll(NONCE, nonce), {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policyFor(new URL(c.req.url).host, nonce),
    },
  });
}

export function addDashboardRoutes(app: OpenAPIHono<AppEnv>): void {
  const html = { 200: { description: "the page", content: { "text/html": { schema: z.string() } } } };
  const tag = "dashboard";
  const rule = { public: true } as const;
  addRoute(app, { method: "get", path: "/", tag, summary: "To the dashboard", rule, responses: { 302: { description: "to /-/" } } }, () => new Response(null, { status: 302, headers: { Location: "/-/" } }));
  addRoute(app, { method: "get", path: "/-/*", tag, summary: "The dashboard: its page at every path, its files below assets", rule, responses: html }, serve);
}
