import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { SearchX, Users } from "lucide-react";
import { type ReactNode, useDeferredValue, useEffect, useMemo } from "react";
import { api, result } from "../api/client";
import { useOfNode } from "../app/session";
import { type Deed, detailOf, filterDeeds, joined, partsOf, type Place, placeOf, subjectOf, verbOf } from "../lib/audit";
import { wordsOf } from "../lib/filter";
import { count, plural } from "../lib/format";
import { useReadOn } from "../lib/read_on";
import { type Change, changed } from "../lib/search";
import { useFleet } from "../live";
import { When } from "../ui/ago";
import { PageHead, Search, Select } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";

const route = getRouteApi("/audit");
const PAGE = 100;
const READ_ON = 10; // pages, while a filter finds little
const ENOUGH = 30;
const LOOK_MS = 10_000; // not every deed changes the fleet

const read = (before: number) => result(api.GET("/v1/audit", { params: { query: { before, limit: PAGE } } }));

// What was read once stays; the newest page is read again while somebody looks, at once when the fleet changes.
function useDeeds() {
  const { head, alertsAt } = useFleet();
  const all = useInfiniteQuery({
    queryKey: ["audit", "all"],
    queryFn: ({ pageParam: before }) => read(before),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.length < PAGE ? undefined : last[last.length - 1]!.id),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { data: newest, refetch } = useQuery({ queryKey: ["audit", "newest"], queryFn: () => read(0), refetchInterval: LOOK_MS, staleTime: 0 });
  useEffect(() => void refetch(), [head?.order, alertsAt, refetch]);
  const known = useMemo(() => all.data?.pages.flat(), [all.data]);
  const { rows, gap } = useMemo(() => (known === undefined ? { rows: undefined, gap: false } : joined(newest ?? [], known, PAGE)), [newest, known]);
  const { refetch: readAll } = all;
  useEffect(() => {
    if (gap) void readAll();
  }, [gap, readAll]);
  return { all, rows };
}

// Which servers and nodes there are: what is gone has no page. All, while that is not known.
function useThere(): (place: Place) => boolean {
  const { servers, nodes, synced, desiredKnown } = useFleet();
  const names = useMemo(() => new Set([...servers.map(({ key }) => key), ...nodes.map(({ name }) => name)]), [servers, nodes]);
  return (place) => !synced || !desiredKnown || names.has("node" in place ? place.node : `${place.namespace}/${place.name}`);
}

function PlaceLink({ place, there, children }: { place: Place | undefined; there(place: Place): boolean; children: ReactNode }) {
  if (place === undefined || !there(place)) return children;
  return "node" in place ? (
    <Link to="/nodes/$node" params={place} className="link">
      {children}
    </Link>
  ) : (
    <Link to="/servers/$namespace/$name" params={place} className="link">
      {children}
    </Link>
  );
}

function Deeds({ rows }: { rows: readonly Deed[] }) {
  const there = useThere();
  return (
    <div className="card flush scroll-x" tabIndex={0} role="region" aria-label="Audit list, scrolls">
      <table className="plain">
        <caption className="sr-only">Audit</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">Did</th>
            <th scope="col">What</th>
            <th scope="col">Result</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>
                <When at={row.at} />
              </td>
              <td className="strong">{row.who}</td>
              <td className="verb">{verbOf(row.what)}</td>
              <td className="strong">
                <PlaceLink place={placeOf(row)} there={there}>
                  {subjectOf(row)}
                </PlaceLink>
              </td>
              <td className="muted break">
                {partsOf(detailOf(row)).map(({ text, place }, index) => (
                  <PlaceLink key={index} place={place} there={there}>
                    {text}
                  </PlaceLink>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// Those that were read, and the one that is chosen.
const optionsOf = (all: string, values: readonly string[], chosen: string, word = (value: string) => value) => [
  { value: "", label: all },
  ...[...new Set([...values, ...(chosen === "" ? [] : [chosen])])].sort().map((value) => ({ value, label: word(value) })),
];

export function Audit() {
  const ofNode = useOfNode();
  const { q = "", who = "", what = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const set = (change: Change<{ q: string; who: string; what: string }>) => void navigate({ search: (before) => changed(before, change), replace: true, resetScroll: false });
  const { all, rows } = useDeeds();
  const { error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = all;
  const text = useDeferredValue(q);
  const shown = useMemo(() => filterDeeds(rows ?? [], { words: wordsOf(text), who, what }), [rows, text, who, what]);
  const filtered = text !== "" || who !== "" || what !== "";
  const looking = useReadOn(all, filtered && shown.length < ENOUGH, READ_ON);
  if (rows === undefined)
    return error ? (
      <>
        <PageHead title="Audit" />
        <Failed error={error} retry={() => void refetch()} />
      </>
    ) : (
      <Loading what="Looking who did what" />
    );
  return (
    <>
      <PageHead title="Audit" sub={ofNode ? "Who did what through this page, the last 2,000 actions. What mcpctl changed is in the history." : "Who did what through the Worker, for 90 days. What mcpctl changed is here, too; its words are in the history."} />
      {rows.length === 0 ? (
        <Empty icon={Users} title="Nobody did anything yet">
          Who applies, restarts, enrols or acknowledges something stands here from then on, with the time.
        </Empty>
      ) : (
        <>
          <div className="filters">
            <Search value={q} change={(value) => set({ q: value })} label="Who, what, a server, a node…" />
            <Select value={who} change={(value) => set({ who: value })} label="Who" options={optionsOf("Everybody", rows.map((row) => row.who), who)} />
            <Select value={what} change={(value) => set({ what: value })} label="Action" options={optionsOf("All actions", rows.map((row) => row.what), what, verbOf)} />
          </div>
          {filtered && (
            <p className="muted" role="status">
              {`${count(shown.length)} of ${hasNextPage ? "the newest " : ""}${plural(rows.length, "action")}`}
              {looking && ", looking further…"}
            </p>
          )}
          {shown.length > 0 ? (
            <Deeds rows={shown} />
          ) : (
            !looking && (
              <Empty icon={SearchX} title="Nothing matches" action={<button type="button" className="button" onClick={() => set({ q: "", who: "", what: "" })}>Clear the filter</button>}>
                All words must be found; <code>-word</code> leaves out.
              </Empty>
            )
          )}
        </>
      )}
      {error && (
        <p className="problem" role="alert">
          {error.message}
        </p>
      )}
      {hasNextPage && (
        <button type="button" className="button more-button" disabled={isFetchingNextPage || looking} onClick={() => void fetchNextPage()}>
          {isFetchingNextPage ? "Reading…" : "Older ones"}
        </button>
      )}
    </>
  );
}
