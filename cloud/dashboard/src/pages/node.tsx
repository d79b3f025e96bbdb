import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Ban, Cable, CircleSlash, RotateCcwKey, Server as ServerIcon, ShieldX, Trash2, Undo2 } from "lucide-react";
import { type FormEvent, lazy, useMemo, useState } from "react";
import { api, ApiError, result } from "../api/client";
import { nodesList, queryClient, uptime } from "../api/queries";
import { useCan, useMayAct } from "../app/session";
import { useAct } from "../lib/act";
import { agoOf, minuteOf, plural } from "../lib/format";
import { HOURS, uptimeText } from "../lib/uptime";
import { bytesText } from "../lib/usage";
import { isBehind } from "../lib/rollout";
import { useFleet } from "../live";
import { type NodeRow, readyWords } from "../live/rows";
import { Seen } from "../ui/ago";
import { Confirm, type Question } from "../ui/dialog";
import { NodeFlags } from "../ui/flags";
import { Bars, Card, HealthBadge, Labels, PageHead } from "../ui/parts";
import { Part } from "../ui/part";
import { Empty, Failed, Loading } from "../ui/states";
import { VirtualTable } from "../ui/table";
import { useToast } from "../ui/toast";
import { Conditions } from "./server_status";
import { SERVER_COLUMNS } from "./servers";

const NodeUsage = lazy(() => import("./node_usage").then((module) => ({ default: module.NodeUsage })));
const route = getRouteApi("/nodes/$node");

function Revoked({ secrets }: { secrets: string[] | null }) {
  if (secrets === null) return <>Revoked. Which secrets it could open can’t be read now: mcpctl node revoke says it.</>;
  return secrets.length === 0 ? <>Revoked. It could open no secret.</> : <>Revoked. Replace the secrets that it could open: {secrets.join(", ")}</>;
}

// What is done to a node's credentials and to what is known of it, where its enrolment is.
function AccessActions({ row, ask }: { row: NodeRow; ask(question: Question): void }) {
  const act = useAct();
  const say = useToast();
  const navigate = route.useNavigate();
  const params = { path: { node: row.name } };
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={!row.connected}
        title={row.connected ? "It gets itself a new token" : "It must be connected"}
        onClick={() =>
          ask({
            title: `Replace the token of ${row.name}?`,
            description: "The node is asked to get itself a new one. The old one ends when the new one is used.",
            action: "Ask it",
            not: "Not asked",
            run: async () => {
              await result(api.POST("/v1/nodes/{node}/rotate", { params }));
              say("good", `${row.name} was asked for a new token.`);
            },
          })
        }
      >
        <RotateCcwKey aria-hidden /> Rotate
      </button>
      <button
        type="button"
        className="button danger-ghost"
        onClick={() =>
          ask({
            title: `Revoke ${row.name}?`,
            description: "For a machine that was stolen or given away: its tokens, joins and sockets end now. What it runs goes on there, unwatched. It must be enrolled anew.",
            action: "Revoke",
            not: "Not revoked",
            name: row.name,
            dangerous: true,
            run: async () => {
              const { secrets } = await result(api.POST("/v1/nodes/{node}/revoke", { params }));
              say("good", <Revoked secrets={secrets} />);
              void queryClient.invalidateQueries({ queryKey: ["nodes"] });
            },
          })
        }
      >
        <ShieldX aria-hidden /> Revoke
      </button>
      <button
        type="button"
        className="button danger-ghost"
        onClick={() =>
          ask({
            title: `Forget ${row.name}?`,
            description: "It is revoked, and its status, uptime and place in the fleet are removed.",
            action: "Forget",
            not: "Not forgotten",
            name: row.name,
            dangerous: true,
            run: async () => {
              try {
                await result(api.DELETE("/v1/nodes/{node}", { params }));
              } catch (error) {
                // Declared, and never heard of by the Worker; or it forgot it before, and the declaration stayed.
                if (!(row.desired !== undefined && error instanceof ApiError && error.status === 404)) throw error;
              }
              if (row.desired !== undefined)
                await act(() => result(api.POST("/v1/changes", { body: { set: [], remove: [{ kind: "MCPNode", namespace: "", name: row.name }], message: `forget ${row.name}`, dryRun: false } })), { deed: `${row.name} is forgotten` });
              void navigate({ to: "/nodes" });
            },
          })
        }
      >
        <Trash2 aria-hidden /> Forget
      </button>
    </>
  );
}

