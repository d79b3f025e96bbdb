import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Bell, Box, GitCommitHorizontal, type LucideIcon, PartyPopper, Server as ServerIcon } from "lucide-react";
import { lazy, type ReactNode, Suspense, useMemo } from "react";
import { alerts, snapshotOf, uptime } from "../api/queries";
import { ageOf, inWords, percent, plural, timeOf } from "../lib/format";
import { useCan } from "../app/session";
import { useFleet } from "../live";
import { type Health, HEALTH_ORDER, type NodeRow, type ServerRow, spreadOf, splitOf } from "../live/rows";
import { FleetMap } from "../ui/fleet_map";
import { Card, HealthBadge, PageHead } from "../ui/parts";
import { NodeFlags, PinFlag } from "../ui/flags";
import { Empty, Loading } from "../ui/states";

const Chart = lazy(() => import("../ui/chart"));
const SHOWN = 6;
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

const byHealth = (a: { health: Health }, b: { health: Health }): number => HEALTH_ORDER[a.health] - HEALTH_ORDER[b.health];
const isIll = ({ health }: { health: Health }): boolean => HEALTH_ORDER[health] <= HEALTH_ORDER.offline;

function Attention({ servers, nodes }: { servers: readonly ServerRow[]; nodes: readonly NodeRow[] }) {
  const bad = useMemo(() => servers.filter((row) => isIll(row) || row.pins !== "").sort(byHealth), [servers]);
  const away = useMemo(() => nodes.filter((row) => isIll(row) || row.cloned).sort(byHealth), [nodes]);
  if (bad.length + away.length === 0)
    return (
      <div className="calm">
        <PartyPopper aria-hidden /> Nothing needs attention.
      </div>
    );
  return (
    <>
      <ul className="rows">
        {away.slice(0, SHOWN).map((row) => (
          <li key={row.name}>
            <Link to="/nodes/$node" params={{ node: row.name }}>
              <ServerIcon aria-hidden />
              <strong>{row.name}</strong>
              <HealthBadge health={row.health} />
              <NodeFlags row={row} />
              <span className="muted cut" title={row.message}>{row.health === "offline" && row.lastSeen > 0 ? `seen ${ageOf(row.lastSeen)} ago` : row.message}</span>
            </Link>
          </li>
        ))}
        {bad.slice(0, SHOWN).map((row) => (
          <li key={row.key}>
            <Link to="/servers/$namespace/$name" params={{ namespace: row.namespace, name: row.name }}>
              <Box aria-hidden />
              <strong>{row.name}</strong>
              <HealthBadge health={row.health} />
              <PinFlag row={row} />
              <span className="muted cut">{isIll(row) ? [inWords(row.reason), row.message].filter(Boolean).join(": ") : row.pins}</span>
            </Link>
          </li>
        ))}
      </ul>
      {away.length > SHOWN && (
        <Link to="/nodes" search={{ sort: "health" }} className="more">
          All {plural(away.length, "node")} that need a look
        </Link>
      )}
      {bad.length > SHOWN && (
        <Link to="/servers" search={{ sort: "health" }} className="more">
          All {plural(bad.length, "server")} that need a look
        </Link>
      )}
    </>
  );
}

const UP = [{ colour: "--good", fill: "--good-soft" }];
const percentTick = (tick: number) => `${tick} %`;

function Availability() {
  const { data } = useQuery(uptime("server/", CHART_HOURS, CHART_PARTS, "true"));
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
    <Card title="Servers up, last 24 hours" className="chart-card" tools={<span className="figure">{percent(mean)}</span>}>
      <Suspense fallback={<div className="chart" />}>{points === undefined ? <div className="chart" /> : known < LEAST_PARTS ? <p className="chart calm muted">A line is drawn here when there is half an hour of it.</p> : <Chart x={points[0]} series={UP} values={[points[1]]} label={`Share of servers up over the last 24 hours: ${percent(mean)} on average`} tick={percentTick} range={[0, 100]} />}</Suspense>
    </Card>
  );
}

