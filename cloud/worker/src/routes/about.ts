// What there is: the description of this API, and whether it answers.
import type { OpenAPIHono } from "@hono/zod-openapi";
import { FeedDelta, FeedState } from "../fleet/feed.js";
import { News } from "../fleet/news.js";
import { ServerUsage } from "../fleet/usage.js";
import type { AppEnv } from "../http/guard.js";
import { addRoute } from "./add.js";

export function describe(app: OpenAPIHono<AppEnv>): unknown {
  // What a socket says has no route: these are named so that clients can be made from the description alone.
  app.openAPIRegistry.register("FeedState", FeedState);
  app.openAPIRegistry.register("FeedDelta", FeedDelta);
  app.openAPIRegistry.register("News", News);
  app.openAPIRegistry.register("ServerUsage", ServerUsage);
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "a device token, or a token of an operator or viewer",
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "access", {
    type: "apiKey",
    in: "header",
    name: "Cf-Access-Jwt-Assertion",
    description: "set by Cloudflare Access",
  });
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "mcpfleet Worker",
      version: "v1alpha1",
      description:
        "The store of a fleet of MCP servers on Cloudflare. Messages of /v1/watch: docs/cloudflare-protocol.md.",
    },
  });
}

export function addAboutRoutes(app: OpenAPIHono<AppEnv>): void {
  let text: string | undefined;
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/openapi.json",
      tag: "about",
      summary: "This description",
      rule: { public: true },
      responses: { 200: { description: "OpenAPI 3.1" } },
    },
    () => new Response((text ??= JSON.stringify(describe(app))), { headers: { "Content-Type": "application/json" } }),
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/health",
      tag: "about",
      summary: "Whether the Worker answers; touches nothing",
      rule: { public: true },
      responses: { 200: { description: "ok" } },
    },
    () => new Response("ok\n", { headers: { "Content-Type": "text/plain" } }),
  );
}