const DONE = { cordon: "cordoned", uncordon: "uncordoned", drain: "drained" } as const;

function Actions({ row }: { row: NodeRow }) {
  const [question, setQuestion] = useState<Question>();
  const act = useAct();
  const enrols = useCan("enrol");
  const params = { path: { node: row.name } };
  const change = (action: "cordon" | "uncordon" | "drain", title: string, description: string, dangerous = false) =>
    setQuestion({
      title,
      description,
      action: action.charAt(0).toUpperCase() + action.slice(1),
      not: `Not ${DONE[action]}`,
      ...(dangerous ? { name: row.name, dangerous } : {}),
      run: () => act(() => result(api.POST(`/v1/nodes/{node}/${action}`, { params })), { deed: `${row.name} is ${DONE[action]}` }),
    });
  return (
    <>
      {row.unschedulable ? (
        <button type="button" className="button" onClick={() => change("uncordon", `Let ${row.name} take servers again?`, "What is placed on it starts there.")}>
          <Undo2 aria-hidden /> Uncordon
        </button>
      ) : (
        <button type="button" className="button" onClick={() => change("cordon", `Cordon ${row.name}?`, "It takes nothing new. What runs there stays.")}>
          <Ban aria-hidden /> Cordon
        </button>
      )}
      {!row.drained && (
        <button type="button" className="button" onClick={() => change("drain", `Drain ${row.name}?`, "It takes nothing new, and what runs there is stopped, each server as when it is deleted.", true)}>
          <CircleSlash aria-hidden /> Drain
        </button>
      )}
      {enrols && <AccessActions row={row} ask={setQuestion} />}
      <Confirm question={question} close={() => setQuestion(undefined)} />
    </>
  );
}

