// One way to add a route: what it is for, who may use it and what it takes and gives stand together, and the OpenAPI
// description is made from that.
import { type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { Rule } from "../auth/caller.js";
import { type AppContext, type AppEnv, guard } from "../http/guard.js";
import { audited } from "../http/audited.js";

export interface RouteDescription {
  method: "get" | "put" | "post" | "patch" | "delete";
  path: string; // as OpenAPI has it: /v1/nodes/{node}
  tag: string;
  summary: string;
  rule: Rule;
  query?: z.ZodObject;
  body?: z.ZodType;
  bodyType?: string;
  responses: RouteConfig["responses"];
  // What is written down of who asked for it, once it was done; {"…"} of the path is what it was done to.
  audit?: string;
}

export function addRoute(
  app: OpenAPIHono<AppEnv>,
  route: RouteDescription,
  handler: (c: AppContext) => Response | Promise<Response>,
): void {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
  app.openAPIRegistry.registerPath({
    method: route.method,
    path: route.path,
    tags: [route.tag],
    summary: route.summary,
    security: route.rule.public ? [] : [{ bearer: [] }, { access: [] }],
    request: {
      ...(names.length === 0 ? {} : { params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.body === undefined
        ? {}
        : { body: { content: { [route.bodyType ?? "application/json"]: { schema: route.body } } } }),
    },
    responses: route.responses,
  });
  const noted = route.audit === undefined ? handler : audited(route.audit, names, handler);
  app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ":$1"), guard(route.rule), noted);
}
