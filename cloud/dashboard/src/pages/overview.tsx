import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Bell, Box, GitCommitHorizontal, type LucideIcon, PartyPopper, Server as ServerIcon } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from "react";
import type { Alert } from "../api/client";
import { alerts, snapshotOf, uptime } from "../api/queries";
import { count, inWords, percent, plural } from "../lib/format";
import { useCan, useMayAct } from "../app/session";
import { attentionOf, isIll, openOf } from "../lib/attention";
import { isBehind } from "../lib/rollout";
import { useFleet } from "../live";
import { type Health, isThere, type NodeRow, type ServerRow, spreadOf, splitOf } from "../live/rows";
import { Ago } from "../ui/ago";
import { FleetMap } from "../ui/fleet_map";
import { Card, HealthBadge, PageHead } from "../ui/parts";
import { NodeFlags, PinFlag } from "../ui/flags";
import { OldVersion, useWait } from "../ui/fleet_wait";
import { Empty } from "../ui/states";

const Chart = lazy(() => import("../ui/chart"));
const SHOWN = 12;
const LOOK_MS = 15_000;
const CHART_HOURS = 24;
const CHART_PARTS = 96;
const LEAST_PARTS = 2; // fewer make no line

function Tile({ icon: Icon, label, to, value, of, note, tone }: { icon: LucideIcon; label: string; to: "/servers" | "/nodes" | "/alerts" | "/history"; value: ReactNode; of?: ReactNode; note: ReactNode; tone: string }) {
  return (
    <Link to={to} className={`tile ${tone}`}>
      <span className="tile-label">
        <Icon aria-hidden /> {label}
      </span>
      <span className="tile-value">
        {value}
        {of !== undefined && <small> / {of}</small>}
      </span>
      <span className="tile-note muted">{note}</span>
    </Link>
  );
}

function Attention({ servers, nodes, open, unread }: { servers: readonly ServerRow[]; nodes: readonly NodeRow[]; open: readonly Alert[]; unread: boolean }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), LOOK_MS); // what waits too long says nothing when it does
    return () => clearInterval(timer);
  }, []);
  const items = useMemo(() => attentionOf(servers, nodes, open, Math.max(now, Date.now())), [servers, nodes, open, now]);
  if (items.length === 0)
    return (
      <div className="calm">
        {unread ? "No node and no server needs attention; alerts could not be read." : <><PartyPopper aria-hidden /> Nothing needs attention.</>}
      </div>
    );
  const hidden = items.slice(SHOWN);
  const allOf = (kind: "node" | "server") => items.filter((item) => item.kind === kind).length;
  return (
    <>
      <ul className="rows">
        {items.slice(0, SHOWN).map((item) => (
          <li key={`${item.kind} ${item.key}`}>
            {item.kind === "alert" ? (
              <Link to="/alerts">
                <Bell aria-hidden />
                <strong>{inWords(item.alert.kind)}</strong>
                <span className="badge failing">
                  <span className="dot" aria-hidden />
                  Alert
                </span>
                <span className="muted reason" title={item.note}>
                  {item.note}
                </span>
              </Link>
            ) : item.kind === "node" ? (
              <Link to="/nodes/$node" params={{ node: item.row.name }}>
                <ServerIcon aria-hidden />
                <strong>{item.row.name}</strong>
                <HealthBadge health={item.row.health} />
                <NodeFlags row={item.row} />
                <span className="muted reason" title={item.note}>
                  {item.note}
                </span>
              </Link>
            ) : (
              <Link to="/servers/$namespace/$name" params={{ namespace: item.row.namespace, name: item.row.name }}>
                <Box aria-hidden />
                <strong>{item.row.name}</strong>
                <HealthBadge health={item.row.health} />
                <PinFlag row={item.row} />
                <span className="muted reason" title={item.note}>
                  {item.note}
                </span>
              </Link>
            )}
          </li>
        ))}
      </ul>
      {hidden.some(({ kind }) => kind === "node") && (
        <Link to="/nodes" search={{ sort: "health" }} className="more">
          All {plural(allOf("node"), "node")} that need a look
        </Link>
      )}
      {hidden.some(({ kind }) => kind === "server") && (
        <Link to="/servers" search={{ sort: "health" }} className="more">
          All {plural(allOf("server"), "server")} that need a look
        </Link>
      )}
    </>
  );
}

const UP = [{ colour: "--good", fill: "--good-soft" }];
const percentTick = (tick: number) => `${tick} %`;

function Availability() {
  const { data, error } = useQuery(uptime("server/", CHART_HOURS, CHART_PARTS, "true"));
  const points = useMemo(() => {
    if (data === undefined) return undefined;
    const now = Date.now() / 1000;
    const width = (CHART_HOURS * 3600) / CHART_PARTS;
    const x = Array.from({ length: CHART_PARTS }, (_, index) => now - (CHART_PARTS - 1 - index) * width);
    const y = x.map((_, index) => {
      const ratio = data[0]?.bars?.[index] ?? null;
      return ratio === null ? null : ratio * 100;
    });
    return [x, y] as [number[], (number | null)[]];
  }, [data]);
  const mean = data?.[0]?.uptime.ratio ?? null;
  const known = points?.[1].filter((value) => value !== null).length ?? 0;
  return (
    <Card title="Instances up, last 24 hours" className="chart-card" tools={<span className="figure">{percent(mean)}</span>}>
      <Suspense fallback={<div className="chart" />}>{points === undefined ? error === null ? <div className="chart" /> : <p className="chart calm muted break">Could not be read: {error.message}. It is tried again every minute.</p> : known < LEAST_PARTS ? <p className="chart calm muted">A line is drawn here when there is half an hour of it.</p> : <Chart x={points[0]} series={UP} values={[points[1]]} label={`Share of instances up over the last 24 hours: ${percent(mean)} on average`} tick={percentTick} range={[0, 100]} />}</Suspense>
    </Card>
  );
}

