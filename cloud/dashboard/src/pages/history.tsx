import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { GitCommitHorizontal, RotateCcw } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { api, result } from "../api/client";
import { history, type HistoryRow, objectOf, proposals, queryClient } from "../api/queries";
import { useMayAct } from "../app/session";
import { useAct } from "../lib/act";
import { type Difference, readDifferences } from "../lib/changes";
import { ageOf, plural, short, timeOf } from "../lib/format";
import { useFleet } from "../live";
import { Confirm, type Question } from "../ui/dialog";
import { Card, Command, PageHead } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";
import { yamlOf } from "./yaml_of";

const Diff = lazy(() => import("../ui/diff"));
const route = getRouteApi("/history");
const SHOWN = 30;

const word = ({ before, after }: Difference): string => (before === undefined ? "created" : after === undefined ? "deleted" : "changed");

function OneDifference({ difference }: { difference: Difference }) {
  const [open, setOpen] = useState(false);
  const { data } = useQuery({
    queryKey: ["difference", difference.before?.hash ?? "", difference.after?.hash ?? ""],
    queryFn: async () => {
      const read = async (hash: string | undefined) => (hash === undefined ? "" : yamlOf(await queryClient.fetchQuery(objectOf(hash))));
      const [before, after] = await Promise.all([read(difference.before?.hash), read(difference.after?.hash)]);
      return { before, after };
    },
    enabled: open,
  });
  const [kind, namespace, name] = difference.key.split("/");
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)} className="difference">
      <summary>
        <span className={`chip ${word(difference)}`}>{word(difference)}</span> <span className="muted">{kind}</span> <strong>{name}</strong> {namespace !== "" && namespace !== "default" && <span className="muted">{namespace}</span>}
      </summary>
      {open &&
        (data === undefined ? (
          <Loading what="Reading both" />
        ) : (
          <Suspense fallback={<Loading what="Loading" />}>
            <Diff before={data.before} after={data.after} label={`Difference of ${name}`} />
          </Suspense>
        ))}
    </details>
  );
}

export function Differences({ before, after }: { before: string; after: string }) {
  const { data, error } = useQuery({ queryKey: ["differences", before, after], queryFn: () => readDifferences(before, after), staleTime: Number.POSITIVE_INFINITY });
  if (error) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Comparing" />;
  if (data.length === 0) return <p className="muted">Nothing differs.</p>;
  return (
    <div className="stack small-gap">
      {data.slice(0, SHOWN).map((difference) => (
        <OneDifference key={difference.key} difference={difference} />
      ))}
      {data.length > SHOWN && <p className="muted">and {data.length - SHOWN} more</p>}
    </div>
  );
}

function Waiting() {
  const { data } = useQuery(proposals);
  if (data === undefined || data.length === 0) return null;
  return (
    <Card title="Waiting for a signature">
      <ul className="plain-list">
        {data.map((proposal) => (
          <li key={proposal.id}>
            <strong className="break">{proposal.message || "no message"}</strong>{" "}
            <span className="muted">
              {proposal.author}, {ageOf(proposal.time)} ago, {plural(proposal.objects, "object")}
            </span>
            <Command text={`mcpctl proposals sign ${short(proposal.id)}`} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Version({ row, newest, chosen, choose }: { row: HistoryRow; newest: boolean; chosen: boolean; choose(): void }) {
  const [question, setQuestion] = useState<Question>();
  const mayAct = useMayAct();
  const act = useAct();
  return (
    <li className={chosen ? "version chosen" : "version"}>
      <div className="version-line">
        <button type="button" className="version-open" aria-expanded={chosen} onClick={choose}>
          <GitCommitHorizontal aria-hidden />
          <span className="strong break">{row.message || "no message"}</span>
          {newest && <span className="chip good">in force</span>}
        </button>
        <span className="muted small">
          {row.author || "unknown"} ·{" "}
          <time dateTime={row.time} title={timeOf(row.time)}>
            {ageOf(row.time)} ago
          </time>{" "}
          · <code>{short(row.snapshot)}</code>
        </span>
        {mayAct && !newest && (
          <button
            type="button"
            className="button small"
            onClick={() =>
              setQuestion({
                title: "Roll back to this version?",
                description: `The whole fleet becomes as it was ${ageOf(row.time)} ago (“${row.message || "no message"}”). History goes on: this can be rolled back, too.`,
                action: "Roll back",
                run: () => act(() => result(api.POST("/v1/rollback", { body: { snapshot: row.snapshot, dryRun: false } }))),
              })
            }
          >
            <RotateCcw aria-hidden /> Roll back
          </button>
        )}
      </div>
      {chosen && <Differences before={row.parent} after={row.snapshot} />}
      <Confirm question={question} close={() => setQuestion(undefined)} />
    </li>
  );
}

export function History() {
  const { head, synced, link } = useFleet();
  const { at } = route.useSearch();
  const navigate = route.useNavigate();
  // A question stays open while a newer version comes.
  const { data, error, refetch, hasNextPage, isFetchingNextPage, isPlaceholderData, fetchNextPage } = useInfiniteQuery({ ...history(head?.snapshot ?? ""), enabled: synced || link === "lost", placeholderData: keepPreviousData });
  if (error && data === undefined)
    return (
      <>
        <PageHead title="History" />
        <Failed error={error} retry={() => void refetch()} />
      </>
    );
  if (data === undefined) return <Loading what="Reading the history" />;
  const rows = data.pages.flatMap(({ result: versions }) => versions);
  return (
    <>
      <PageHead title="History" sub={head === undefined ? undefined : <>Version {head.order} is in force</>} />
      <Waiting />
      {rows.length === 0 ? (
        <Empty icon={GitCommitHorizontal} title="Nothing was applied yet" />
      ) : (
        <ol className="versions">
          {rows.map((row, index) => (
            <Version key={row.snapshot} row={row} newest={index === 0} chosen={at === row.snapshot} choose={() => void navigate({ search: at === row.snapshot ? {} : { at: row.snapshot }, replace: true })} />
          ))}
        </ol>
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
    </>
  );
}
