import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { LogSearch } from "../app/router";
import { useOfNode } from "../app/session";
import { serverMeant } from "../lib/log_choice";
import { type Change, changed } from "../lib/search";
import { useFleet } from "../live";
import type { ServerRow } from "../live/rows";
import { PageHead } from "../ui/parts";
import { LogView } from "./log_view";

const route = getRouteApi("/logs");

const OFFERED = 100; // of ten thousand names a list is no help

// What is chosen from the list is taken at once, what is typed by Enter or when it is left: on the way to a name there are others.
function Choice({ server, servers, change }: { server: string; servers: readonly ServerRow[]; change(server: string): void }) {
  const [text, setText] = useState(server);
  const [problem, setProblem] = useState("");
  useEffect(() => (setText(server), setProblem("")), [server]);
  const offered = useMemo(() => servers.filter((row) => row.key.includes(text.trim())).slice(0, OFFERED), [servers, text]);
  const type = (value: string) => {
    setText(value);
    setProblem("");
    if (value === "" || servers.some((row) => row.key === value)) change(value);
  };
  const take = () => {
    const meant = serverMeant(text, servers.map((row) => row.key));
    setProblem(meant.problem ?? "");
    if (meant.server === undefined || meant.server === server) return;
    change(meant.server);
  };
  return (
    <>
      {problem !== "" && (
        <span id="log-server-problem" className="problem" role="alert">
          {text.trim()} {problem}
        </span>
      )}
      <input
        className="choice"
        list="log-servers"
        value={text}
        onChange={(event) => type(event.target.value)}
        onBlur={take}
        onKeyDown={(event) => event.key === "Enter" && take()}
        placeholder="All servers"
        aria-label="Server"
        aria-invalid={problem !== ""}
        aria-describedby={problem === "" ? undefined : "log-server-problem"}
        spellCheck={false}
        autoComplete="off"
      />
      <datalist id="log-servers">
        {offered.map((row) => (
          <option key={row.key} value={row.key} />
        ))}
      </datalist>
    </>
  );
}

export function Logs() {
  const { servers, nodes, synced, desiredKnown } = useFleet();
  const ofNode = useOfNode();
  const search = route.useSearch();
  const { server = "" } = search;
  const navigate = route.useNavigate();
  const set = (change: Change<LogSearch & { server: string }>) => void navigate({ search: (before) => changed(before, change), replace: true });
  const [namespace, name] = server === "" ? [] : server.split("/");
  const gone = server !== "" && synced && desiredKnown && !servers.some((row) => row.key === server);
  return (
    <div className="fill">
      <PageHead title="Logs" sub={ofNode ? "Of this node’s servers, as long as they keep them, in the order of time. One server is followed live." : "Of every node, in the order of time. One server is followed live."}>
        <Choice server={server} servers={servers} change={(value) => set({ server: value })} />
      </PageHead>
      {gone && <p className="muted">There is no server {server} now{ofNode ? ", and a node keeps no lines of one that is gone." : ": these are the lines that it wrote while it was there."}</p>}
      <LogView namespace={namespace} server={name} nodes={nodes.map((row) => row.name)} search={search} change={set} />
    </div>
  );
}
