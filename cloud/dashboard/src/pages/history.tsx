import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { GitCommitHorizontal, RotateCcw } from "lucide-react";
import { type Ref, useEffect, useRef, useState } from "react";
import { history, type HistoryRow, proposals } from "../api/queries";
import { useMayAct } from "../app/session";
import { count, plural, short } from "../lib/format";
import { useReadOn } from "../lib/read_on";
import { useFleet } from "../live";
import { Ago } from "../ui/ago";
import { Card, Command, PageHead } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";
import { Differences } from "./differences";
import { RollBack } from "./roll_back";

const route = getRouteApi("/history");
const READ_ON = 20; // pages, while a version of the address is looked for

function Waiting() {
  const { data, error, refetch } = useQuery(proposals);
  if (error && data === undefined)
    return (
      <Card title="Waiting for a signature">
        <p className="problem" role="alert">
          What waits for a signature could not be read: {error.message}{" "}
          <button type="button" className="link" onClick={() => void refetch()}>
            Try again
          </button>
        </p>
      </Card>
    );
  if (data === undefined || data.length === 0) return null;
  return (
    <Card title="Waiting for a signature">
      <ul className="plain-list">
        {data.map((proposal) => (
          <li key={proposal.id}>
            <strong className="break">{proposal.message || "no message"}</strong>{" "}
            <span className="muted">
              {proposal.author}, <Ago at={proposal.time} />, {plural(proposal.objects, "object")}
            </span>
            <Command text={`mcpctl proposals sign ${short(proposal.id)}`} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Version({ row, newest, chosen, choose, rollBack, ref }: { row: HistoryRow; newest: boolean; chosen: boolean; choose(): void; rollBack(): void; ref?: Ref<HTMLLIElement> | undefined }) {
  const mayAct = useMayAct();
  return (
    <li ref={ref} className={chosen ? "version chosen" : "version"}>
      <div className="version-line">
        <button type="button" className="version-open" aria-expanded={chosen} onClick={choose}>
          <GitCommitHorizontal aria-hidden />
          <span className="strong break">{row.message || "no message"}</span>
          {newest && <span className="chip good">in force</span>}
        </button>
        <span className="muted small">
          {row.author || "unknown"} ·{" "}
          <Ago at={row.time} /> · <code>{short(row.snapshot)}</code>
        </span>
        {mayAct && !newest && (
          <button type="button" className="button small" onClick={rollBack}>
            <RotateCcw aria-hidden /> Roll back
          </button>
        )}
      </div>
      {chosen && <Differences before={row.parent} after={row.snapshot} />}
    </li>
  );
}

export function History() {
  const { head, synced, link } = useFleet();
  const mayAct = useMayAct();
  const { at } = route.useSearch();
  const navigate = route.useNavigate();
  // A question stays open while a newer version comes.
  const all = useInfiniteQuery({ ...history(head?.snapshot ?? ""), enabled: synced || link === "lost", placeholderData: keepPreviousData });
  const { data, error, refetch, hasNextPage, isFetchingNextPage, isPlaceholderData, fetchNextPage } = all;
  const rows = data?.pages.flatMap(({ result: versions }) => versions) ?? [];
  // The version of the address is looked for in the pages to come, and shown once it is there.
  const found = at !== undefined && rows.some((row) => row.snapshot === at);
  const looking = useReadOn(all, at !== undefined && !found, READ_ON);
  const chosen = useRef<HTMLLIElement>(null);
  const shown = useRef<string>(undefined);
  useEffect(() => {
    if (!found || shown.current === at) return undefined;
    shown.current = at;
    const frame = requestAnimationFrame(() => chosen.current?.scrollIntoView({ block: "center" }));
    return () => cancelAnimationFrame(frame);
  }, [found, at]);
  const [back, setBack] = useState<HistoryRow>();
  if (error && data === undefined)
    return (
      <>
        <PageHead title="History" />
        <Failed error={error} retry={() => void refetch()} />
      </>
    );
  if (data === undefined) return <Loading what="Reading the history" />;
  return (
    <>
      <PageHead title="History" sub={
          head === undefined ? undefined : (
            <>
              Version {head.order} is in force{head.snapshot !== "" && <>: <code>{short(head.snapshot)}</code></>}
            </>
          )
        } />
      <Waiting />
      {rows.length === 0 ? (
        <Empty icon={GitCommitHorizontal} title="Nothing was applied yet" action={mayAct && <Link to="/apply" className="button">Apply a manifest</Link>}>
          Each apply is a version here, with who, why and what differed; the fleet can be rolled back to it.
        </Empty>
      ) : (
        <ol className="versions">
          {rows.map((row, index) => (
            <Version
              key={row.snapshot}
              row={row}
              newest={index === 0}
              chosen={at === row.snapshot}
              ref={at === row.snapshot ? chosen : undefined}
              rollBack={() => setBack(row)}
              choose={() => {
                shown.current = row.snapshot; // it is looked at already
                void navigate({ search: at === row.snapshot ? {} : { at: row.snapshot }, replace: true, resetScroll: false });
              }}
            />
          ))}
        </ol>
      )}
      {at !== undefined && !found && !error && (
        <p className="muted" role="status">
          {looking
            ? `Looking for version ${short(at)}…`
            : hasNextPage
              ? `Version ${short(at)} is not among the newest ${count(rows.length)}: look at older ones.`
              : `There is no version ${short(at)} in the history; it may be too old to be kept.`}
        </p>
      )}
      {error && (
        <p className="problem" role="alert">
          {error.message}
        </p>
      )}
      {hasNextPage && (
        <button type="button" className="button more-button" disabled={isFetchingNextPage || isPlaceholderData} onClick={() => void fetchNextPage()}>
          {isFetchingNextPage ? "Reading…" : "Older versions"}
        </button>
      )}
      {back !== undefined && <RollBack row={back} close={() => setBack(undefined)} />}
    </>
  );
}
