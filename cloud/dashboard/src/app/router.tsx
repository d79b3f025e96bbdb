import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Overview } from "../pages/overview";
import { HEALTHS } from "../live/rows";
import { NODE_SORTS, SERVER_SORTS } from "../lib/filter";
import { Failed, NotThere } from "../ui/states";
import { keepScroll } from "./scroll";
import { Shell } from "./shell";

const oneOf = <T extends string>(allowed: readonly T[], value: unknown): T | undefined => allowed.find((each) => each === value);
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value.slice(0, 500) : typeof value === "number" ? String(value) : undefined);
const optional = <T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };

const Broken = ({ error }: { error: unknown }) => <Failed error={error} page />;
const root = createRootRoute({ component: Shell, notFoundComponent: NotThere, errorComponent: Broken });
const overview = createRoute({ getParentRoute: () => root, path: "/", component: Overview });

const servers = createRoute({
  getParentRoute: () => root,
  path: "/servers",
  component: lazyRouteComponent(() => import("../pages/servers"), "Servers"),
  validateSearch: (search: Record<string, unknown>) =>
    optional({
      q: text(search.q),
      health: oneOf(HEALTHS, search.health),
      ns: text(search.ns),
      sort: oneOf(SERVER_SORTS, search.sort),
      desc: search.desc === true ? true : undefined,
    }),
});
// A time in the address is kept as it is there; "": it is none.
const time = (value: unknown): string | undefined => (typeof value === "string" && Number.isFinite(Date.parse(value)) ? value.slice(0, 40) : undefined);
const RANGES = ["15m", "1h", "6h", "24h", "7d"] as const;
export type LogRange = (typeof RANGES)[number];
// What of the logs is looked at; `from` and `until` stand for a time that somebody chose, instead of `range`.
export interface LogSearch {
  node?: string;
  q?: string;
  range?: LogRange;
  from?: string;
  until?: string;
}
const logSearch = (search: Record<string, unknown>): LogSearch => optional({ node: text(search.node), q: text(search.q), range: oneOf(RANGES, search.range), from: time(search.from), until: time(search.until) });

const TABS = ["status", "usage", "tools", "logs", "yaml", "history"] as const;
export type ServerTab = (typeof TABS)[number];
const server = createRoute({
  getParentRoute: () => root,
  path: "/servers/$namespace/$name",
  component: lazyRouteComponent(() => import("../pages/server"), "Server"),
  validateSearch: (search: Record<string, unknown>) => ({ ...optional({ tab: oneOf(TABS, search.tab), tool: text(search.tool) }), ...logSearch(search) }),
});
const nodes = createRoute({
  getParentRoute: () => root,
  path: "/nodes",
  component: lazyRouteComponent(() => import("../pages/nodes"), "Nodes"),
  validateSearch: (search: Record<string, unknown>) => optional({ q: text(search.q), health: oneOf(HEALTHS, search.health), sort: oneOf(NODE_SORTS, search.sort), desc: search.desc === true ? true : undefined }),
});
const node = createRoute({ getParentRoute: () => root, path: "/nodes/$node", component: lazyRouteComponent(() => import("../pages/node"), "Node") });
const apply = createRoute({
  getParentRoute: () => root,
  path: "/apply",
  component: lazyRouteComponent(() => import("../pages/apply"), "Apply"),
  // What became of an apply: the version that it made and its snapshot, or the proposal.
  validateSearch: (search: Record<string, unknown>) => optional({ object: text(search.object), rollout: text(search.rollout), at: text(search.at), proposed: text(search.proposed) }),
});
const logs = createRoute({
  getParentRoute: () => root,
  path: "/logs",
  component: lazyRouteComponent(() => import("../pages/logs"), "Logs"),
  validateSearch: (search: Record<string, unknown>) => ({ ...optional({ server: text(search.server) }), ...logSearch(search) }),
});
const ALERT_TABS = ["open", "seen", "past", "uptime"] as const;
export type AlertTab = (typeof ALERT_TABS)[number];
const alerts = createRoute({
  getParentRoute: () => root,
  path: "/alerts",
  component: lazyRouteComponent(() => import("../pages/alerts"), "Alerts"),
  validateSearch: (search: Record<string, unknown>) => optional({ tab: oneOf(ALERT_TABS, search.tab) }),
});
const history = createRoute({
  getParentRoute: () => root,
  path: "/history",
  component: lazyRouteComponent(() => import("../pages/history"), "History"),
  validateSearch: (search: Record<string, unknown>) => optional({ at: text(search.at) }),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  component: lazyRouteComponent(() => import("../pages/audit"), "Audit"),
  validateSearch: (search: Record<string, unknown>) => optional({ q: text(search.q), who: text(search.who), what: text(search.what) }),
});

export const router = createRouter({
  routeTree: root.addChildren([overview, servers, server, nodes, node, apply, logs, alerts, history, audit]),
  basepath: "/-",
  defaultPreload: "intent",
  defaultErrorComponent: Broken, // of a page: what is around it stays
});
keepScroll(router);

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
