// The dashboard, served by the Worker itself.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AppContext, AppEnv } from "../http/guard.js";
import { readAsset, servePage } from "../http/page.js";
import { addRoute } from "./add.js";

const serve = (c: AppContext): Promise<Response> =>
  servePage(new URL(c.req.url), { page: "/index.html", read: (path) => readAsset(c.env.ASSETS, new URL(path, c.req.url)) });

export function addDashboardRoutes(app: OpenAPIHono<AppEnv>): void {
  const html = { 200: { description: "the page", content: { "text/html": { schema: z.string() } } } };
  const tag = "dashboard";
  const rule = { public: true } as const;
  addRoute(app, { method: "get", path: "/", tag, summary: "To the dashboard", rule, responses: { 302: { description: "to /-/" } } }, () => new Response(null, { status: 302, headers: { Location: "/-/" } }));
  addRoute(app, { method: "get", path: "/-/*", tag, summary: "The dashboard: its page at every path, its files below assets", rule, responses: html }, serve);
}
