// What pages ask for beyond the feed. What a hash names never changes: it is asked for once.
import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";
import { arrived } from "../app/arrive";
import { api, ApiError, type ObjectRow, page, result } from "./client";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: true,
      retry: (count, error) => count < 3 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

const forEver = { staleTime: Number.POSITIVE_INFINITY, gcTime: 30 * 60_000 };

const afterArrival = async () => {
  await arrived;
  return result(api.GET("/v1/whoami"));
};
export const whoami = queryOptions({ queryKey: ["whoami"], queryFn: afterArrival, retry: false, staleTime: 5 * 60_000 });
// Who serves this page, and what it can do: a node's mcplet enrols nobody, for one.
export const host = queryOptions({ queryKey: ["host"], queryFn: () => result(api.GET("/v1/session")), staleTime: 5 * 60_000 });
export const desired = queryOptions({ queryKey: ["desired"], queryFn: () => result(api.GET("/v1/desired")) });
export const snapshotOf = (hash: string) =>
  queryOptions({ queryKey: ["snapshot", hash], queryFn: () => result(api.GET("/v1/desired/snapshots/{hash}", { params: { path: { hash } } })), ...forEver });
// Every object says when it was made; a row that can't is of one that the store has not got (yet).
export const isRead = (row: ObjectRow): boolean => row.created !== "";
export const shardOf = (hash: string) =>
  queryOptions({
    queryKey: ["shard", hash],
    queryFn: () => result(api.GET("/v1/desired/shards/{hash}", { params: { path: { hash } } })),
    staleTime: ({ state: { data } }) => (data?.every(isRead) ? Number.POSITIVE_INFINITY : 0),
    gcTime: 60_000,
  });
export const objectOf = (hash: string) =>
  queryOptions({ queryKey: ["object", hash], queryFn: () => result(api.GET("/v1/desired/objects/{hash}", { params: { path: { hash } } })), ...forEver });
export const serverOf = (namespace: string, server: string) =>
  queryOptions({
    queryKey: ["server", namespace, server],
    queryFn: () => result(api.GET("/v1/servers/{namespace}/{server}", { params: { path: { namespace, server } } })),
    gcTime: 30_000,
  });
export const nodesList = queryOptions({ queryKey: ["nodes"], queryFn: () => result(api.GET("/v1/nodes")) });
export const alerts = queryOptions({ queryKey: ["alerts"], queryFn: () => result(api.GET("/v1/alerts", { params: { query: { all: "true" } } })) });
export const proposals = queryOptions({ queryKey: ["proposals"], queryFn: () => result(api.GET("/v1/desired/proposals")) });
const VERSIONS = 50;
// The versions that end with `head`, newest first.
export const history = (head: string) =>
  infiniteQueryOptions({
    queryKey: ["history", "all", head],
    queryFn: ({ pageParam: from }) => page<HistoryRow[], { next?: string }>(api.GET("/v1/desired/history", { params: { query: { limit: VERSIONS, ...(from === "" ? {} : { from }) } } })),
    initialPageParam: head,
    getNextPageParam: ({ info }) => info.next || undefined,
  });
export type HistoryRow = NonNullable<Awaited<ReturnType<typeof historyRows>>>[number];
const historyRows = () => result(api.GET("/v1/desired/history"));

// Bars of `hours` until now; the end is rounded so that the same minute asks once.
export const uptime = (subject: string, hours: number, bars: number, mean: "true" | "false" = "false") =>
  queryOptions({
    queryKey: ["uptime", subject, hours, bars, mean],
    queryFn: () => {
      const until = new Date(Math.ceil(Date.now() / 60_000) * 60_000);
      const since = new Date(until.getTime() - hours * 3_600_000);
      return result(api.GET("/v1/uptime", { params: { query: { subject, since: since.toISOString(), until: until.toISOString(), bars, mean } } }));
    },
    staleTime: 60_000,
    refetchInterval: 60_000,
  });
