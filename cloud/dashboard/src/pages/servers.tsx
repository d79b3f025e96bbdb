import type { ColumnDef } from "@tanstack/react-table";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Box, FileCode2, SearchX } from "lucide-react";
import { useDeferredValue, useMemo } from "react";
import { useMayAct } from "../app/session";
import { endpointHere } from "../app/endpoint";
import { filterServers, type ServerSort, sortServers } from "../lib/filter";
import { ageOf, plural } from "../lib/format";
import { type Change, changed } from "../lib/search";
import { useFleet } from "../live";
import { type Health, HEALTH_WORD, type ServerRow } from "../live/rows";
import { PinFlag } from "../ui/flags";
import { HealthBadge, Labels, PageHead, Search, Select } from "../ui/parts";
import { Empty, Loading } from "../ui/states";
import { VirtualTable } from "../ui/table";

const route = getRouteApi("/servers");

function EndpointCell({ row }: { row: ServerRow }) {
  const { url, text } = endpointHere(row);
  return (
    <span className="muted cut-start mono small" title={url}>
      <bdi>{text || "—"}</bdi>
    </span>
  );
}

export const SERVER_COLUMNS: ColumnDef<ServerRow, unknown>[] = [
  {
    id: "name",
    header: "Name",
    meta: { width: "minmax(8rem, 1.5fr)", sort: "name" },
    cell: ({ row: { original } }) => (
      <span className="name-cell">
        <Link to="/servers/$namespace/$name" params={{ namespace: original.namespace, name: original.name }} className="strong cut">
          {original.name}
        </Link>
        {original.namespace !== "default" && <span className="muted small">{original.namespace}</span>}
        <PinFlag row={original} />
      </span>
    ),
  },
  { id: "health", header: "Status", meta: { width: "minmax(14rem, 1.9fr)", sort: "health" }, cell: ({ row: { original } }) => <HealthBadge health={original.health} reason={original.reason} /> },
  {
    id: "ready",
    header: "Nodes",
    meta: { width: "minmax(6.2rem, 1.1fr)", sort: "ready" },
    cell: ({ row: { original } }) => (
      <span className="cut" title={original.nodes.slice(0, 20).join(", ")}>
        <span className="number">
          {original.ready}/{original.total}
        </span>{" "}
        <span className="muted small wide-only">{original.nodes.slice(0, 3).join(", ")}</span>
      </span>
    ),
  },
  { id: "tools", header: "Tools", meta: { width: "3.6rem", sort: "tools", phone: "hide" }, cell: ({ row: { original } }) => <span className="number">{original.tools || "—"}</span> },
  { id: "restarts", header: "Restarts", meta: { width: "5.2rem", sort: "restarts", phone: "hide" }, cell: ({ row: { original } }) => <span className={original.restarts > 0 ? "number warn-text" : "number muted"}>{original.restarts}</span> },
  {
    id: "endpoint",
    header: "Endpoint",
    meta: { width: "minmax(6rem, 1.2fr)", phone: "hide" },
    cell: ({ row: { original } }) => <EndpointCell row={original} />,
  },
  {
    id: "source",
    header: "Source",
    meta: { width: "minmax(6.5rem, 1.4fr)", phone: "hide" },
    cell: ({ row: { original } }) => (
      <span className="muted cut-start mono small" title={original.source}>
        <bdi>{original.source || "—"}</bdi>
      </span>
    ),
  },
  { id: "labels", header: "Labels", meta: { width: "minmax(5.5rem, 1.1fr)", phone: "hide" }, cell: ({ row: { original } }) => <Labels labels={original.labels} /> },
  { id: "created", header: "Age", meta: { width: "3rem", sort: "created", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted number">{ageOf(original.created)}</span> },
];

const HEALTHS: { value: Health | ""; label: string }[] = [{ value: "", label: "Any status" }, ...(Object.keys(HEALTH_WORD) as Health[]).map((value) => ({ value, label: HEALTH_WORD[value] }))];

export function Servers() {
  const { servers, synced, desiredKnown } = useFleet();
  const { q = "", health = "", ns = "", sort = "name", desc = false } = route.useSearch();
  const navigate = route.useNavigate();
  const mayAct = useMayAct();
  const set = (change: Change<{ q: string; health: Health | ""; ns: string; sort: ServerSort; desc: boolean }>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const text = useDeferredValue(q);
  const shown = useMemo(() => sortServers(filterServers(servers, { text, health, namespace: ns }), sort, desc), [servers, text, health, ns, sort, desc]);
  const namespaces = useMemo(() => [...new Set(servers.map((row) => row.namespace))].sort(), [servers]);
  if (!synced || !desiredKnown) return <Loading what="Looking for servers" />;
  return (
    <div className="fill">
      <PageHead title="Servers" sub={shown.length === servers.length ? plural(servers.length, "server") : `${shown.length.toLocaleString()} of ${plural(servers.length, "server")}`}>
        {mayAct && (
          <Link to="/apply" className="button primary">
            <FileCode2 aria-hidden /> Apply a manifest
          </Link>
        )}
      </PageHead>
      {servers.length === 0 ? (
        <Empty icon={Box} title="No servers yet" action={mayAct ? <Link to="/apply" className="button primary">Apply the first one</Link> : undefined}>
          Apply a manifest here, or with <code>mcpctl apply -f server.yaml</code>.
        </Empty>
      ) : (
        <>
          <div className="filters">
            <Search value={q} change={(value) => set({ q: value })} label="Name, label, source, node…" />
            <Select value={health} change={(value) => set({ health: value })} label="Status" options={HEALTHS} />
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
