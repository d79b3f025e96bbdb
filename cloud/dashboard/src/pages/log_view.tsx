// Lines of one server or of all, from the store, the newest first to be read, and live while one server is looked at.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Download, RotateCw, ScrollText } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { api, page } from "../api/client";
import type { LogRange, LogSearch } from "../app/router";
import { useOfNode } from "../app/session";
import { count, clockOf, plural, timeOf } from "../lib/format";
import { asText, type Line, mergeLines, MOST_LINES, type Part, type Read, type Reader, readAll, readTail, scrolled } from "../lib/lines";
import { fromField, toField, type Window, windowOf } from "../lib/log_time";
import type { Change } from "../lib/search";
import { type LiveLine, useFleet, useLines } from "../live";
import { Empty, Failed, Loading } from "../ui/states";
import { Search, Select } from "../ui/parts";
import { useToast } from "../ui/toast";

type Choice = LogRange | "chosen";
const RANGES: { value: Choice; label: string }[] = [
  { value: "15m", label: "Last 15 minutes" },
  { value: "1h", label: "Last hour" },
  { value: "6h", label: "Last 6 hours" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "chosen", label: "A time of choice" },
];
const AT_ONCE = 2000; // lines that one reading wants
const OF_FILE = 100_000;
const AHEAD_MS = 10 * 60_000; // a node's clock may be
const BEFORE_MS = 60_000; // what is read again after the link was lost
const EDGE_PX = 8; // above the first line and below the last
const LEAST_PX = 320;
const SEALED_MS = 8000; // a node that is followed stores what it has within seconds

interface Asked {
  namespace?: string | undefined;
  server?: string | undefined;
  node: string;
  contains: string;
}

const readerOf =
  ({ namespace, server, node, contains }: Asked): Read =>
  async (since, until, after) => {
    const query = {
      since: new Date(since).toISOString(),
      until: new Date(until).toISOString(),
      limit: 1000,
      ...(namespace === undefined ? {} : { namespace }),
      ...(server === undefined ? {} : { server }),
      ...(node === "" ? {} : { node }),
      ...(contains === "" ? {} : { contains }),
      ...(after === "" ? {} : { cursor: after }),
    };
    const { result, info } = await page<{ time: string; node: string; namespace: string; server: string; stream: string; text: string }[], { cursor?: string; missing?: number }>(api.GET("/v1/logs", { params: { query } }));
    const lines = result.map((row) => ({ time: row.time, node: row.node, stream: row.stream, text: row.text, server: `${row.namespace}/${row.server}` }));
    return { lines, next: info.cursor ?? "", missing: info.missing ?? 0 };
  };

