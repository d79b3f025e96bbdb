import { useQuery } from "@tanstack/react-query";
import { Play, PlugZap, Wrench } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { objectOf } from "../api/queries";
import { useCan, useMayAct, useOfNode } from "../app/session";
import { plural } from "../lib/format";
import type { JsonSchema } from "../lib/form";
import { type Asked, type CallToolResult, type Progress, type Tool, ToolClient } from "../lib/mcp";
import { pinningInWords, type PinState, type ToolRow, toolRows, type ToolsSpec } from "../lib/pins";
import type { ServerRow } from "../live/rows";
import { Card, Search } from "../ui/parts";
import { SchemaForm } from "../ui/schema_form";
import { Empty, Loading } from "../ui/states";
import { useToast } from "../ui/toast";
import { AskedDialog } from "./asked";
import type { Place } from "./server_facts";
import { ToolResult } from "./tool_result";

interface Run {
  state: "running" | "done" | "failed" | "cancelled";
  progress?: Progress;
  result?: CallToolResult;
  problem?: string;
  ms?: number;
}

// `drop` takes away a question that needs no answer any more; `told`: somebody is there to be told so.
// `revision`: of what serves; with another one the session is another one, too.
function useTools(namespace: string, name: string, token: string, enabled: boolean, revision: string, ask: (asked: Asked) => void, drop: (asked: Asked, told: boolean) => void) {
  const client = useRef<ToolClient>(undefined);
  const [tools, setTools] = useState<Tool[]>();
  const [problem, setProblem] = useState("");
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!enabled) return undefined;
    let ended = false;
    const load = () =>
      own
        .tools()
        .then((found) => !ended && (setTools(found), setProblem("")))
        .catch((error: unknown) => !ended && setProblem((error as Error).message));
    const put = (asked: Asked) => {
      asked.over.addEventListener("abort", () => drop(asked, !ended));
      ask(asked);
    };
    const own = new ToolClient(namespace, name, token, put, () => void load());
    client.current = own;
    void load();
    const leave = ({ persisted }: PageTransitionEvent) => void (persisted || own.end());
    window.addEventListener("pagehide", leave);
    return () => {
      ended = true;
      window.removeEventListener("pagehide", leave);
      void own.end();
    };
  }, [namespace, name, token, enabled, attempt, ask, drop]);
  const served = useRef(revision);
  useEffect(() => {
    if (served.current !== "" && revision !== "" && served.current !== revision) client.current?.renew();
    if (revision !== "") served.current = revision;
  }, [revision]);
  return { client, tools, problem, again: () => (setProblem(""), setTools(undefined), setAttempt((count) => count + 1)) };
}

function Hints({ tool }: { tool: Tool }) {
  const hints = [
    tool.annotations?.readOnlyHint && "reads only",
    tool.annotations?.destructiveHint && !tool.annotations.readOnlyHint && "may destroy",
    tool.annotations?.idempotentHint && "may be repeated",
    tool.annotations?.openWorldHint && "reaches outside",
  ].filter((hint) => typeof hint === "string");
  return (
    <span className="labels">
      {hints.map((hint) => (
        <span key={hint} className={hint === "may destroy" ? "chip bad" : "chip"}>
          {hint}
        </span>
      ))}
    </span>
  );
}

const PIN_CHIP: Record<PinState, string> = { pinned: "chip good", changed: "chip bad", missing: "chip bad", "not pinned": "chip warn", "not known": "chip" };
const Pin = ({ state }: { state: PinState | undefined }) => (state === undefined ? null : <span className={PIN_CHIP[state]}>{state === "not known" ? "pin not known" : state}</span>);

const told = ({ progress, total, message }: Progress): string => message ?? `${progress}${total === undefined ? "" : ` of ${total}`}`;

