import { useQuery } from "@tanstack/react-query";
import { Play, PlugZap, Wrench } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { objectOf } from "../api/queries";
import { useMayAct, useOfNode } from "../app/session";
import { plural } from "../lib/format";
import type { JsonSchema } from "../lib/form";
import { type Asked, type CallToolResult, type Progress, type Tool, ToolClient } from "../lib/mcp";
import { type PinState, pinStateOf } from "../lib/pins";
import type { ServerRow } from "../live/rows";
import { SchemaForm } from "../ui/schema_form";
import { Empty, Loading } from "../ui/states";
import { AskedDialog } from "./asked";
import { ToolResult } from "./tool_result";

interface Run {
  state: "running" | "done" | "failed" | "cancelled";
  progress?: Progress;
  result?: CallToolResult;
  problem?: string;
  ms?: number;
}

function useTools(namespace: string, name: string, token: string, enabled: boolean, ask: (asked: Asked) => void) {
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
    const own = new ToolClient(namespace, name, token, ask, () => void load());
    client.current = own;
    void load();
    return () => {
      ended = true;
      void own.end();
    };
  }, [namespace, name, token, enabled, attempt, ask]);
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

const PIN_CHIP: Record<PinState, string> = { pinned: "chip good", changed: "chip bad", "not pinned": "chip warn", "not known": "chip" };
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

export function Tools({ namespace, name, row, selected, select }: { namespace: string; name: string; row: ServerRow; selected: string | undefined; select(tool: string | undefined): void }) {
  const [asked, setAsked] = useState<Asked[]>([]);
  const ofNode = useOfNode();
  const [token, setToken] = useState(""); // in memory, for this visit
  const ask = useCallback((next: Asked) => setAsked((all) => [...all, next]), []);
  const { client, tools, problem, again } = useTools(namespace, name, token, row.ready > 0, ask);
  const tool = useMemo(() => tools?.find((each) => each.name === selected) ?? tools?.[0], [tools, selected]);
  const { data: object } = useQuery({ ...objectOf(row.desired?.hash ?? ""), enabled: row.desired !== undefined });
  const spec = object?.spec as { tools?: { pinning?: string; pins?: Record<string, string> } } | undefined;
  const pins = spec?.tools?.pinning === "Off" ? undefined : spec?.tools?.pins;
  if (row.ready === 0) return <Empty icon={Wrench} title="It is not ready">Tools can be tried when a node reports it Ready.</Empty>;
  if (problem !== "")
    return (
      <Empty icon={PlugZap} title="The server could not be reached" action={<button type="button" className="button" onClick={again}>Try again</button>}>
        <p className="break">{problem}</p>
        {!ofNode && <p>Its node needs a tunnel for this (see the node’s page), and the Worker the secret SESSION_KEY.</p>}
        <OwnToken take={(next) => (setToken(next), again())} />
      </Empty>
    );
  if (tools === undefined) return <Loading what="Asking for its tools" />;
  if (tool === undefined || client.current === undefined) return <Empty icon={Wrench} title="It offers no tools" />;
  return (
    <div className="tools">
      <nav className="tool-list" aria-label={plural(tools.length, "tool")}>
        {tools.map((each) => (
          <button key={each.name} type="button" aria-current={each === tool} onClick={() => select(each.name)}>
            <span className="mono cut">{each.name}</span>
            <Pin state={pinStateOf(each.name, pins, row.pins)} />
            <span className="muted small cut">{each.title ?? each.description ?? ""}</span>
          </button>
        ))}
      </nav>
      <Try key={tool.name} tool={tool} pin={pinStateOf(tool.name, pins, row.pins)} client={client.current} />
      {asked[0] !== undefined && <AskedDialog asked={asked[0]} done={() => setAsked((all) => all.slice(1))} />}
    </div>
  );
}
