// What a server uses on one node, live: asked of the node while this is looked at, and kept nowhere but in its memory and in this page.
import "../ui/usage.css";
import { Link } from "@tanstack/react-router";
import { Activity, CloudOff, ListChecks } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { clockOf, count, inWords, percent, timeOf } from "../lib/format";
import { bytesText, coresText, countText, inShort, linesOf, mergeUsage, NO_USAGE, perMinute, type Sample, timeText, type Usage, type UsageEvent } from "../lib/usage";
import { useFleet, useMeasured, type UsageNews } from "../live";
import type { ServerRow } from "../live/rows";
import { Age } from "../ui/ago";
import Chart, { type Series } from "../ui/chart";
import { Card, Select } from "../ui/parts";
import { Empty, Loading } from "../ui/states";

// A node that was asked answers within a measurement of its runtimes.
const ANSWER_MS = 12_000;
const TABLE_ROWS = 60;

interface Line {
  name: string;
  of(sample: Sample): number | null;
}
interface Figure {
  title: string;
  lines: Line[];
  series: Series[];
  text(value: number): string;
  steps?: number[]; // between ticks
  more?(sample: Sample): string;
}

// Whole ones, and what is round in bytes.
const WHOLE = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((part) => part * 10 ** power)).flat();
const BINARY = Array.from({ length: 33 }, (_, power) => 2 ** (power + 10));

const share = ({ calls, errors }: Sample): string => (calls === 0 ? "" : `${percent(errors / calls)} failed`);
const FIGURES: Figure[] = [
  { title: "CPU", lines: [{ name: "CPU", of: ({ cpu }) => cpu }], series: [{ colour: "--accent", fill: "--accent-soft" }], text: coresText },
  { title: "Memory", lines: [{ name: "Memory", of: ({ memory }) => memory }], series: [{ colour: "--accent", fill: "--accent-soft" }], text: bytesText, steps: BINARY },
  { title: "Sessions", lines: [{ name: "Sessions", of: ({ sessions }) => sessions }], series: [{ colour: "--accent", fill: "--accent-soft" }], text: countText, steps: WHOLE },
  {
    title: "Tool calls a minute",
    lines: [
      { name: "Calls", of: ({ calls, seconds }) => perMinute(calls, seconds) },
      { name: "Failed", of: ({ errors, seconds }) => perMinute(errors, seconds) },
    ],
    series: [{ colour: "--accent", fill: "--accent-soft" }, { colour: "--bad", dash: true }],
    text: countText,
    more: share,
  },
  {
    title: "Time of tool calls",
    lines: [
      { name: "Half within (p50)", of: ({ p50 }) => p50 },
      { name: "99 % within (p99)", of: ({ p99 }) => p99 },
    ],
    series: [{ colour: "--accent" }, { colour: "--warn", dash: true }],
    text: timeText,
  },
];

function FigureCard({ figure, samples }: { figure: Figure; samples: readonly Sample[] }) {
  const { title, lines, series, text, steps, more } = figure;
  const { x, y } = useMemo(() => linesOf(samples, lines.map(({ of }) => of)), [samples, lines]);
  const [pointed, setPointed] = useState<number | null>(null);
  const at = pointed !== null && pointed < x.length ? pointed : x.length - 1;
  const sample = samples.find((each) => each.at === Math.round((x[at] ?? 0) * 1000));
  const label = `${title} over the last hour: ${lines.map(({ name }, index) => `${lines.length > 1 ? `${name} ` : ""}${inShort(y[index]!, text)}`).join("; ")}`;
  return (
    <Card title={title} className="chart-card usage-card" tools={<span className="muted small">{x[at] === undefined ? "" : clockOf(new Date(x[at] * 1000).toISOString())}</span>}>
      <p className="usage-now">
        {lines.map(({ name }, index) => {
          const value = y[index]![at] ?? null;
          return (
            <span key={name} className="usage-value">
              {lines.length > 1 && <span className={`swatch ${series[index]!.dash ? "dash" : ""} ${series[index]!.colour.slice(2)}`} aria-hidden />}
              {lines.length > 1 && <span className="muted small">{name}</span>} <strong className="figure">{value === null ? "—" : text(value)}</strong>
            </span>
          );
        })}
        {more !== undefined && sample !== undefined && <span className="muted small">{more(sample)}</span>}
      </p>
      <Chart x={x} series={series} values={y} label={label} tick={text} {...(steps === undefined ? {} : { steps })} point={setPointed} />
    </Card>
  );
}

const cell = (value: number | null, text: (value: number) => string): string => (value === null ? "—" : text(value));

