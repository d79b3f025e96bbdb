import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Pause, Play, RotateCw, Trash2 } from "lucide-react";
import { lazy, useEffect, useRef, useState } from "react";
import { api, result } from "../api/client";
import { serverOf } from "../api/queries";
import type { LogSearch, ServerTab } from "../app/router";
import { useCan, useMayAct } from "../app/session";
import { whyOf } from "../lib/attention";
import { useAct } from "../lib/act";
import { type Change, changed } from "../lib/search";
import { useServer } from "../live";
import { Confirm, type Question } from "../ui/dialog";
import { OldVersion, useWait } from "../ui/fleet_wait";
import { PinFlag } from "../ui/flags";
import { HealthBadge, Labels, PageHead, Tabs } from "../ui/parts";
import { Part } from "../ui/part";
import { Empty } from "../ui/states";
import { ObjectHistory } from "./object_history";
import { LogView } from "./log_view";
import { Facts, type Place } from "./server_facts";
import { ServerStatus } from "./server_status";
import { YamlOf } from "./yaml_of";
import { Box } from "lucide-react";

const Tools = lazy(() => import("./tools").then((module) => ({ default: module.Tools })));
const ServerUsage = lazy(() => import("./server_usage").then((module) => ({ default: module.ServerUsage })));
const route = getRouteApi("/servers/$namespace/$name");
const NONE: readonly Place[] = [];

const DEEDS = {
  restart: { word: "Restart", deed: "is restarting", not: "Not restarted" },
  suspend: { word: "Suspend", deed: "is suspended", not: "Not suspended" },
  resume: { word: "Resume", deed: "is resumed", not: "Not resumed" },
} as const;

function Actions({ namespace, name, suspended }: { namespace: string; name: string; suspended: boolean }) {
  const [question, setQuestion] = useState<Question>();
  const act = useAct();
  const navigate = route.useNavigate();
  const path = { namespace, server: name };
  const ask = (action: keyof typeof DEEDS, description: string) => {
    const { word, deed, not } = DEEDS[action];
    setQuestion({ title: `${word} ${name}?`, description, action: word, not, run: () => act(() => result(api.POST(`/v1/servers/{namespace}/{server}/${action}`, { params: { path } })), { deed: `${name} ${deed}` }) });
  };
  return (
    <>
      <button type="button" className="button" onClick={() => ask("restart", "Each node makes a new instance of the same version. Sessions drain as the update strategy says.")}>
        <RotateCw aria-hidden /> Restart
      </button>
      {suspended ? (
        <button type="button" className="button" onClick={() => ask("resume", "It starts again on each node that it is placed on.")}>
          <Play aria-hidden /> Resume
        </button>
      ) : (
        <button type="button" className="button" onClick={() => ask("suspend", "Its instances are stopped on every node until somebody resumes it. Clients get 503 meanwhile.")}>
          <Pause aria-hidden /> Suspend
        </button>
      )}
      <button
        type="button"
        className="button danger-ghost"
        onClick={() =>
          setQuestion({
            title: `Delete ${name}?`,
            description: "Every node stops it and removes its instances. The manifest stays in the history and can be rolled back to.",
            action: "Delete",
            not: "Not deleted",
            name,
            dangerous: true,
            run: async () => {
              await act(() => result(api.DELETE("/v1/servers/{namespace}/{server}", { params: { path } })));
              void navigate({ to: "/servers" });
            },
          })
        }
      >
        <Trash2 aria-hidden /> Delete
      </button>
      <Confirm question={question} close={() => setQuestion(undefined)} />
    </>
  );
}

// Asked for again when the row (`stamp`) has changed, one question at a time: of a server that changes faster than the Worker answers the
// questions would pile up, and no answer be the newest one's.
function useDetail(namespace: string, name: string, stamp: number | undefined) {
  const detail = useQuery({ ...serverOf(namespace, name), enabled: stamp !== undefined });
  const { isFetching, refetch } = detail;
  const asked = useRef<number>(undefined);
  useEffect(() => {
    if (stamp === undefined) return;
    if (isFetching) asked.current ??= stamp; // the first one, which is begun by itself
    else if (asked.current !== stamp) {
      asked.current = stamp;
      void refetch();
    }
  }, [stamp, isFetching, refetch]);
  return detail;
}

export function Server() {
  const { namespace, name } = route.useParams();
  const search = route.useSearch();
  const { tab = "status", tool } = search;
  const navigate = route.useNavigate();
  const set = (change: Change<LogSearch>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const mayAct = useMayAct();
  const measures = useCan("usage");
  const wait = useWait(`Looking for ${name}`);
  const row = useServer(namespace, name);
  const detail = useDetail(namespace, name, row?.stamp);
  if (wait !== undefined) return wait;
  if (row === undefined)
    return (
      <Empty page icon={Box} title={`There is no server ${name}`} action={<Link to="/servers" className="button">All servers</Link>}>
        Nothing in namespace {namespace} has this name now. The history knows what was.
      </Empty>
    );
  return (
    <>
      <PageHead
        title={name}
        sub={
          <span className="inline">
            <HealthBadge health={row.health} reason={row.reason} />
            <PinFlag row={row} />
            <span>{namespace}</span>
            <Labels labels={row.labels} />
          </span>
        }
      >
        {mayAct && row.desired !== undefined && <Actions namespace={namespace} name={name} suspended={row.desired.suspended} />}
      </PageHead>
      <OldVersion />
      {row.health !== "ready" && row.health !== "off" && row.message !== "" && <div className={`banner ${row.health === "failing" ? "bad" : "warn"}`}>{whyOf(row)}</div>}
      {row.pins !== "" && row.message !== row.pins && <div className="banner bad">Its tools are not as they are pinned: {row.pins}</div>}
      <Facts row={row} places={detail.data ?? NONE} />
      <Tabs<ServerTab>
        label="Server"
        value={tab}
        change={(next) => void navigate({ search: next === "status" ? {} : { tab: next } })}
        tabs={[
          { value: "status", label: "Status", view: <ServerStatus places={detail.data ?? NONE} loading={detail.isPending} error={detail.error} /> },
          ...(measures
            ? [
                {
                  value: "usage" as const,
                  label: "Usage",
                  view: (
                    <Part what="Loading charts">
                      <ServerUsage row={row} chosen={search.node ?? ""} choose={(node) => set({ node })} />
                    </Part>
                  ),
                },
              ]
            : []),
          {
            value: "tools",
            label: "Tools",
            view: (
              <Part what="Loading the MCP client">
                <Tools namespace={namespace} name={name} row={row} places={detail.data ?? NONE} selected={tool} select={(next) => void navigate({ search: { tab: "tools", ...(next === undefined ? {} : { tool: next }) }, replace: true })} />
              </Part>
            ),
          },
          { value: "logs", label: "Logs", view: <LogView namespace={namespace} server={name} nodes={row.nodes} search={search} change={set} /> },
          { value: "yaml", label: "Manifest", view: <YamlOf row={row.desired} /> },
          { value: "history", label: "History", view: <ObjectHistory kind="MCPServer" namespace={namespace} name={name} /> },
        ]}
      />
    </>
  );
}
