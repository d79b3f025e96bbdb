import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { CircleCheck, CircleHelp, CircleX, Clock } from "lucide-react";
import type { paths } from "../api/schema";
import { type Verdict, verdictOf } from "../lib/conditions";
import { agoOf, inWords, plural, short, timeOf } from "../lib/format";
import { Age, useTick } from "../ui/ago";
import { Card } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";

type Place = NonNullable<paths["/v1/servers/{namespace}/{server}"]["get"]["responses"]["200"]["content"]["application/json"]["result"]>[number];
type Status = Place["status"];

const ORDER: Record<Verdict, number> = { bad: 0, open: 1, good: 2 };
// Of these True is the bad one: what is well is not called by the name of what is wrong.
const CALLED: Record<string, string> = { DiskPressure: "Disk space", MemoryPressure: "Memory" };
const MARK: Record<Verdict, { icon: typeof CircleX; word: string }> = {
  good: { icon: CircleCheck, word: "well" },
  bad: { icon: CircleX, word: "not well" },
  open: { icon: CircleHelp, word: "neither well nor not" },
};

export function Conditions({ conditions }: { conditions: Status["conditions"] }) {
  return (
    <ul className="conditions">
      {[...(conditions ?? [])].sort((a, b) => ORDER[verdictOf(a)] - ORDER[verdictOf(b)]).map((condition) => {
        const verdict = verdictOf(condition);
        const { icon: Mark, word } = MARK[verdict];
        return (
          <li key={condition.type} className={`is-${verdict}`}>
            <Mark aria-label={word} role="img" />
            <div>
              <strong>{(verdict === "good" && CALLED[condition.type]) || inWords(condition.type)}</strong> <span className="muted">{condition.reason !== condition.type && inWords(condition.reason ?? "")}</span>
              {condition.message !== "" && <p className="break">{condition.message}</p>}
            </div>
            <Age className="muted small" at={condition.lastTransitionTime ?? ""} />
          </li>
        );
      })}
    </ul>
  );
}

function Ends({ restarts }: { restarts: NonNullable<Status["restarts"]> }) {
  useTick();
  if (!restarts.count && restarts.lastReason === undefined) return null;
  const how = [
    restarts.lastReason === undefined ? "" : inWords(restarts.lastReason),
    restarts.lastExitCode === undefined ? "" : `exit code ${restarts.lastExitCode}`,
    restarts.lastSignal ? `signal ${restarts.lastSignal}` : "",
    restarts.lastAt === undefined ? "" : agoOf(restarts.lastAt),
  ].filter(Boolean);
  return (
    <div className="ends">
      <h3>
        {plural(restarts.count ?? 0, "restart")}
        {how.length > 0 && <span className="muted"> · last end: {how.join(", ")}</span>}
      </h3>
      {restarts.nextAttemptAt !== undefined && Date.parse(restarts.nextAttemptAt) > Date.now() && (
        <p className="inline muted">
          <Clock aria-hidden /> Started again at {timeOf(restarts.nextAttemptAt)}
        </p>
      )}
      {restarts.stderrTail && (
        <pre className="output" tabIndex={0} aria-label="Last lines of stderr">
          {restarts.stderrTail}
        </pre>
      )}
    </div>
  );
}

function Instances({ instances }: { instances: NonNullable<Status["instances"]> }) {
  if (instances.length === 0) return null;
  return (
    <table className="plain">
      <caption className="sr-only">Instances</caption>
      <thead>
        <tr>
          <th scope="col">Instance</th>
          <th scope="col">State</th>
          <th scope="col">Runtime</th>
          <th scope="col">Revision</th>
          <th scope="col">Since</th>
        </tr>
      </thead>
      <tbody>
        {instances.map((instance) => (
          <tr key={instance.id}>
            <td className="mono">{short(instance.id)}</td>
            <td>{instance.state}</td>
            <td>{instance.runtime}</td>
            <td className="mono">{short(instance.revision ?? "", 8)}</td>
            <td>
              <Age at={instance.startedAt ?? ""} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const FEW = 12;
const isWell = ({ nodeDown, status }: Place): boolean => !nodeDown && !(status.conditions ?? []).some((condition) => verdictOf(condition) !== "good");

export function ServerStatus({ places, loading, error }: { places: readonly Place[]; loading: boolean; error: unknown }) {
  const [all, setAll] = useState(false);
  if (error) return <Failed error={error} />;
  if (loading) return <Loading what="Asking for its status" />;
  if (places.length === 0) return <Empty icon={Clock} title="No node has reported it yet">A node takes it up within seconds. If none does, look whether its placement matches a node that is online and takes servers.</Empty>;
  const well = places.filter(isWell);
  const sick = places.filter((place) => !isWell(place));
  // Of many those that are well are one line, until somebody wants them.
  const folds = !all && well.length > FEW;
  const shown = folds ? sick : [...sick, ...well];
  return (
    <>
    <div className="places">
      {shown.map(({ node, nodeDown, status }) => (
        <Card key={node} className="place">
          <div className="card-head">
            <h2>
              <Link to="/nodes/$node" params={{ node }}>
                {node}
              </Link>
              {nodeDown && <span className="badge offline"> offline: as it was last reported</span>}
            </h2>
            <span className="muted small">
              {[status.serverInfo?.name, status.serverInfo?.version].filter(Boolean).join(" ")}
              {status.endpoint && <span className="mono"> {status.endpoint}</span>}
            </span>
          </div>
          <Conditions conditions={status.conditions ?? []} />
          {status.restarts !== undefined && <Ends restarts={status.restarts} />}
          <Instances instances={status.instances ?? []} />
        </Card>
      ))}
    </div>
    {folds && (
      <button type="button" className="button more-button" onClick={() => setAll(true)}>
        Show the {plural(well.length, "node")} where it is well, too
      </button>
    )}
    </>
  );
}