function save(lines: readonly Line[], name: string): void {
  const url = URL.createObjectURL(new Blob([asText(lines)], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.log`;
  link.click();
  URL.revokeObjectURL(url);
}

// All of the time, not what is shown of it.
function DownloadButton({ read, window, live, name, none }: { read: Read; window: Window; live: readonly Line[]; name: string; none: boolean }) {
  const say = useToast();
  const [done, setDone] = useState<number>();
  const run = async () => {
    setDone(0);
    try {
      const { lines, cut, missing } = await readAll(read, window.since, window.open ? Date.now() + AHEAD_MS : window.until, OF_FILE, setDone);
      save(cut ? lines : mergeLines(lines, live, OF_FILE), name);
      if (cut) say("bad", `Cut: the file has the first ${count(OF_FILE)} lines of this time. Choose a shorter one for the rest.`);
      else if (missing > 0) say("bad", `${plural(missing, "part")} could not be read: the file lacks lines.`);
    } catch (error) {
      say("bad", (error as Error).message);
    } finally {
      setDone(undefined);
    }
  };
  return (
    <button type="button" className="button" disabled={none || done !== undefined} onClick={() => void run()}>
      <Download aria-hidden /> {done === undefined ? <span className="word">Download</span> : `${plural(done, "line")}…`}
    </button>
  );
}

function Lines({ lines, withServer }: { lines: readonly Line[]; withServer: boolean }) {
  const scroller = useRef<HTMLDivElement>(null);
  const reader = useRef<Reader>({ top: 0, atEnd: true });
  const shown = useRef<readonly Line[]>([]);
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 22, overscan: 30, paddingStart: EDGE_PX, paddingEnd: EDGE_PX, scrollPaddingEnd: EDGE_PX });
  const named = useMemo(() => withServer || lines.some(({ node }) => node !== lines[0]!.node), [lines, withServer]);
  // No higher than what is left of the window, so that its end is seen; where that is too little the page is scrolled to it.
  const fit = useCallback(() => {
    const box = scroller.current!;
    const below = Number.parseFloat(getComputedStyle(box.closest("main")!).paddingBottom);
    const height = `${Math.round(Math.max(innerHeight - below - scrollY - box.getBoundingClientRect().top, Math.min(LEAST_PX, innerHeight / 2)))}px`;
    if (box.style.maxHeight === height) return;
    box.style.maxHeight = height;
    if (reader.current.atEnd) virtual.scrollToIndex(MOST_LINES, { align: "end" });
  }, [virtual]);
  useLayoutEffect(fit);
  useEffect(() => {
    // What is above it comes and goes by itself, too.
    const moved = new ResizeObserver(() => requestAnimationFrame(() => scroller.current !== null && fit()));
    moved.observe(scroller.current!.closest("main")!);
    addEventListener("resize", fit);
    return () => {
      moved.disconnect();
      removeEventListener("resize", fit);
    };
  }, [fit]);
  useEffect(() => {
    const first = shown.current[0];
    const older = first === undefined ? 0 : lines.indexOf(first);
    shown.current = lines;
    if (reader.current.atEnd) virtual.scrollToIndex(lines.length - 1, { align: "end" });
    else if (older > 0) virtual.scrollToIndex(older, { align: "start" }); // who reads stays at the line that was the first
  }, [lines, virtual]);
  return (
    <div
      className={named ? "log named" : "log"}
      ref={scroller}
      tabIndex={0}
      role="log"
      aria-label="Log lines"
      aria-live="off"
      onScroll={({ currentTarget }) => (reader.current = scrolled(reader.current, currentTarget))}
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

const LINK = { live: "Following", connecting: "Connecting", lost: "Not live: the connection is lost", "signed-out": "Signed out" } as const;

// Whether lines come by themselves, and if not why.
function Following({ one, open }: { one: boolean; open: boolean }) {
  const { link } = useFleet();
  if (!one || !open) return <span className={open ? "muted small wide-only" : "muted small"}>{open ? "Choose a server to follow it live" : "Not live: this time has an end"}</span>;
  return (
    <span className={`link-state ${link}`} role="status">
      <span className="dot" aria-hidden /> {LINK[link]}
    </span>
  );
}

// Taken when they are left or by Enter: on the way to a time there are others.
function Times({ search, change }: { search: LogSearch; change(change: Change<LogSearch>): void }) {
  return (
    <>
      {(["from", "until"] as const).map((which) => {
        const shown = toField(search[which]);
        const take = (text: string) => text !== shown && change({ [which]: fromField(text) });
        return (
          <label key={`${which} ${shown}`} className="time-field">
            <span className="muted small">{which === "from" ? "From" : "Until"}</span>
            <input type="datetime-local" step={1} defaultValue={shown} onBlur={(event) => take(event.target.value)} onKeyDown={(event) => event.key === "Enter" && take(event.currentTarget.value)} />
          </label>
        );
      })}
    </>
  );
}

export interface LogViewProps {
  namespace?: string | undefined;
  server?: string | undefined;
  nodes: readonly string[];
  search: LogSearch;
  change(change: Change<LogSearch>): void; // of the address
}

export function LogView({ namespace, server, nodes, search, change }: LogViewProps) {
  const { node = "", q = "", range, from, until } = search;
  const [contains, setContains] = useState(q);
  useEffect(() => {
    const timer = setTimeout(() => setContains(q.slice(0, 256)), 350);
    return () => clearTimeout(timer);
  }, [q]);
  const [turn, setTurn] = useState(0); // read again
  const window = useMemo(() => windowOf({ ...(range && { range }), ...(from && { from }), ...(until && { until }) }, Date.now()), [range, from, until, turn, namespace, server, node, contains]);
  const read = useMemo(() => readerOf({ namespace, server, node, contains }), [namespace, server, node, contains]);
  const backwards = window.since >= window.until;
  const { data, error, isPending, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["logs", namespace, server, node, contains, window.since, window.until],
    queryFn: ({ pageParam }) => readTail(read, window.since, pageParam, AT_ONCE),
    initialPageParam: window.until,
    getNextPageParam: (last: Part) => (last.from > window.since ? last.from : undefined),
    enabled: !backwards,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
  const [live, setLive] = useState<Line[]>([]);
  useEffect(() => setLive([]), [read, window]);
  const take = useCallback(
    (lines: LiveLine[]) => {
      const wanted = lines.filter((line) => contains === "" || line.text.includes(contains));
      setLive((before) => mergeLines(before, wanted.map((line) => ({ time: line.time, node: line.node, stream: line.stream ?? "", text: line.text, server: `${namespace}/${server}` }))));
    },
    [contains, namespace, server],
  );
  const ofNode = useOfNode();
  const one = namespace !== undefined && server !== undefined;
  const follows = one && window.open;
  useLines(follows ? { namespace, server, ...(node === "" ? {} : { node }) } : undefined, take);
  // What was written while nobody followed, or the link was lost, is in the store soon: it is read again, so that live lines follow no gap.
  const { link } = useFleet();
  const whole = useRef(0); // until then nothing is missing
  useEffect(() => void (whole.current = window.until), [window]);
  useEffect(() => {
    if (!follows || link !== "live") return undefined;
    let ended = false;
    const since = whole.current - BEFORE_MS;
    const fill = () =>
      readTail(read, since, Date.now() + AHEAD_MS, MOST_LINES)
        .then(({ lines }) => !ended && setLive((before) => mergeLines(before, lines)))
        .catch(() => undefined); // it is read again with the next link
    const timer = setTimeout(() => void fill(), SEALED_MS);
    if (since + BEFORE_MS < Date.now() - SEALED_MS) void fill();
    return () => {
      ended = true;
      whole.current = Date.now();
      clearTimeout(timer);
    };
  }, [follows, link, read, window]);
  const stored = useMemo(() => (data?.pages ?? []).toReversed().reduce<Line[]>((all, { lines }) => mergeLines(all, lines), []), [data]);
  const lines = useMemo(() => mergeLines(stored, live), [stored, live]);
  const missing = data?.pages.reduce((sum, each) => sum + each.missing, 0) ?? 0;
  const full = lines.length >= MOST_LINES;
  const choose = (choice: Choice) =>
    change(choice === "chosen" ? { range: "", from: new Date(window.since).toISOString() } : { range: choice, from: "", until: "" });
  return (
    <div className="log-view">
      <div className="filters">
        <Search value={q} change={(value) => change({ q: value })} label="Lines with this text (case counts)" />
        <Select<Choice> value={window.chosen ? "chosen" : (range ?? "1h")} change={choose} label="Time" options={RANGES} />
        {window.chosen && <Times search={search} change={change} />}
        {nodes.length > 1 && <Select value={node} change={(value) => change({ node: value })} label="Node" options={[{ value: "", label: "All nodes" }, ...nodes.map((value) => ({ value, label: value }))]} />}
        <Following one={one} open={window.open} />
        {!follows && (
          <button type="button" className="button" onClick={() => setTurn((count) => count + 1)}>
            <RotateCw aria-hidden /> <span className="word">Read again</span>
          </button>
        )}
        <DownloadButton read={read} window={window} live={live} name={server ?? "fleet"} none={lines.length === 0} />
      </div>
      {missing > 0 && <div className="banner warn">{plural(missing, "part")} could not be read; lines are missing.</div>}
      {hasNextPage && (
        <div className="older">
          <span className="muted small">{full ? `No more than ${count(MOST_LINES)} lines are shown: choose an earlier time, or a text.` : `Lines since ${timeOf(data!.pages.at(-1)!.from)}.`}</span>
          {!full && (
            <button type="button" className="button small" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
              {isFetchingNextPage ? "Reading…" : "Older lines"}
            </button>
          )}
        </div>
      )}
      {lines.length > 0 && error !== null && (
        <div className="banner warn" role="alert">
          <span className="break">Earlier lines could not be read: {error.message}.</span>{" "}
          <button type="button" className="link" onClick={() => void refetch()}>
            Try again
          </button>
        </div>
      )}
      {backwards ? (
        <Empty icon={ScrollText} title="This time ends before it begins">Choose a “from” that is before “until”.</Empty>
      ) : lines.length > 0 ? (
        // Also while earlier ones are read, or can't be: what comes live waits for nothing.
        <Lines lines={lines} withServer={!one} />
      ) : error ? (
        <Failed error={error} retry={() => void refetch()} {...(follows && link === "live" && { title: "Stored lines could not be read; new ones will appear here" })} />
      ) : isPending ? (
        <Loading what="Reading lines" />
      ) : (
        <Empty icon={ScrollText} title="No lines">{contains === "" ? ofNode ? "Nothing was written in this time by a server of this node." : "Nothing was written in this time, or the node does not ship its logs (spec.logs.ship)." : "No line of this time has this text. Capital and small letters count."}</Empty>
      )}
    </div>
  );
}
