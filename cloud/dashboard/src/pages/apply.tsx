import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Eye, FileUp, Info } from "lucide-react";
import { type ChangeEvent, lazy, Suspense, useCallback, useRef, useState } from "react";
import { api, type ChangeResult, type FleetObject, result } from "../api/client";
import { objectOf, queryClient } from "../api/queries";
import { useMayAct } from "../app/session";
import { plural } from "../lib/format";
import { type Fault, faultsOf, parseManifest } from "../lib/manifest";
import { SAMPLES } from "../lib/samples";
import { useFleet } from "../live";
import { PageHead, Select } from "../ui/parts";
import { Loading } from "../ui/states";
import { Review, type Plan } from "./apply_review";
import { Rollout } from "./apply_rollout";
import { yamlOf } from "./yaml_of";

const Editor = lazy(() => import("../ui/editor"));
const route = getRouteApi("/apply");
const FILE_BYTES = 4_000_000;

async function judge(text: string): Promise<Fault[]> {
  const parsed = parseManifest(text);
  if (parsed.faults.length > 0 || parsed.objects.length === 0) return parsed.faults;
  const violations = await result(api.POST("/v1/validate", { body: { objects: parsed.objects.map(({ value }) => value) } }));
  return faultsOf(parsed, violations);
}

// What would change, with both texts of each object.
async function planOf(text: string): Promise<Plan> {
  const objects = parseManifest(text).objects.map(({ value }) => value);
  const dry = await result(api.POST("/v1/changes", { body: { set: objects, remove: [], message: "", dryRun: true } }));
  return { objects, dry };
}

function Start({ object, children }: { object: string | undefined; children(initial: string): React.ReactNode }) {
  const { data, isPending } = useQuery({ ...objectOf(object ?? ""), enabled: object !== undefined });
  if (object !== undefined && isPending) return <Loading what="Reading the manifest" />;
  return children(data === undefined ? SAMPLES[0]!.text : yamlOf(data as FleetObject));
}

function Work({ initial }: { initial: string }) {
  // Counted: to begin again with the same text is a beginning, too.
  const [start, setStart] = useState({ text: initial, turn: 0 });
  const text = useRef(initial);
  const [faults, setFaults] = useState<Fault[]>([]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [plan, setPlan] = useState<Plan>();
  const [done, setDone] = useState<ChangeResult>();
  const mayAct = useMayAct();
  const { head } = useFleet();
  const file = useRef<HTMLInputElement>(null);

  const check = useCallback(async (now: string): Promise<Fault[]> => {
    try {
      const found = await judge(now);
      setFaults(found);
      setProblem("");
      return found;
    } catch (error) {
      setProblem((error as Error).message);
      return [];
    }
  }, []);
  const replace = (next: string) => {
    text.current = next;
    setStart(({ turn }) => ({ text: next, turn: turn + 1 }));
    setDone(undefined);
  };
  const review = async () => {
    if (!mayAct) return;
    setBusy(true);
    setDone(undefined);
    if ((await check(text.current)).length === 0) {
      try {
        setPlan(await planOf(text.current));
      } catch (error) {
        setProblem((error as Error).message);
      }
    }
    setBusy(false);
  };
  const load = async (event: ChangeEvent<HTMLInputElement>) => {
    const [chosen] = event.target.files ?? [];
    event.target.value = "";
    if (chosen === undefined) return;
    if (chosen.size > FILE_BYTES) return setProblem(`${chosen.name} is larger than 4 MB: use mcpctl apply`);
    replace(await chosen.text());
  };
  return (
    <div className="fill">
      <PageHead title="Apply" sub={head?.signed ? "This fleet is signed: what you apply becomes a proposal, which mcpctl signs." : "All objects change together, or none does."}>
        <Select value="" change={(name) => replace(SAMPLES.find((sample) => sample.name === name)?.text ?? text.current)} label="Begin with an example" options={[{ value: "", label: "Examples…" }, ...SAMPLES.map(({ name }) => ({ value: name, label: name }))]} />
        <button type="button" className="button" onClick={() => file.current?.click()}>
          <FileUp aria-hidden /> Open a file
        </button>
        <input ref={file} type="file" accept=".yaml,.yml,.json" hidden onChange={(event) => void load(event)} aria-label="A manifest" />
        {mayAct && (
          <button type="button" className="button primary" disabled={busy || faults.length > 0} onClick={() => void review()}>
            <Eye aria-hidden /> {busy ? "Looking…" : "Review"}
          </button>
        )}
      </PageHead>
      {!mayAct && (
        <div className="banner">
          <Info aria-hidden /> You may look and try out what a manifest would have to say; an operator applies it.
        </div>
      )}
      <Suspense fallback={<Loading what="Loading the editor" />}>
        <Editor key={start.turn} initial={start.text} label="Manifest, YAML" judge={check} change={(next) => (text.current = next)} submit={() => void review()} />
      </Suspense>
      <div className={problem === "" && faults.length === 0 ? "verdict" : "verdict bad-text"} role="status">
        {problem !== "" ? problem : faults.length === 0 ? "Nothing is wrong with it. Ctrl-Enter reviews; Ctrl-Space completes; Esc, then Tab leaves the editor." : `${plural(faults.length, "problem")}: ${faults[0]!.message.replace("\n", "; ")}`}
      </div>
      {done !== undefined && <Rollout result={done} />}
      {plan !== undefined && (
        <Review
          plan={plan}
          close={() => setPlan(undefined)}
          applied={(made) => {
            setPlan(undefined);
            setDone(made);
            void queryClient.invalidateQueries({ queryKey: ["audit"] });
          }}
        />
      )}
    </div>
  );
}

export function Apply() {
  const { object } = route.useSearch();
  return <Start object={object}>{(initial) => <Work key={object ?? ""} initial={initial} />}</Start>;
}
