// What a server is at a glance: how it does, what it is made of, what it offers.
import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import type { paths } from "../api/schema";
import { uptime } from "../api/queries";
import { endpointHere } from "../app/endpoint";
import { useCan } from "../app/session";
import { count } from "../lib/format";
import { HOURS, onSome, spread, uptimeText } from "../lib/uptime";
import type { ServerRow } from "../live/rows";
import { Age } from "../ui/ago";
import { Bars, Card, CopyText } from "../ui/parts";

export type Place = NonNullable<paths["/v1/servers/{namespace}/{server}"]["get"]["responses"]["200"]["content"]["application/json"]["result"]>[number];

const PLACES = 20; // nodes whose uptimes make the mean: each is a question, once a minute

const most = (places: readonly Place[], of: (catalog: NonNullable<Place["status"]["catalog"]>) => number | undefined): number | undefined => {
  const counts = places.flatMap(({ status }) => (status.catalog && of(status.catalog)) ?? []);
  return counts.length === 0 ? undefined : Math.max(...counts);
};

// What its source came to, an image or a package: of one its nodes may run several builds while a tag moves: each with the nodes that run it.
function digestsOf(places: readonly Place[]): [string, string[]][] {
  const nodes = new Map<string, string[]>();
  for (const { node, status } of places) if (status.imageDigest) nodes.set(status.imageDigest, [...(nodes.get(status.imageDigest) ?? []), node]);
  return [...nodes];
}

function Line({ label, text, copy, more }: { label: string; text: string; copy: string; more?: string }) {
  return (
    <div className={label === "Endpoint" ? "facts-endpoint" : "facts-endpoint fold"}>
      <span className="muted small">{label}</span>
      <code className="cut" title={text}>
        {text}
      </code>
      <CopyText text={text} label={copy} />
      {more && <span className="muted small cut">{more}</span>}
    </div>
  );
}

export function Facts({ row, places }: { row: ServerRow; places: readonly Place[] }) {
  const { namespace, name } = row;
  const measured = useCan("uptime");
  const of = spread(row.nodes, PLACES);
  const asked = useQueries({ queries: of.map((node) => ({ ...uptime(`server/${node}/${namespace}/${name}`, HOURS, 84), enabled: measured })) });
  const found = asked.flatMap(({ data }) => data ?? []);
  const bars = found[0]?.bars?.map((_, index) => {
    const known = found.flatMap((each) => each.bars?.[index] ?? []);
    return known.length === 0 ? null : known.reduce((sum, each) => sum + each, 0) / known.length;
  });
  const sum = (what: "upSeconds" | "knownSeconds") => found.reduce((all, each) => all + each.uptime[what], 0);
  const known = sum("knownSeconds");
  const up = { ratio: known === 0 ? null : sum("upSeconds") / known, knownSeconds: Math.max(0, ...found.map((each) => each.uptime.knownSeconds)) };
  const { url } = endpointHere(row);
  const digests = digestsOf(places);
  const capabilities = [...new Set(places.flatMap(({ status }) => status.serverInfo?.capabilities ?? []))].sort();
  const [all, setAll] = useState(false); // on a phone, where what is asked for is below
  const facts: [string, React.ReactNode, "fold"?][] = [
    ["Nodes ready", `${count(row.ready)} of ${count(row.total)}`],
    ["Tools", row.tools || "—"],
    ["Resources", most(places, ({ resources }) => resources) ?? "—"],
    ["Prompts", most(places, ({ prompts }) => prompts) ?? "—"],
    ["Restarts", count(row.restarts)],
    ["Generation", row.desired === undefined ? row.generation : row.desired.generation === row.generation ? row.generation : `${row.generation} → ${row.desired.generation}`, "fold"],
    ["Age", <Age key="age" at={row.created} />],
    ["Protocol", row.protocol || "—", "fold"],
  ];
  return (
    <Card className={all ? "facts-card" : "facts-card folds"}>
      <dl className="facts">
        {facts.map(([label, value, fold = ""]) => (
          <div key={label} className={fold}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="facts-lines">
        {url !== "" && <Line label="Endpoint" text={url} copy="Copy the endpoint" />}
        {row.source !== "" && <Line label="Source" text={row.source} copy="Copy the source" />}
        {digests.map(([digest, nodes]) => (
          <Line key={digest} label="Digest" text={digest} copy="Copy the digest" {...(digests.length > 1 && { more: `on ${nodes.join(", ")}` })} />
        ))}
        {capabilities.length > 0 && (
          <div className="facts-endpoint fold">
            <span className="muted small">Capabilities</span>
            <span className="labels">
              {capabilities.map((each) => (
                <span key={each} className="chip">
                  {each}
                </span>
              ))}
            </span>
          </div>
        )}
      </div>
      <div className={bars === undefined ? "facts-bars phone-only" : "facts-bars"}>
        {bars !== undefined && (
          <>
            <Bars bars={bars} uptime={up} />
            <span className="muted small">
              Up {uptimeText(up)}
              {onSome(of.length, row.nodes.length)}
            </span>
          </>
        )}
        <button type="button" className="button ghost small phone-only" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Fewer facts" : "More facts"}
        </button>
      </div>
    </Card>
  );
}
