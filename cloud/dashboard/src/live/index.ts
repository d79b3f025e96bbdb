// The page's one store and one socket, put together, and the hooks that views read them by.
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { api, ApiError, result } from "../api/client";
import { workerOrigin } from "../api/origin";
import { queryClient } from "../api/queries";
import { keepDesired } from "./desired";
import type { LogLine, Message } from "./messages";
import type { ServerRow } from "./rows";
import { LiveSocket } from "./socket";
import { type Fleet, FleetStore } from "./store";

export const store = new FleetStore();

export interface Followed {
  namespace: string;
  server: string;
  node?: string;
}
export type LiveLine = LogLine & { node: string };
const lineListeners = new Set<(lines: LiveLine[]) => void>();
export type UsageNews = Extract<Message, { type: "usage" }>;
const usageListeners = new Set<(news: UsageNews) => void>();

const socket = new LiveSocket({
  open: () => new WebSocket(`${workerOrigin.replace(/^http/, "ws")}/v1/watch`, ["mcpfleet.v1"]),
  maySpeak: async () => {
    try {
      await result(api.GET("/v1/whoami"));
      return "yes";
    } catch (error) {
      return error instanceof ApiError && error.status === 401 ? "no" : "unknown";
    }
  },
  since: () => store.since,
  take: (message) => {
    if (message.type === "log") {
      const lines = message.lines.map((line) => ({ ...line, node: message.node }));
      for (const listener of lineListeners) listener(lines);
    }
    if (message.type === "usage") for (const listener of usageListeners) listener(message);
    store.take(message);
  },
  link: (link) => store.setLink(link),
});

const TOLD = new Set<unknown>(["alerts", "proposals", "audit", "nodes"]);

// While somebody is signed in.
export function goLive(): () => void {
  socket.start();
  const kept = keepDesired(store);
  const hurry = () => socket.hurry();
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  let alertsAt = 0;
  let lost = false;
  const endAlerts = store.subscribe(() => {
    const { alertsAt: at, link } = store.current();
    if (at !== alertsAt) void queryClient.invalidateQueries({ queryKey: ["alerts"] });
    alertsAt = at;
    // What was told while the link was away, nobody tells again.
    if (lost && link === "live") void queryClient.invalidateQueries({ predicate: ({ queryKey: [what] }) => TOLD.has(what) });
    lost = link === "lost" || (lost && link !== "live");
  });
  return () => {
    window.removeEventListener("online", hurry);
    document.removeEventListener("visibilitychange", hurry);
    endAlerts();
    kept.end();
    socket.stop();
  };
}

export const useFleet = (): Fleet => useSyncExternalStore(store.subscribe, store.current);

export function useServer(namespace: string, name: string): ServerRow | undefined {
  const { servers } = useFleet();
  return useMemo(() => servers.find((row) => row.namespace === namespace && row.name === name), [servers, namespace, name]);
}

// Live lines while the view is there.
export function useLines(follow: Followed | undefined, take: (lines: LiveLine[]) => void): void {
  const { namespace, server, node } = follow ?? {};
  useEffect(() => {
    if (namespace === undefined || server === undefined) return undefined;
    lineListeners.add(take);
    socket.setFollow({ namespace, server, ...(node === undefined ? {} : { node }) });
    return () => {
      lineListeners.delete(take);
      socket.setFollow(undefined);
    };
  }, [namespace, server, node, take]);
}

// What a server uses, or each server of a node, while the view is there. undefined: nothing.
export function useMeasured(at: { namespace: string; server: string; node: string } | { node: string } | undefined, take: (news: UsageNews) => void): void {
  const { namespace, server, node } = (at ?? {}) as { namespace?: string; server?: string; node?: string };
  useEffect(() => {
    if (node === undefined) return undefined;
    usageListeners.add(take);
    socket.setMeasure({ ...(namespace === undefined ? {} : { namespace }), ...(server === undefined ? {} : { server }), node });
    return () => {
      usageListeners.delete(take);
      socket.setMeasure(undefined);
    };
  }, [namespace, server, node, take]);
}
