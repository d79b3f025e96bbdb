import type { ColumnDef } from "@tanstack/react-table";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus, SearchX, Server as ServerIcon } from "lucide-react";
import { useDeferredValue, useMemo, useState } from "react";
import { useCan, useMayAct } from "../app/session";
import { filterNodes, type NodeSort, sortNodes } from "../lib/filter";
import { count, plural } from "../lib/format";
import { isBehind } from "../lib/rollout";
import { type Change, changed } from "../lib/search";
import { bytesText } from "../lib/usage";
import { useFleet } from "../live";
import { type Health, type NodeRow, readyText, readyWords } from "../live/rows";
import { Seen } from "../ui/ago";
import { NodeFlags } from "../ui/flags";
import { HealthBadge, Labels, PageHead, Search, Select, STATUS_OPTIONS } from "../ui/parts";
import { Empty, Loading } from "../ui/states";
import { VirtualTable } from "../ui/table";
import { Enrol } from "./enrol";

const route = getRouteApi("/nodes");

const columnsFor = (head: string | undefined): ColumnDef<NodeRow, unknown>[] => [
  {
    id: "name",
    header: "Name",
    meta: { width: "minmax(9.5rem, 1.5fr)", sort: "name" },
    cell: ({ row: { original } }) => (
      <span className="name-cell">
        <Link to="/nodes/$node" params={{ node: original.name }} className="strong cut">
          {original.name}
        </Link>
        <NodeFlags row={original} />
      </span>
    ),
  },
  { id: "health", header: "Status", meta: { width: "minmax(12.6rem, 1.6fr)", sort: "health" }, cell: ({ row: { original } }) => <HealthBadge health={original.health} reason={original.reason} /> },
  {
    id: "servers",
    header: "Servers",
    meta: { width: "4.6rem", sort: "servers" },
    cell: ({ row: { original } }) => (
      <span className={original.health === "offline" ? "number muted" : "number"} title={`ready: ${readyWords(original)}`}>
        {readyText(original)}
      </span>
    ),
  },
  { id: "seen", header: "Last seen", meta: { width: "5.6rem", sort: "seen", phone: "hide" }, cell: ({ row: { original } }) => <Seen row={original} className="muted number" /> },
  { id: "version", header: "mcplet", meta: { width: "4.3rem", sort: "version", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted number cut" title={original.version}>{original.version || "—"}</span> },
  {
    id: "head",
    header: "Fleet version",
    meta: { width: "6.6rem", sort: "head", phone: "hide" },
    cell: ({ row: { original } }) => (
      <span className={isBehind(original.head, head) ? "number warn-text" : "muted number"} title={isBehind(original.head, head) ? `the newest is ${head}` : undefined}>
        {original.head || "—"}
      </span>
    ),
  },
  {
    id: "capacity",
    header: "Capacity",
    meta: { width: "9.4rem", phone: "hide" },
    cell: ({ row: { original: { capacity } } }) => <span className="muted number cut">{capacity.cpus === 0 ? "—" : `${plural(capacity.cpus, "CPU")}, ${bytesText(capacity.memoryBytes)}`}</span>,
  },
  { id: "runtimes", header: "Runtimes", meta: { width: "6rem", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted cut" title={original.runtimes.join(", ")}>{original.runtimes.join(", ") || "—"}</span> },
  { id: "labels", header: "Labels", meta: { width: "minmax(5.5rem, 1.2fr)", phone: "hide" }, cell: ({ row: { original } }) => <Labels labels={original.labels} /> },
];

export function Nodes() {
  const { nodes, synced, head } = useFleet();
  const { q = "", health = "", sort = "name", desc = false } = route.useSearch();
  const navigate = route.useNavigate();
  const set = (change: Change<{ q: string; health: Health | ""; sort: NodeSort; desc: boolean }>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const mayAct = useMayAct();
  const enrols = useCan("enrol");
  const [enrolling, setEnrolling] = useState(false);
  const text = useDeferredValue(q);
  const shown = useMemo(() => sortNodes(filterNodes(nodes, { text, health }), sort, desc), [nodes, text, health, sort, desc]);
  const columns = useMemo(() => columnsFor(head?.order), [head?.order]);
  if (!synced) return <Loading what="Looking for nodes" />;
  return (
    <div className="fill">
      <PageHead title="Nodes" sub={shown.length === nodes.length ? plural(nodes.length, "node") : `${count(shown.length)} of ${plural(nodes.length, "node")}`}>
        {mayAct && enrols && (
          <button type="button" className="button primary" onClick={() => setEnrolling(true)}>
            <Plus aria-hidden /> Enrol a node
          </button>
        )}
      </PageHead>
      {nodes.length === 0 ? (
        <Empty icon={ServerIcon} title="No nodes yet">{mayAct && enrols ? "Enrol a machine: you get one command to run there." : "An operator enrols machines."}</Empty>
      ) : (
        <>
          <div className="filters">
            <Search value={q} change={(value) => set({ q: value })} label="Name, label, version, reason, runtime…" />
            <Select value={health} change={(value) => set({ health: value })} label="Status" options={STATUS_OPTIONS.filter(({ value }) => value !== "off")} />
          </div>
          {shown.length === 0 ? (
            <Empty icon={SearchX} title="Nothing matches" action={<button type="button" className="button" onClick={() => set({ q: "", health: "" })}>Clear the filter</button>}>
              All words must be found; <code>-word</code> leaves out, <code>site=berlin</code> finds a label, <code>cordoned</code> what takes nothing new.
            </Empty>
          ) : (
            <VirtualTable label="Nodes" rows={shown} columns={columns} keyOf={(row) => row.name} sort={sort} descending={desc} sortBy={(by) => set(by === sort ? { desc: !desc } : { sort: by as NodeSort, desc: false })} />
          )}
        </>
      )}
      {enrolling && <Enrol close={() => setEnrolling(false)} />}
    </div>
  );
}