function Try({ tool, pin, client }: { tool: Tool; pin: PinState | undefined; client: ToolClient }) {
  const mayAct = useMayAct();
  const [run, setRun] = useState<Run>();
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const call = async (args: Record<string, unknown>) => {
    const begun = performance.now();
    const controller = new AbortController();
    abort.current = controller;
    setRun({ state: "running" });
    const end = (more: Partial<Run>) => setRun((before) => ({ state: "done", ...(before?.progress && { progress: before.progress }), ms: performance.now() - begun, ...more }));
    try {
      end({ result: await client.call(tool.name, args, (progress) => setRun({ state: "running", progress }), controller.signal) });
    } catch (error) {
      end(controller.signal.aborted ? { state: "cancelled" } : { state: "failed", problem: (error as Error).message });
    }
  };
  const running = run?.state === "running";
  return (
    <div className="try">
      <h2 className="mono break">{tool.name}</h2>
      <span className="labels">
        <Pin state={pin} />
        <Hints tool={tool} />
      </span>
      {tool.description && <p className="description break">{tool.description}</p>}
      {mayAct ? (
        <SchemaForm
          schema={tool.inputSchema as JsonSchema}
          raw
          busy={running}
          submit={(args) => void call(args)}
          action={
            <>
              <Play aria-hidden /> {running ? "Running…" : "Run"}
            </>
          }
        >
          {running && (
            <button type="button" className="button" onClick={() => abort.current?.abort()}>
              Cancel
            </button>
          )}
        </SchemaForm>
      ) : (
        <p className="muted">You see what it takes; an operator runs it.</p>
      )}
      <div aria-live="polite">
        {running && (
          <div className="progress-line">
            <progress {...(run.progress?.total === undefined ? {} : { value: run.progress.progress, max: run.progress.total })} aria-label="Progress" />
            <span className="muted small">{run.progress === undefined ? "asked" : told(run.progress)}</span>
          </div>
        )}
        {run?.progress !== undefined && !running && <p className="muted small">Its last progress: {told(run.progress)}</p>}
        {run?.state === "cancelled" && <p className="muted">Cancelled.</p>}
        {run?.state === "failed" && (
          <div className="banner bad" role="alert">
            <span className="break">{run.problem}</span>
          </div>
        )}
        {run?.result !== undefined && <ToolResult result={run.result} ms={run.ms ?? 0} />}
      </div>
      <details>
        <summary>Schema</summary>
        <pre className="output" tabIndex={0}>
          {JSON.stringify({ input: tool.inputSchema, ...(tool.outputSchema === undefined ? {} : { output: tool.outputSchema }) }, null, 2)}
        </pre>
      </details>
    </div>
  );
}

// What the server's own auth asks of clients.
function OwnToken({ take }: { take(token: string): void }) {
  const [text, setText] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        take(text.trim());
      }}
    >
      <label className="field">
        <span>Token of a client, if the server asks for one (auth)</span>
        <span className="field-row">
          <input type="password" value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" />
          <button type="submit" className="button" disabled={text.trim() === ""}>
            Use
          </button>
        </span>
      </label>
    </form>
  );
}

// Tools that can't be tried: by name alone.
function Names({ title, rows, more = 0 }: { title: string; rows: readonly ToolRow[]; more?: number }) {
  if (rows.length === 0 && more === 0) return null;
  return (
    <Card title={title}>
      <ul className="plain-list">
        {rows.map(({ name, state, away }) => (
          <li key={name}>
            <span className="mono break">{name}</span> <Pin state={state} /> {away !== "" && <span className="muted small">{away}</span>}
          </li>
        ))}
      </ul>
      {more > 0 && <p className="muted small">{plural(more, "more tool")} that the node does not name.</p>}
    </Card>
  );
}

// What nodes that are there say of its tools.
function reportOf(places: readonly Place[]) {
  const there = places.filter(({ nodeDown }) => !nodeDown);
  const from = there.length > 0 ? there : places;
  const names = [...new Set(from.flatMap(({ status }) => status.catalog?.toolNames ?? []))];
  const count = Math.max(0, ...from.map(({ status }) => status.catalog?.tools ?? 0));
  return { names, more: Math.max(0, count - names.length), told: from.map(({ status }) => status.conditions?.find(({ type }) => type === "ToolsPinned")) };
}

// Revisions that answer now; "" while one is on its way, and the one before answers.
function servingOf(places: readonly Place[]): string {
  const says = (status: Place["status"], what: string, why?: string) => status.conditions?.some(({ type, status: is, reason }) => type === what && is === "True" && (why ?? reason) === reason) ?? false;
  const ready = places.filter(({ status }) => says(status, "Ready"));
  if (ready.some(({ status }) => says(status, "Progressing", "Updating"))) return "";
  return [...new Set(ready.map(({ status }) => status.revision ?? ""))].sort().join(" ");
}

const MANY = 12;

// Those with the text, and first what is not as it was pinned.
function toolsWith(tools: readonly Tool[], text: string, pins: ReadonlyMap<string, PinState | undefined>): readonly Tool[] {
  const wanted = text.trim().toLowerCase();
  const found = wanted === "" ? tools : tools.filter(({ name, title, description }) => [name, title, description].some((each) => each?.toLowerCase().includes(wanted)));
  const rank = ({ name }: Tool) => (pins.get(name) === "changed" ? 0 : 1);
  return [...found].sort((a, b) => rank(a) - rank(b));
}