function Tunnel({ node, tunnel }: { node: string; tunnel: string | null }) {
  const before = tunnel?.replace(/^https:\/\//, "") ?? "";
  const [text, setText] = useState(before);
  const [problem, setProblem] = useState("");
  const say = useToast();
  const mayAct = useMayAct();
  const save = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await result(api.PATCH("/v1/nodes/{node}", { params: { path: { node } }, body: { tunnel: text.trim() === "" ? null : text.trim() } }));
      setProblem("");
      say("good", text.trim() === "" ? "Nothing is routed to it any more." : "Requests are routed to it.");
      void queryClient.invalidateQueries({ queryKey: ["nodes"] });
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form onSubmit={(event) => void save(event)}>
      <label className="field">
        <span>
          Host name of its tunnel <span className="muted small">clients and “Tools” reach its servers by it</span>
        </span>
        <span className="field-row">
          <input value={text} onChange={(event) => setText(event.target.value)} placeholder={`${node}.example.com`} disabled={!mayAct} autoComplete="off" spellCheck={false} />
          {mayAct && (
            <button type="submit" className="button" disabled={text.trim() === before}>
              <Cable aria-hidden /> Set
            </button>
          )}
        </span>
      </label>
      <p className="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}

function Access({ node }: { node: string }) {
  const { data, error } = useQuery(nodesList);
  const found = data?.find((each) => each.node === node);
  if (error) return <Failed error={error} />;
  if (found === undefined) return <p className="muted">The Worker has not heard of it.</p>;
  return (
    <>
      <Tunnel key={found.tunnel} node={node} tunnel={found.tunnel} />
      <h3>{plural(found.tokens.length, "token")}</h3>
      <ul className="plain-list">
        {found.tokens.map((token) => (
          <li key={token.id}>
            <code>{token.id}</code> <span className="muted">made {agoOf(token.created)}, {token.expires === null ? "never ends" : `ends ${minuteOf(token.expires)}`}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

export function Node() {
  const { node } = route.useParams();
  const { nodes, servers, synced, head } = useFleet();
  const mayAct = useMayAct();
  const row = nodes.find((each) => each.name === node);
  const own = useMemo(() => servers.filter((each) => each.nodes.includes(node)), [servers, node]);
  const enrols = useCan("enrol");
  const measured = useCan("uptime");
  const measures = useCan("usage");
  const logged = useCan("logs");
  const up = useQuery({ ...uptime(`node/${node}`, HOURS, 84), enabled: measured }).data?.[0];
  if (!synced) return <Loading what={`Looking for ${node}`} />;
  if (row === undefined)
    return (
      <Empty page icon={ServerIcon} title={`There is no node ${node}`} action={<Link to="/nodes" className="button">All nodes</Link>}>
        It was never enrolled, or it was forgotten.
      </Empty>
    );
  const behind = isBehind(row.head, head?.order);
  return (
    <>
      <PageHead
        title={node}
        sub={
          <span className="inline">
            <HealthBadge health={row.health} reason={row.reason} />
            <NodeFlags row={row} />
            <Labels labels={row.labels} />
          </span>
        }
      >
        {logged && (
          <Link to="/logs" search={{ node }} className="button">
            Logs
          </Link>
        )}
        {mayAct && <Actions row={row} />}
      </PageHead>
      {row.cloned && <div className="banner bad">Two machines seem to use this node’s credentials. Revoke it, replace its secrets, enrol it anew with new keys.</div>}
      {row.health === "degraded" && <div className="banner warn">{row.message}</div>}
      {row.health === "pending" && row.lastSeen === 0 && <div className="banner warn">It was enrolled and has not come yet. Run the join command there, then restart mcplet.</div>}
      <Card className="facts-card">
        <dl className="facts">
          <div>
            <dt>Servers ready</dt>
            <dd>{readyWords(row)}</dd>
          </div>
          <div>
            <dt>Last seen</dt>
            <dd>
              <Seen row={row} />
            </dd>
          </div>
          <div>
            <dt>mcplet</dt>
            <dd>{row.version || "—"}</dd>
          </div>
          <div>
            <dt>Fleet version</dt>
            <dd className={behind ? "warn-text" : ""} {...(behind && { title: `the newest is ${head?.order}` })}>
              {row.head || "—"}
            </dd>
          </div>
          {row.capacity.cpus > 0 && (
            <>
              <div>
                <dt>CPUs</dt>
                <dd>{row.capacity.cpus}</dd>
              </div>
              <div>
                <dt>Memory</dt>
                <dd>{bytesText(row.capacity.memoryBytes)}</dd>
              </div>
              <div>
                <dt>Disk</dt>
                <dd>{bytesText(row.capacity.diskBytes)}</dd>
              </div>
            </>
          )}
          <div>
            <dt>Runtimes</dt>
            <dd>{row.runtimes.join(", ") || "—"}</dd>
          </div>
        </dl>
        {up !== undefined && (
          <div className="facts-bars">
            <Bars bars={up.bars ?? []} uptime={up.uptime} />
            <span className="muted small">Online {uptimeText(up.uptime)}</span>
          </div>
        )}
      </Card>
      <div className="columns">
        <Card title="Conditions">{row.conditions.length === 0 ? <p className="muted">It has reported none yet.</p> : <Conditions conditions={row.conditions} />}</Card>
        {enrols && (
          <Card title="Access">
            <Access node={node} />
          </Card>
        )}
      </div>
      {measures && row.connected && own.length > 0 && (
        <Part what="Asking what they use">
          <NodeUsage node={node} />
        </Part>
      )}
      <Card title="Servers here" className="table-card">
        {own.length === 0 ? <p className="muted">None.</p> : <VirtualTable label={`Servers on ${node}`} rows={own} columns={SERVER_COLUMNS} keyOf={(each) => each.key} />}
      </Card>
    </>
  );
}
