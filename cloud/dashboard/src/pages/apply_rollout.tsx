// What was applied on its way to the nodes.
import { Link } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import type { ChangeResult } from "../api/client";
import { stageOf } from "../lib/rollout";
import { useFleet } from "../live";
import { Card, Command, HealthBadge } from "../ui/parts";

export function Rollout({ result }: { result: ChangeResult }) {
  const { servers, nodes } = useFleet();
  if (result.proposal !== null)
    return (
      <Card title="Proposed">
        <p>Nothing has changed yet. Somebody with a head key looks at it and signs it:</p>
        <Command text={`mcpctl proposals show ${result.proposal.slice(0, 12)}\nmcpctl proposals sign ${result.proposal.slice(0, 12)}`} />
      </Card>
    );
  const changed = result.changes.filter(({ change }) => change !== "unchanged");
  if (changed.length === 0) return null;
  const online = nodes.filter((node) => node.connected);
  const there = online.filter((node) => node.head === result.head).length;
  return (
    <Card title="On its way" tools={<span className="muted">version {result.head}: {there} of {online.length} nodes have it</span>}>
      <ul className="rows" aria-live="polite">
        {changed.map(({ kind, namespace, name, generation, change }) => {
          const row = kind === "MCPServer" ? servers.find((each) => each.namespace === namespace && each.name === name) : undefined;
          const { health, reason, note } = stageOf(row, generation);
          return (
            <li key={`${kind}/${namespace}/${name}`}>
              {kind !== "MCPServer" || change === "deleted" ? (
                <span className="inline">
                  <CircleCheck aria-hidden /> <strong>{name}</strong> <span className="muted">{kind}</span>
                </span>
              ) : (
                <Link to="/servers/$namespace/$name" params={{ namespace, name }}>
                  <strong>{name}</strong>
                  <HealthBadge health={health} reason={reason} />
                  <span className="muted reason" title={note}>
                    {note}
                  </span>
                </Link>
              )}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