// The same figures for who does not read charts, or wants to copy them.
function Table({ samples }: { samples: readonly Sample[] }) {
  const rows = samples.slice(-TABLE_ROWS).reverse();
  return (
    <details className="card usage-table">
      <summary>Figures as a table</summary>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Figures, scrolls">
        <table className="plain numbers">
          <caption className="sr-only">The last {rows.length} samples, the newest first</caption>
          <thead>
            <tr>
              {["Until", "Over", "CPU", "Memory", "Sessions", "Calls", "Failed", "p50", "p99"].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((sample) => (
              <tr key={sample.at} className="number">
                <td>{timeOf(sample.at)}</td>
                <td>{timeText(sample.seconds * 1000)}</td>
                <td>{cell(sample.cpu, coresText)}</td>
                <td>{cell(sample.memory, bytesText)}</td>
                <td>{count(sample.sessions)}</td>
                <td>{count(sample.calls)}</td>
                <td>{count(sample.errors)}</td>
                <td>{cell(sample.p50, timeText)}</td>
                <td>{cell(sample.p99, timeText)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Events({ events, node }: { events: readonly UsageEvent[]; node: string }) {
  return (
    <Card title="Events">
      {events.length === 0 ? (
        <p className="muted">Nothing has happened to it on {node} since mcplet started there.</p>
      ) : (
        <div className="scroll-x" tabIndex={0} role="region" aria-label="Events, scrolls">
          <table className="plain">
            <caption className="sr-only">Events, the newest first</caption>
            <thead>
              <tr>
                <th scope="col">Last</th>
                <th scope="col">Kind</th>
                <th scope="col">Reason</th>
                <th scope="col">Message</th>
                <th scope="col" className="number">
                  Times
                </th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <tr key={`${event.firstTime} ${event.reason} ${event.message}`}>
                  <td>
                    <Age at={event.time} />
                  </td>
                  <td className={event.type === "Warning" ? "warn-text" : "muted"}>{event.type}</td>
                  <td>{inWords(event.reason)}</td>
                  <td className="break">{event.message}</td>
                  <td className="number" title={event.count > 1 ? `since ${timeOf(event.firstTime)}` : undefined}>
                    {count(event.count)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

export function ServerUsage({ row, chosen, choose }: { row: ServerRow; chosen: string; choose(node: string): void }) {
  const { namespace, name, nodes } = row;
  const { link } = useFleet();
  const node = nodes.includes(chosen) ? chosen : (nodes.find((each) => row.on[each] !== "offline") ?? nodes[0]);
  const offline = node !== undefined && row.on[node] === "offline";
  const [usage, setUsage] = useState<Usage>(NO_USAGE);
  const [late, setLate] = useState(false);
  useEffect(() => setUsage(NO_USAGE), [namespace, name, node]);
  const waits = node !== undefined && !offline && !usage.heard && link === "live";
  useEffect(() => {
    setLate(false);
    if (!waits) return undefined;
    const timer = setTimeout(() => setLate(true), ANSWER_MS);
    return () => clearTimeout(timer);
  }, [waits, node]);
  const take = useCallback(
    (news: UsageNews) => {
      const found = news.node === node ? news.servers.find((each) => each.namespace === namespace && each.server === name) : undefined;
      if (found !== undefined) setUsage((before) => mergeUsage(before, found));
    },
    [namespace, name, node],
  );
  useMeasured(node === undefined || offline ? undefined : { namespace, server: name, node }, take);
  const select = nodes.length > 1 && <Select value={node ?? ""} change={choose} label="Node" options={nodes.map((value) => ({ value, label: row.on[value] === "offline" ? `${value} (offline)` : value }))} />;
  if (node === undefined) return <Empty icon={Activity} title="It runs nowhere yet">No node has reported it. Look whether its placement matches a node that is online.</Empty>;
  return (
    <div className="stack">
      <div className="filters">
        {select}
        {usage.heard && link === "live" && !offline && (
          <span className="link-state live" role="status">
            <span className="dot" aria-hidden /> Live, every 5 s
          </span>
        )}
      </div>
      {offline && (
        <Empty icon={CloudOff} title={`${node} is offline`} action={<Link to="/nodes/$node" params={{ node }} className="button">Look at the node</Link>}>
          Its figures are in its memory and come back with it. What it wrote until then is in the logs{nodes.length > 1 ? "; choose another node above" : ""}.
        </Empty>
      )}
      {!offline && !usage.heard && !late && <Loading what={link === "live" ? `Asking ${node}` : "Waiting for the connection"} />}
      {!offline && !usage.heard && late && (
        <Empty icon={CloudOff} title={`${node} does not answer`}>
          It may run an mcplet that tells no figures: upgrade it, or run <code>mcpctl top</code> and <code>mcpctl describe mcp/{name}</code> there. It is asked again when you come back to this page.
        </Empty>
      )}
      {!offline && usage.heard && usage.samples.length === 0 && <Empty icon={ListChecks} title="Nothing measured yet">The first figures come within five seconds, a history within minutes.</Empty>}
      {!offline && usage.samples.length > 0 && (
        <>
          <div className="usage-grid">
            {FIGURES.map((figure) => (
              <FigureCard key={figure.title} figure={figure} samples={usage.samples} />
            ))}
          </div>
          <Table samples={usage.samples} />
        </>
      )}
      {!offline && usage.heard && <Events events={usage.events} node={node} />}
    </div>
  );
}