interface ToolsProps {
  namespace: string;
  name: string;
  row: ServerRow;
  places: readonly Place[]; // how it is on each node
  selected: string | undefined;
  select(tool: string | undefined): void;
}

export function Tools({ namespace, name, row, places, selected, select }: ToolsProps) {
  const [asked, setAsked] = useState<Asked[]>([]);
  const ofNode = useOfNode();
  const tries = useCan("tools");
  const say = useToast();
  const [token, setToken] = useState(""); // in memory, for this visit
  const ask = useCallback((next: Asked) => setAsked((all) => [...all, next]), []);
  const drop = useCallback(
    (gone: Asked, told: boolean) => {
      setAsked((all) => all.filter((each) => each !== gone));
      if (told) say("bad", "The server’s question needs no answer any more: it took it back, or the call is over.");
    },
    [say],
  );
  const answers = Object.values(row.on).includes("ready"); // of whichever generation: what serves until the next one is Ready can be asked
  const asks = tries && answers;
  const { client, tools, problem, again } = useTools(namespace, name, token, asks, useMemo(() => servingOf(places), [places]), ask, drop);
  const tool = useMemo(() => tools?.find((each) => each.name === selected) ?? tools?.[0], [tools, selected]);
  const { data: object, error, refetch } = useQuery({ ...objectOf(row.desired?.hash ?? ""), enabled: row.desired !== undefined });
  const spec = (object?.spec as { tools?: ToolsSpec } | undefined)?.tools;
  const { names, more, told } = useMemo(() => reportOf(places), [places]);
  const offered = asks && problem === "" ? tools?.map((each) => each.name) : undefined;
  const rows = useMemo(() => toolRows(spec, told, names, offered), [spec, told, names, offered?.join("\n")]);
  const [text, setText] = useState("");
  const pins = new Map(rows.map(({ name: each, state }) => [each, state]));
  const listed = toolsWith(tools ?? [], text, pins);
  const words = pinningInWords(spec, object !== undefined, name);
  const head = (
    <>
      {error !== null && (
        <div className="banner warn" role="alert">
          <span className="break">The manifest could not be read, so it is not known which tools are pinned: {error.message}.</span>{" "}
          <button type="button" className="link" onClick={() => void refetch()}>
            Try again
          </button>
        </div>
      )}
      {words !== "" && <p className="muted">{words}</p>}
    </>
  );
  const why = !tries ? (
    <Empty icon={Wrench} title="Tools can’t be tried here">
      This node’s gateway is off, not open yet, or speaks TLS only. <code>mcpctl tools list {name}</code> asks the server itself.
    </Empty>
  ) : !answers ? (
    <Empty icon={Wrench} title="It is not ready">Tools can be tried when a node reports it Ready.</Empty>
  ) : problem !== "" ? (
    <Empty icon={PlugZap} title="The server could not be reached" action={<button type="button" className="button" onClick={again}>Try again</button>}>
      <p className="break">{problem}</p>
      {!ofNode && <p>Its node needs a tunnel for this (see the node’s page), and the Worker the secret SESSION_KEY.</p>}
      <OwnToken take={(next) => (setToken(next), again())} />
    </Empty>
  ) : undefined;
  if (why !== undefined)
    return (
      <div className="stack">
        {head}
        {why}
        <Names title="Its tools, as last reported" rows={rows} more={more} />
      </div>
    );
  if (tools === undefined) return <Loading what="Asking for its tools" />;
  return (
    <div className="stack">
      {head}
      {tool === undefined || client.current === undefined ? (
        <Empty icon={Wrench} title="It offers no tools" />
      ) : (
        <div className="tools">
          <nav className="tool-list" aria-label={plural(tools.length, "tool")}>
            {tools.length > MANY && <Search value={text} change={setText} label="Find a tool" />}
            {listed.length === 0 && <p className="muted">No tool has this text.</p>}
            {listed.map((each) => (
              <button key={each.name} type="button" aria-current={each === tool} onClick={() => select(each.name)}>
                <span className="mono cut">{each.name}</span>
                <Pin state={pins.get(each.name)} />
                <span className="muted small cut">{each.title ?? each.description ?? ""}</span>
              </button>
            ))}
          </nav>
          <Try key={tool.name} tool={tool} pin={pins.get(tool.name)} client={client.current} />
        </div>
      )}
      <Names title="Not offered to clients" rows={rows.filter(({ away, name: each }) => away !== "" && !offered?.includes(each))} />
      {asked[0] !== undefined && <AskedDialog key={asked[0].id} asked={asked[0]} done={() => setAsked((all) => all.filter((each) => each !== asked[0]))} />}
    </div>
  );
}
