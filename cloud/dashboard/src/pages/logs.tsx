import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { LogSearch } from "../app/router";
import { useOfNode } from "../app/session";
import { type Change, changed } from "../lib/search";
import { useFleet } from "../live";
import type { ServerRow } from "../live/rows";
import { PageHead } from "../ui/parts";
import { LogView } from "./log_view";

const route = getRouteApi("/logs");

const OFFERED = 100; // of ten thousand names a list is no help

function Choice({ server, servers, change }: { server: string; servers: readonly ServerRow[]; change(server: string): void }) {
  const [text, setText] = useState(server);
  useEffect(() => setText(server), [server]);
  const offered = useMemo(() => servers.filter((row) => row.key.includes(text.trim())).slice(0, OFFERED), [servers, text]);
  const take = (value: string) => {
    setText(value);
    const name = value.includes("/") || value === "" ? value : `default/${value}`;
    if (value === "" || servers.some((row) => row.key === name)) change(name);
  };
  return (
    <>
      <input className="choice" list="log-servers" value={text} onChange={(event) => take(event.target.value)} placeholder="All servers" aria-label="Server" spellCheck={false} autoComplete="off" />
      <datalist id="log-servers">
        {offered.map((row) => (
          <option key={row.key} value={row.key} />
        ))}
      </datalist>
    </>
  );
}

export function Logs() {
  const { servers, nodes } = useFleet();
  const ofNode = useOfNode();
  const search = route.useSearch();
  const { server = "" } = search;
  const navigate = route.useNavigate();
  const set = (change: Change<LogSearch & { server: string }>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const [namespace, name] = server === "" ? [] : server.split("/");
  return (
    <div className="fill">
      <PageHead title="Logs" sub={ofNode ? "Of this node’s servers, as long as they keep them, in the order of time. One server is followed live." : "Of every node, in the order of time. One server is followed live."}>
        <Choice server={server} servers={servers} change={(value) => set({ server: value })} />
      </PageHead>
      <LogView namespace={namespace} server={name} nodes={nodes.map((row) => row.name)} search={search} change={set} />
    </div>
  );
}
