// What differs between two versions, each object's text when it is opened.
import { useQuery } from "@tanstack/react-query";
import { lazy, useState } from "react";
import { objectOf, queryClient } from "../api/queries";
import { type Difference, readDifferences } from "../lib/changes";
import { Part } from "../ui/part";
import { Failed, Loading } from "../ui/states";
import { yamlOf } from "./yaml_of";

const Diff = lazy(() => import("../ui/diff"));
export const SHOWN = 30;

const word = ({ before, after }: Difference): string => (before === undefined ? "created" : after === undefined ? "deleted" : "changed");

export function OneDifference({ difference }: { difference: Difference }) {
  const [open, setOpen] = useState(false);
  const { data, error, refetch } = useQuery({
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
        (data !== undefined ? (
          <Part what="Loading the comparison">
            <Diff before={data.before} after={data.after} label={`Difference of ${name}`} />
          </Part>
        ) : error ? (
          <Failed error={error} retry={() => void refetch()} />
        ) : (
          <Loading what="Reading both" />
        ))}
    </details>
  );
}

export const differencesBetween = (before: string, after: string) => ({ queryKey: ["differences", before, after], queryFn: () => readDifferences(before, after), staleTime: Number.POSITIVE_INFINITY });

export function Differences({ before, after }: { before: string; after: string }) {
  const { data, error, refetch } = useQuery(differencesBetween(before, after));
  if (error) return <Failed error={error} retry={() => void refetch()} />;
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
