import { useInfiniteQuery } from "@tanstack/react-query";
import { Users } from "lucide-react";
import { api, result } from "../api/client";
import { useOfNode } from "../app/session";
import { ageOf, inWords, timeOf } from "../lib/format";
import { PageHead } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";

const PAGE = 100;

export function Audit() {
  const ofNode = useOfNode();
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam: before }) => result(api.GET("/v1/audit", { params: { query: { before, limit: PAGE } } })),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.length < PAGE ? undefined : last[last.length - 1]!.id),
  });
  if (error)
    return (
      <>
        <PageHead title="Audit" />
        <Failed error={error} retry={() => void refetch()} />
      </>
    );
  if (data === undefined) return <Loading what="Looking who did what" />;
  const rows = data.pages.flat();
  return (
    <>
      <PageHead title="Audit" sub={ofNode ? "Who did what through this page, the last 2000 deeds. What mcpctl changed is in the history." : "Who did what through the Worker, for 90 days. What mcpctl changed is here, too; its words are in the history."} />
      {rows.length === 0 ? (
        <Empty icon={Users} title="Nobody did anything yet" />
      ) : (
        <div className="card flush scroll-x" tabIndex={0} role="region" aria-label="Audit list, scrolls">
          <table className="plain">
            <caption className="sr-only">Audit</caption>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">Of what</th>
                <th scope="col">Result</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.id}>
                  <td>
                    <time dateTime={new Date(row.at).toISOString()} title={timeOf(row.at)}>
                      {ageOf(row.at)} ago
                    </time>
                  </td>
                  <td className="strong">{row.who}</td>
                  <td>{inWords(row.what)}</td>
                  <td className="mono">{row.subject}</td>
                  <td className="muted break">{row.detail}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {hasNextPage && (
        <button type="button" className="button" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Older ones
        </button>
      )}
    </>
  );
}