// The last change, and how far it has come.
function Versions({ head, nodes }: { head: { order: string; snapshot: string }; nodes: readonly NodeRow[] }) {
  const { data } = useQuery(snapshotOf(head.snapshot));
  const spread = spreadOf(nodes);
  return (
    <Card title="Last change" className="versions-card" tools={<Link to="/history" search={{ at: head.snapshot }} className="muted small">Version {head.order}</Link>}>
      <p>
        <strong className="break">{data === undefined ? "…" : data.message || "no message"}</strong>{" "}
        {data !== undefined && (
          <span className="muted">
            {data.author || "unknown"},{" "}
            <time dateTime={data.time} title={timeOf(data.time)}>
              {ageOf(data.time)} ago
            </time>
          </span>
        )}
      </p>
      {spread.length > 0 && (
        <ul className="spread" aria-label="Versions that nodes run">
          {spread.map(([version, count]) => (
            <li key={version} className={version === head.order ? "chip good" : "chip warn"}>
              {version || "none"}: {plural(count, "node")}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

export function Overview() {
  const { servers, nodes, synced, desiredKnown, head, frozen, link } = useFleet();
  const alerted = useCan("alerts");
  const measured = useCan("uptime");
  const enrols = useCan("enrol");
  const open = useQuery({ ...alerts, enabled: alerted }).data?.filter((alert) => alert.cleared === null) ?? [];
  // What nodes report is shown at once: to read all that is desired takes seconds in a large fleet, for who has nothing of it yet.
  if (!synced || (!desiredKnown && servers.length === 0))
    return (
      <>
        <PageHead title="Overview" />
        <Loading what={link === "lost" ? "There is no answer; trying again" : "Looking at the fleet"} />
      </>
    );
  const ready = servers.filter((row) => row.health === "ready").length;
  const meant = servers.filter((row) => row.health !== "off").length;
  const online = nodes.filter((row) => row.connected && !row.down).length;
  const newest = nodes.filter((row) => row.connected && row.head === head?.order).length;
  const inShort = (rows: readonly { health: Health }[]) => splitOf(rows).map(([word, count]) => `${count} ${word}`).join(", ");
  const fresh = open.filter((alert) => alert.acknowledged === null).length;
  return (
    <>
      <PageHead title="Overview" sub={head === undefined ? "Nothing was applied yet" : <>Version {head.order}{head.signed && " · signed fleet"}</>} />
      {frozen && <div className="banner warn">More than a third of the nodes vanished at once. Nothing is moved until they are back; look at the network first.</div>}
      <div className="tiles">
        <Tile icon={Box} label="Servers ready" to="/servers" value={ready.toLocaleString()} of={meant.toLocaleString()} note={meant - ready === 0 ? "all that are meant to be up" : inShort(servers.filter((row) => row.health !== "off" && row.health !== "ready"))} tone={meant === ready ? "good" : ready === 0 ? "bad" : "warn"} />
        <Tile icon={ServerIcon} label="Nodes online" to="/nodes" value={online} of={nodes.length} note={nodes.length === 0 ? "none enrolled" : inShort(nodes)} tone={nodes.some(({ health }) => health === "offline" || health === "failing") ? "bad" : nodes.some(isIll) ? "warn" : "good"} />
        {alerted && <Tile icon={Bell} label="Alerts" to="/alerts" value={fresh} note={open.length > fresh ? `${open.length - fresh} more acknowledged` : fresh === 0 ? "nothing is wrong" : "to be looked at"} tone={fresh === 0 ? "good" : "bad"} />}
        <Tile icon={GitCommitHorizontal} label="On the newest version" to="/history" value={newest} of={online} note={head === undefined ? "nothing was applied yet" : newest === online ? "every node that is online" : "the rest is on its way"} tone={head === undefined || newest === online ? "good" : "warn"} />
      </div>
      {nodes.length + servers.length === 0 ? (
        <Empty icon={ServerIcon} title="An empty fleet" action={<Link to="/nodes" className="button primary">Enrol the first node</Link>}>
          Let a machine in, then apply a server. Both show up here by themselves.
        </Empty>
      ) : servers.length === 0 && !enrols ? (
        <Empty icon={Box} title="Nothing runs here yet" action={<Link to="/apply" className="button primary">Apply the first server</Link>}>
          Write a manifest here or use mcpctl apply: it shows up by itself.
        </Empty>
      ) : (
        <>
          <div className={measured || head !== undefined ? "columns" : ""}>
            <Card title="Needs attention">
              <Attention servers={servers} nodes={nodes} />
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
