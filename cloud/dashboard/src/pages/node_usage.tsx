// What each server of a node uses now, and all of them together.
import "../ui/usage.css";
import { Link } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { count, plural } from "../lib/format";
import { bytesText, coresText, countText, perMinute, type Sample } from "../lib/usage";
import { useMeasured, type UsageNews } from "../live";
import { Card, Select } from "../ui/parts";

const SORTS = { cpu: "Most CPU", memory: "Most memory", sessions: "Most sessions", calls: "Most calls" } as const;
type Sort = keyof typeof SORTS;
const SHOWN = 50;

const text = (value: number | null, of: (value: number) => string): string => (value === null ? "—" : of(value));
const sum = (samples: readonly Sample[], of: (sample: Sample) => number | null): number | null => {
  const known = samples.map(of).filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((all, value) => all + value, 0);
};
const callsOf = ({ calls, seconds }: Sample): number | null => perMinute(calls, seconds);

export function NodeUsage({ node }: { node: string }) {
  const [samples, setSamples] = useState<ReadonlyMap<string, Sample>>(new Map());
  const [sort, setSort] = useState<Sort>("cpu");
  useEffect(() => setSamples(new Map()), [node]);
  const at = useMemo(() => ({ node }), [node]);
  const take = useCallback(
    (news: UsageNews) => {
      if (news.node !== node) return;
      // What was not in the last of a round has left; a round of many servers comes in a few messages.
      setSamples((before) => {
        const next = new Map(before);
        for (const { namespace, server, samples: [sample] } of news.servers) if (sample !== undefined) next.set(`${namespace}/${server}`, sample);
        const newest = Math.max(...[...next.values()].map((sample) => sample.at));
        for (const [key, sample] of next) if (newest - sample.at > 90_000) next.delete(key);
        return next;
      });
    },
    [node],
  );
  useMeasured(at, take);
  if (samples.size === 0) return null; // a node that tells none has none to show; its servers have their own pages
  const all = [...samples.values()];
  const value = ([, sample]: [string, Sample]): number => (sort === "calls" ? (callsOf(sample) ?? -1) : (sample[sort] ?? -1));
  const rows = [...samples].sort((a, b) => value(b) - value(a) || (a[0] < b[0] ? -1 : 1)).slice(0, SHOWN);
  return (
    <Card title="What its servers use" tools={<Select<Sort> value={sort} change={setSort} label="Order" options={(Object.keys(SORTS) as Sort[]).map((each) => ({ value: each, label: SORTS[each] }))} />}>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Usage, scrolls">
        <table className="plain numbers">
          <caption className="sr-only">What the servers on {node} use now</caption>
          <thead>
            <tr>
              {["Server", "CPU", "Memory", "Sessions", "Calls a minute", "Failed"].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([key, sample]) => {
              const [namespace = "", name = ""] = key.split("/");
              return (
                <tr key={key} className="number">
                  <td>
                    <Link to="/servers/$namespace/$name" params={{ namespace, name }} search={{ tab: "usage" }}>
                      {namespace === "default" ? name : key}
                    </Link>
                  </td>
                  <td>{text(sample.cpu, coresText)}</td>
                  <td>{text(sample.memory, bytesText)}</td>
                  <td>{count(sample.sessions)}</td>
                  <td>{text(callsOf(sample), countText)}</td>
                  <td>{count(sample.errors)}</td>
                </tr>
              );
            })}
          </tbody>
          <tfoot>
            <tr className="number strong">
              <th scope="row">{plural(all.length, "server")}</th>
              <td>{text(sum(all, ({ cpu }) => cpu), coresText)}</td>
              <td>{text(sum(all, ({ memory }) => memory), bytesText)}</td>
              <td>{text(sum(all, ({ sessions }) => sessions), count)}</td>
              <td>{text(sum(all, callsOf), countText)}</td>
              <td>{text(sum(all, ({ errors }) => errors), count)}</td>
            </tr>
          </tfoot>
        </table>
      </div>
      {samples.size > SHOWN && <p className="muted small">The first {SHOWN} are shown, the sum is of all.</p>}
    </Card>
  );
}
