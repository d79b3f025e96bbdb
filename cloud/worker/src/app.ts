// The HTTP side, put together. Data flows one way: limits → who → may he → the route → a store or the Fleet object.
import { OpenAPIHono } from "@hono/zod-openapi";
import { authenticate } from "./auth/authenticate.js";
import { cors } from "./http/cors.js";
import { CODE, refuse, Refusal } from "./http/envelope.js";
import { type AppEnv, limitByAddress, securityHeaders } from "./http/guard.js";
import { addAboutRoutes } from "./routes/about.js";
import { addDashboardRoutes } from "./routes/dashboard.js";
import { addDesiredRoutes } from "./routes/desired.js";
import { addEnrolRoutes } from "./routes/enrol.js";
import { addFleetRoutes } from "./routes/fleet.js";
import { addKvRoutes } from "./routes/kv.js";
import { addLogRoutes } from "./routes/logs.js";
import { addMcpRoutes } from "./routes/mcp.js";
import { addSessionRoutes } from "./routes/session.js";
import { addWatchRoute } from "./routes/watch.js";

export function makeApp(): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (result.success) return undefined;
      const issue = result.error.issues[0];
      return refuse(
        400,
        CODE.badRequest,
        `${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "is not valid"}`,
      );
    },
  });
  app.use(securityHeaders, limitByAddress, cors);
  addKvRoutes(app);
  addWatchRoute(app);
  addEnrolRoutes(app);
  addFleetRoutes(app);
  addDesiredRoutes(app);
  addSessionRoutes(app);
  addLogRoutes(app);
  addMcpRoutes(app);
  addAboutRoutes(app);
  addDashboardRoutes(app);

  app.notFound(async (c) => {
    // Who is nobody learns nothing of what there is.
    await authenticate(c.req.raw, c.env, {});
    const other = app.routes.some(
      (route) => route.method !== "ALL" && route.path !== "/*" && matches(route.path, c.req.path),
    );
    return other ? refuse(405, CODE.route, "method not known") : refuse(404, CODE.route, "No route for that URI");
  });
  app.onError((error) => {
    if (error instanceof Refusal) return error.response();
    console.error(JSON.stringify({ message: "a request failed", error: String(error), stack: error.stack }));
    return refuse(503, CODE.badRequest, "the request could not be answered", { "Retry-After": "1" });
  });
  return app;
}

function matches(pattern: string, path: string): boolean {
  const parts = pattern.split("/");
  const given = path.split("/");
  return parts.length === given.length && parts.every((part, index) => part.startsWith(":") || part === given[index]);
}
