import { getRouteApi } from "@tanstack/react-router";
import { useFleet } from "../live";
import { PageHead, Select } from "../ui/parts";
import { LogView } from "./log_view";

const route = getRouteApi("/logs");

export function Logs() {
  const { servers, nodes } = useFleet();
  const { server = "", node = "", q = "", range = "1h" } = route.useSearch();
  const navigate = route.useNavigate();
  const set = (change: Record<string, string>) =>
    void navigate({ search: (before) => Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== "" && value !== undefined)), replace: true });
  const [namespace, name] = server === "" ? [] : server.split("/");
  return (
    <div className="fill">
      <PageHead title="Logs" sub="Of every node, in the order of time. One server is followed live.">
        <Select value={server} change={(value) => set({ server: value })} label="Server" options={[{ value: "", label: "All servers" }, ...servers.map((row) => ({ value: row.key, label: row.key }))]} />
      </PageHead>
      <LogView namespace={namespace} server={name} nodes={nodes.map((row) => row.name)} asked={{ node, q, range }} change={(asked) => set(asked)} />
    </div>
  );
}