// The last change, and how far it has come.
function Versions({ head, nodes }: { head: { order: string; snapshot: string }; nodes: readonly NodeRow[] }) {
  const { data, error } = useQuery(snapshotOf(head.snapshot));
  const spread = spreadOf(nodes);
  return (
    <Card title="Last change" className="versions-card" tools={<Link to="/history" search={{ at: head.snapshot }} className="muted small">Version {head.order}</Link>}>
      <p>
        {data === undefined && error !== null ? <span className="muted break">Could not be read: {error.message}.</span> : <strong className="break">{data === undefined ? "…" : data.message || "no message"}</strong>}{" "}
        {data !== undefined && (
          <span className="muted">
            {data.author || "unknown"}, <Ago at={data.time} />
          </span>
        )}
      </p>
      {spread.length > 0 && (
        <ul className="spread" aria-label="Versions that nodes run">
          {spread.map(([version, many]) => (
            <li key={version} className={isBehind(version, head.order) ? "chip warn" : "chip good"}>
              {version || "none"}: {plural(many, "node")}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

export function Overview() {
  const { servers, nodes, head, frozen, link, synced, desiredError } = useFleet();
  const alerted = useCan("alerts");
  const measured = useCan("uptime");
  const enrols = useCan("enrol");
  const mayAct = useMayAct();
  const told = useQuery({ ...alerts, enabled: alerted });
  const { open, fresh, note, tone } = useMemo(() => openOf(told), [told.data, told.isError]);
  const wait = useWait(link === "lost" ? "There is no answer; trying again" : "Looking at the fleet", false);
  // What nodes report is shown at once: to read all that is desired takes seconds in a large fleet, for who has nothing of it yet.
  if (wait !== undefined && (!synced || servers.length === 0 || desiredError !== undefined))
    return (
      <>
        <PageHead title="Overview" />
        {wait}
      </>
    );
  const ready = servers.filter((row) => row.health === "ready").length;
  const meant = servers.filter((row) => row.health !== "off").length;
  const there = nodes.filter(isThere);
  const online = there.length;
  const newest = there.filter((row) => row.head !== "" && !isBehind(row.head, head?.order)).length;
  const inShort = (rows: readonly { health: Health }[]) => splitOf(rows).map(([word, each]) => `${count(each)} ${word}`).join(", ");
  return (
    <>
      <PageHead title="Overview" sub={head === undefined ? "Nothing was applied yet" : <>Version {head.order}{head.signed && " · signed fleet"}</>} />
      <OldVersion />
      {frozen && <div className="banner warn">More than a third of the nodes vanished at once. Nothing is moved until they are back; look at the network first.</div>}
      <div className="tiles">
        <Tile icon={Box} label="Servers ready" to="/servers" value={count(ready)} of={count(meant)} note={servers.length === 0 ? "none yet" : meant - ready === 0 ? "all that are meant to be up" : inShort(servers.filter((row) => row.health !== "off" && row.health !== "ready"))} tone={meant === 0 ? "" : meant === ready ? "good" : servers.some(({ health }) => health === "failing") ? "bad" : "warn"} />
        <Tile icon={ServerIcon} label="Nodes online" to="/nodes" value={count(online)} of={count(nodes.length)} note={nodes.length === 0 ? "none enrolled" : inShort(nodes)} tone={nodes.length === 0 ? "" : nodes.some(({ health }) => health === "offline" || health === "failing") ? "bad" : nodes.some(isIll) ? "warn" : "good"} />
        {alerted && <Tile icon={Bell} label="Alerts" to="/alerts" value={fresh === undefined ? "—" : count(fresh)} note={note} tone={tone === "bad" ? "bad alarm" : tone} />}
        <Tile icon={GitCommitHorizontal} label="On the newest version" to="/history" value={count(newest)} of={count(online)} note={head === undefined ? "nothing was applied yet" : newest === online ? "every node that is online" : "the rest is on its way"} tone={head === undefined || online === 0 ? "" : newest === online ? "good" : "warn"} />
      </div>
      {nodes.length + servers.length === 0 ? (
        <Empty icon={ServerIcon} title="An empty fleet" {...(mayAct ? { action: <Link to="/nodes" className="button primary">Enrol the first node</Link> } : {})}>
          {mayAct ? "Let a machine in, then apply a server." : "An operator lets machines in and applies servers."} Both show up here by themselves.
        </Empty>
      ) : servers.length === 0 && !enrols ? (
        <Empty icon={Box} title="Nothing runs here yet" {...(mayAct ? { action: <Link to="/apply" className="button primary">Apply the first server</Link> } : {})}>
          {mayAct ? "Write a manifest here or use mcpctl apply: it shows up by itself." : "What an operator applies shows up here by itself."}
        </Empty>
      ) : (
        <>
          <div className={measured || head !== undefined ? "columns" : ""}>
            <Card title="Needs attention">
              <Attention servers={servers} nodes={nodes} open={open} unread={told.isError} />
            </Card>
            {measured ? (
              <div className="beside">
                {head !== undefined && <Versions head={head} nodes={nodes} />}
                <Availability />
              </div>
            ) : (
              head !== undefined && <Versions head={head} nodes={nodes} />
            )}
          </div>
          <Card title="What runs where" tools={<span className="muted">{plural(nodes.length, "node")} · {plural(servers.length, "server")}</span>}>
            <FleetMap nodes={nodes} servers={servers} />
          </Card>
        </>
      )}
    </>
  );
}
