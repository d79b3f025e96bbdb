// Lines of one server or of all, from the store, and live while one server is looked at.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useQuery } from "@tanstack/react-query";
import { Download, ScrollText } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, page } from "../api/client";
import type { LogRange } from "../app/router";
import { useOfNode } from "../app/session";
import { clockOf, timeOf } from "../lib/format";
import { asText, type Line, mergeLines } from "../lib/lines";
import { type LiveLine, useLines } from "../live";
import { Empty, Failed, Loading } from "../ui/states";
import { Search, Select } from "../ui/parts";

const HOURS: Record<LogRange, number> = { "15m": 0.25, "1h": 1, "6h": 6, "24h": 24, "7d": 168 };
const RANGES: { value: LogRange; label: string }[] = [
  { value: "15m", label: "Last 15 minutes" },
  { value: "1h", label: "Last hour" },
  { value: "6h", label: "Last 6 hours" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
];
const PAGES = 4;
const NEAR_END_PX = 60;

interface Asked {
  namespace?: string | undefined;
  server?: string | undefined;
  node?: string | undefined;
  contains: string;
  range: LogRange;
}

async function stored({ namespace, server, node, contains, range }: Asked): Promise<{ lines: Line[]; missing: number; more: boolean }> {
  const lines: Line[] = [];
  let cursor = "";
  let missing = 0;
  const since = new Date(Date.now() - HOURS[range] * 3_600_000).toISOString();
  for (let count = 0; count < PAGES; ++count) {
    const query = { since, limit: 1000, ...(namespace === undefined ? {} : { namespace }), ...(server === undefined ? {} : { server }), ...(node ? { node } : {}), ...(contains === "" ? {} : { contains }), ...(cursor === "" ? {} : { cursor }) };
    const { result, info } = await page<{ time: string; node: string; namespace: string; server: string; stream: string; text: string }[], { cursor: string; missing: number }>(api.GET("/v1/logs", { params: { query } }));
    lines.push(...result.map((row) => ({ time: row.time, node: row.node, stream: row.stream, text: row.text, server: `${row.namespace}/${row.server}` })));
    missing += info.missing ?? 0;
    cursor = info.cursor ?? "";
    if (cursor === "") break;
  }
  return { lines, missing, more: cursor !== "" };
}

function save(lines: readonly Line[], name: string): void {
  const url = URL.createObjectURL(new Blob([asText(lines)], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.log`;
  link.click();
  URL.revokeObjectURL(url);
}

function Lines({ lines, withServer, follow }: { lines: readonly Line[]; withServer: boolean; follow: boolean }) {
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 22, overscan: 30 });
  useEffect(() => {
    if (follow && atEnd.current && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [lines, follow, virtual]);
  return (
    <div
      className="log"
      ref={scroller}
      tabIndex={0}
      role="log"
      aria-label="Log lines"
      aria-live="off"
      onScroll={({ currentTarget: box }) => (atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX)}
    >
      <div className="log-lines" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const line = lines[item.index]!;
          return (
            <div key={item.key} ref={virtual.measureElement} data-index={item.index} className={`log-line ${line.stream}`} style={{ transform: `translateY(${item.start}px)` }}>
              <time dateTime={line.time} title={timeOf(line.time)}>
                {clockOf(line.time)}
              </time>
              <span className="log-from">{withServer ? `${line.node} ${line.server.replace(/^default\//, "")}` : line.node}</span>
              <span className="log-text">{line.text}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

export interface LogViewProps {
  namespace?: string | undefined;
  server?: string | undefined;
  nodes: readonly string[];
  asked?: { node: string; q: string; range: LogRange };
  change?(asked: { node: string; q: string; range: LogRange }): void;
}

export function LogView({ namespace, server, nodes, asked: given, change }: LogViewProps) {
  const [own, setOwn] = useState({ node: "", q: "", range: "1h" as LogRange });
  const { node, q, range } = given ?? own;
  const set = (more: Partial<typeof own>) => (change ?? setOwn)({ node, q, range, ...more });
  const [contains, setContains] = useState(q);
  useEffect(() => {
    const timer = setTimeout(() => setContains(q.slice(0, 256)), 350);
    return () => clearTimeout(timer);
  }, [q]);
  const { data, error, isPending, refetch } = useQuery({ queryKey: ["logs", namespace, server, node, contains, range], queryFn: () => stored({ namespace, server, node, contains, range }), staleTime: 5000, gcTime: 60_000 });
  const [live, setLive] = useState<Line[]>([]);
  useEffect(() => setLive([]), [namespace, server, node, contains]);
  const take = useCallback(
    (lines: LiveLine[]) => {
      const wanted = lines.filter((line) => contains === "" || line.text.includes(contains));
      setLive((before) => mergeLines(before, wanted.map((line) => ({ time: line.time, node: line.node, stream: line.stream ?? "", text: line.text, server: `${namespace}/${server}` }))));
    },
    [contains, namespace, server],
  );
  const ofNode = useOfNode();
  const one = namespace !== undefined && server !== undefined;
  useLines(one ? { namespace, server, ...(node === "" ? {} : { node }) } : undefined, take);
  const lines = mergeLines(data?.lines ?? [], live);
  return (
    <div className="log-view">
      <div className="filters">
        <Search value={q} change={(value) => set({ q: value })} label="Lines with this text (case counts)" />
        <Select value={range} change={(value) => set({ range: value })} label="Time" options={RANGES} />
        {nodes.length > 1 && <Select value={node} change={(value) => set({ node: value })} label="Node" options={[{ value: "", label: "All nodes" }, ...nodes.map((value) => ({ value, label: value }))]} />}
        {one && (
          <span className="link-state live" role="status">
            <span className="dot" aria-hidden /> Following
          </span>
        )}
        <button type="button" className="button" disabled={lines.length === 0} onClick={() => save(lines, server ?? "fleet")}>
          <Download aria-hidden /> Download
        </button>
      </div>
      {(data?.missing ?? 0) > 0 && <div className="banner warn">{data?.missing} parts could not be read; lines are missing.</div>}
      {data?.more && <div className="banner warn">Only the first part of the time is shown. Choose a shorter time, a node or a text.</div>}
      {error ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : isPending ? (
        <Loading what="Reading lines" />
      ) : lines.length === 0 ? (
        <Empty icon={ScrollText} title="No lines">{contains === "" ? ofNode ? "Nothing was written in this time by a server of this node." : "Nothing was written in this time, or the node does not ship its logs (spec.logs.ship)." : "No line of this time has this text."}</Empty>
      ) : (
        <Lines lines={lines} withServer={!one} follow={one} />
      )}
    </div>
  );
}
