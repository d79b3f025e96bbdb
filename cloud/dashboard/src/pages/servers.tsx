import type { ColumnDef } from "@tanstack/react-table";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Box, FileCode2, SearchX } from "lucide-react";
import { useDeferredValue, useMemo } from "react";
import { useMayAct } from "../app/session";
import { endpointHere } from "../app/endpoint";
import { filterServers, type ServerSort, sortServers } from "../lib/filter";
import { count, plural } from "../lib/format";
import { type Change, changed } from "../lib/search";
import { useFleet } from "../live";
import { type Health, NAMED, type ServerRow } from "../live/rows";
import { Age } from "../ui/ago";
import { PinFlag } from "../ui/flags";
import { HealthBadge, Labels, PageHead, Search, Select, STATUS_OPTIONS } from "../ui/parts";
import { OldVersion, useWait } from "../ui/fleet_wait";
import { Empty } from "../ui/states";
import { VirtualTable } from "../ui/table";

const route = getRouteApi("/servers");

// One above the other: beside each other neither has room for more than its end.
function EndpointAndSource({ row }: { row: ServerRow }) {
  const { url, text } = endpointHere(row);
  return (
    <span className="pair mono small">
      <span className="cut-start" title={url}>
        <bdi>{text || "—"}</bdi>
      </span>
      <span className="cut-start muted" title={row.source}>
        <bdi>{row.source || "—"}</bdi>
      </span>
    </span>
  );
}

const nodesOf = ({ nodes, missing }: ServerRow): string[] => [...nodes, ...missing.map((node) => `${node} (not yet)`)];
// Of those that are missing a row names no more than NAMED: then its total knows how many they are.
function nodesInShort(row: ServerRow): string {
  const named = nodesOf(row);
  return named.length > 1 ? plural(row.missing.length < NAMED ? named.length : Math.max(named.length, row.total), "node") : (named[0] ?? "—");
}

export const SERVER_COLUMNS: ColumnDef<ServerRow, unknown>[] = [
  {
    id: "name",
    header: "Name",
    meta: { width: "minmax(7.5rem, 2fr)", sort: "name" },
    cell: ({ row: { original } }) => (
      <span className="name-cell">
        <Link to="/servers/$namespace/$name" params={{ namespace: original.namespace, name: original.name }} className="strong cut" title={original.key}>
          {original.name}
        </Link>
        {original.namespace !== "default" && <span className="muted small cut">{original.namespace}</span>}
        <PinFlag row={original} brief />
      </span>
    ),
  },
  { id: "health", header: "Status", meta: { width: "minmax(15.5rem, 1.5fr)", sort: "health" }, cell: ({ row: { original } }) => <HealthBadge health={original.health} reason={original.reason} /> },
  { id: "ready", header: "Ready", meta: { width: "3.4rem", sort: "ready" }, cell: ({ row: { original } }) => <span className={original.ready < original.total && original.health !== "off" ? "number warn-text" : "number"}>{`${original.ready}/${original.total}`}</span> },
  {
    id: "nodes",
    header: "Nodes",
    meta: { width: "minmax(4.6rem, 0.6fr)", phone: "hide" },
    cell: ({ row: { original } }) => (
      <span className="muted small cut" title={nodesOf(original).join(", ")}>
        {nodesInShort(original)}
      </span>
    ),
  },
  { id: "tools", header: "Tools", meta: { width: "3rem", sort: "tools", phone: "hide" }, cell: ({ row: { original } }) => <span className="number">{original.tools || "—"}</span> },
  { id: "protocol", header: "Protocol", meta: { width: "5.9rem", sort: "protocol", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted small number cut" title={original.protocol}>{original.protocol || "—"}</span> },
  { id: "restarts", header: "Restarts", meta: { width: "4.5rem", sort: "restarts", phone: "hide" }, cell: ({ row: { original } }) => <span className={original.restarts > 0 ? "number warn-text" : "number muted"}>{original.restarts}</span> },
  { id: "endpoint", header: "Endpoint, source", meta: { width: "minmax(9rem, 2.4fr)", phone: "hide" }, cell: ({ row: { original } }) => <EndpointAndSource row={original} /> },
  { id: "labels", header: "Labels", meta: { width: "minmax(6.6rem, 1.2fr)", phone: "hide" }, cell: ({ row: { original } }) => <Labels labels={original.labels} /> },
  { id: "created", header: "Age", meta: { width: "3rem", sort: "created", phone: "hide" }, cell: ({ row: { original } }) => <Age at={original.created} className="muted number" /> },
];

export function Servers() {
  const { servers } = useFleet();
  const wait = useWait("Looking for servers");
  const { q = "", health = "", ns = "", sort = "name", desc = false } = route.useSearch();
  const navigate = route.useNavigate();
  const mayAct = useMayAct();
  const set = (change: Change<{ q: string; health: Health | ""; ns: string; sort: ServerSort; desc: boolean }>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const text = useDeferredValue(q);
  const shown = useMemo(() => sortServers(filterServers(servers, { text, health, namespace: ns }), sort, desc), [servers, text, health, ns, sort, desc]);
  const namespaces = useMemo(() => [...new Set(servers.map((row) => row.namespace))].sort(), [servers]);
  if (wait !== undefined) return wait;
  return (
    <div className="fill">
      <PageHead title="Servers" sub={shown.length === servers.length ? plural(servers.length, "server") : `${count(shown.length)} of ${plural(servers.length, "server")}`}>
        {mayAct && (
          <Link to="/apply" className="button primary">
            <FileCode2 aria-hidden /> Apply a manifest
          </Link>
        )}
      </PageHead>
      <OldVersion />
      {servers.length === 0 ? (
        <Empty icon={Box} title="No servers yet" action={mayAct ? <Link to="/apply" className="button primary">Apply the first one</Link> : undefined}>
          Apply a manifest here, or with <code>mcpctl apply -f server.yaml</code>.
        </Empty>
      ) : (
        <>
          <div className="filters">
            <Search value={q} change={(value) => set({ q: value })} label="Name, label, source, node…" />
            <Select value={health} change={(value) => set({ health: value })} label="Status" options={STATUS_OPTIONS} />
            {namespaces.length > 1 && <Select value={ns} change={(value) => set({ ns: value })} label="Namespace" options={[{ value: "", label: "All namespaces" }, ...namespaces.map((value) => ({ value, label: value }))]} />}
          </div>
          {shown.length === 0 ? (
            <Empty icon={SearchX} title="Nothing matches" action={<button type="button" className="button" onClick={() => set({ q: "", health: "", ns: "" })}>Clear the filter</button>}>
              All words must be found; <code>-word</code> leaves out, <code>tier=gold</code> finds a label.
            </Empty>
          ) : (
            <VirtualTable label="Servers" rows={shown} columns={SERVER_COLUMNS} keyOf={(row) => row.key} sort={sort} descending={desc} sortBy={(by) => set(by === sort ? { desc: !desc } : { sort: by as ServerSort, desc: false })} />
          )}
        </>
      )}
    </div>
  );
}
