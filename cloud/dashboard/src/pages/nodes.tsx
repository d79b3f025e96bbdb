import type { ColumnDef } from "@tanstack/react-table";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus, SearchX, Server as ServerIcon } from "lucide-react";
import { useDeferredValue, useMemo, useState } from "react";
import { useCan, useMayAct } from "../app/session";
import { matches, wordsOf } from "../lib/filter";
import { ageOf, plural } from "../lib/format";
import { useFleet } from "../live";
import type { NodeRow } from "../live/rows";
import { HealthBadge, Labels, PageHead, Search } from "../ui/parts";
import { Empty, Loading } from "../ui/states";
import { VirtualTable } from "../ui/table";
import { Enrol } from "./enrol";

const route = getRouteApi("/nodes");

export function NodeFlags({ row }: { row: NodeRow }) {
  return (
    <>
      {row.unschedulable && <span className="chip warn">{row.drained ? "drained" : "cordoned"}</span>}
      {row.cloned && <span className="chip bad">copied?</span>}
    </>
  );
}

const columnsFor = (head: string | undefined): ColumnDef<NodeRow, unknown>[] => [
  {
    id: "name",
    header: "Name",
    meta: { width: "minmax(10rem, 2fr)" },
    cell: ({ row: { original } }) => (
      <span className="name-cell">
        <Link to="/nodes/$node" params={{ node: original.name }} className="strong cut">
          {original.name}
        </Link>
        <NodeFlags row={original} />
      </span>
    ),
  },
  { id: "health", header: "Status", meta: { width: "minmax(9rem, 1.4fr)" }, cell: ({ row: { original } }) => <HealthBadge health={original.health} reason={original.reason} /> },
  {
    id: "servers",
    header: "Servers",
    meta: { width: "5rem" },
    cell: ({ row: { original } }) => (
      <span className="number">
        {original.ready}/{original.servers}
      </span>
    ),
  },
  { id: "seen", header: "Last seen", meta: { width: "6rem", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted number">{original.connected ? "now" : original.lastSeen === 0 ? "never" : `${ageOf(original.lastSeen)} ago`}</span> },
  { id: "version", header: "Version", meta: { width: "6rem", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted number">{original.version || "—"}</span> },
  {
    id: "head",
    header: "Runs",
    meta: { width: "5.5rem", phone: "hide" },
    cell: ({ row: { original } }) => (
      <span className={original.head === head || original.head === "" ? "muted number" : "number warn-text"} title={original.head === head ? "the newest version" : `the newest is ${head ?? "none"}`}>
        {original.head || "—"}
      </span>
    ),
  },
  { id: "runtimes", header: "Runtimes", meta: { width: "8rem", phone: "hide" }, cell: ({ row: { original } }) => <span className="muted cut">{original.runtimes.join(", ") || "—"}</span> },
  { id: "labels", header: "Labels", meta: { width: "minmax(8rem, 1.6fr)", phone: "hide" }, cell: ({ row: { original } }) => <Labels labels={original.labels} /> },
];

export function Nodes() {
  const { nodes, synced, head } = useFleet();
  const { q = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const mayAct = useMayAct();
  const enrols = useCan("enrol");
  const [enrolling, setEnrolling] = useState(false);
  const text = useDeferredValue(q);
  const shown = useMemo(() => {
    const words = wordsOf(text);
    return nodes.filter((row) => matches(row.search, words));
  }, [nodes, text]);
  const columns = useMemo(() => columnsFor(head?.order), [head?.order]);
  if (!synced) return <Loading what="Looking for nodes" />;
  return (
    <div className="fill">
      <PageHead title="Nodes" sub={plural(nodes.length, "node")}>
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
            <Search value={q} change={(value) => void navigate({ search: value === "" ? {} : { q: value }, replace: true })} label="Name, label, version…" />
          </div>
          {shown.length === 0 ? <Empty icon={SearchX} title="Nothing matches" /> : <VirtualTable label="Nodes" rows={shown} columns={columns} keyOf={(row) => row.name} />}
        </>
      )}
      {enrolling && <Enrol close={() => setEnrolling(false)} />}
    </div>
  );
}
