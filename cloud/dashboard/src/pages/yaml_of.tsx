import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileQuestion, Pencil } from "lucide-react";
import { stringify } from "yaml";
import { type FleetObject, type ObjectRow } from "../api/client";
import { objectOf } from "../api/queries";
import { useMayAct } from "../app/session";
import { CopyText } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";

// As a person would write it: without what is assigned.
export function manifestOf({ apiVersion, kind, metadata, spec }: FleetObject): object {
  const { uid: _, generation: __, creationTimestamp: ___, annotations = {}, ...rest } = metadata;
  const own = Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== "mcpfleet.dev/restartedAt"));
  return { apiVersion, kind, metadata: { ...rest, ...(Object.keys(own).length === 0 ? {} : { annotations: own }) }, spec };
}
export const yamlOf = (object: FleetObject): string => stringify(manifestOf(object), { lineWidth: 100, sortMapEntries: true });

export function YamlOf({ row }: { row: ObjectRow | undefined }) {
  const mayAct = useMayAct();
  const { data, error } = useQuery({ ...objectOf(row?.hash ?? ""), enabled: row !== undefined });
  if (row === undefined) return <Empty icon={FileQuestion} title="No manifest">It runs, but the desired state does not have it: it is about to be stopped.</Empty>;
  if (error) return <Failed error={error} />;
  if (data === undefined) return <Loading what="Reading the manifest" />;
  const text = yamlOf(data);
  return (
    <div className="yaml">
      <div className="yaml-tools">
        <CopyText text={text} label="Copy the manifest" />
        {mayAct && (
          <Link to="/apply" search={{ object: row.hash }} className="button small">
            <Pencil aria-hidden /> Edit
          </Link>
        )}
      </div>
      <pre className="output" tabIndex={0} aria-label="Manifest">
        {text}
      </pre>
    </div>
  );
}
