import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Eye, FileUp, Info } from "lucide-react";
import { type ChangeEvent, lazy, useCallback, useRef, useState } from "react";
import { api, type FleetObject, result } from "../api/client";
import { objectOf, queryClient } from "../api/queries";
import { Leaving } from "../app/leaving";
import { useMayAct } from "../app/session";
import { plural } from "../lib/format";
import { type Fault, faultsOf, parseManifest } from "../lib/manifest";
import { SAMPLES } from "../lib/samples";
import { useFleet } from "../live";
import { Part } from "../ui/part";
import { PageHead, Select } from "../ui/parts";
import { Failed, Loading } from "../ui/states";
import { addressOf, After } from "./apply_after";
import { planOf, Review, type Plan } from "./apply_review";
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

function Start({ object, children }: { object: string | undefined; children(initial: string): React.ReactNode }) {
  const { data, error, refetch } = useQuery({ ...objectOf(object ?? ""), enabled: object !== undefined });
  if (object === undefined) return children(SAMPLES[0]!.text);
  if (data !== undefined) return children(yamlOf(data as FleetObject));
  // Never a sample in its place: who asked for one manifest must not apply another.
  if (error === null) return <Loading what="Reading the manifest" />;
  return (
    <>
      <PageHead title="Apply" sub="The manifest that was asked for could not be read." />
      <Failed error={error} retry={() => void refetch()} />
    </>
  );
}

function Work({ initial }: { initial: string }) {
  // Counted: to begin again with the same text is a beginning, too.
  const [start, setStart] = useState({ text: initial, turn: 0 });
  const text = useRef(initial);
  const kept = useRef(initial); // what is somewhere else, too: stored, applied, in a file
  const [faults, setFaults] = useState<Fault[]>([]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [plan, setPlan] = useState<Plan>();
  const navigate = route.useNavigate();
  const mayAct = useMayAct();
  const { head } = useFleet();
  const file = useRef<HTMLInputElement>(null);

  const check = useCallback(async (now: string): Promise<Fault[]> => {
    try {
      const found = await judge(now);
      if (now !== text.current) return found; // of an older text: that of the newer one may have come before
      setFaults(found);
      setProblem("");
      return found;
    } catch (error) {
      setProblem((error as Error).message);
      return [];
    }
  }, []);
  const loses = useCallback(() => text.current !== kept.current, []);
  const point = (made: { rollout?: string; proposed?: string }) => void navigate({ search: ({ object }) => ({ ...(object === undefined ? {} : { object }), ...made }), replace: true, resetScroll: false });
  const replace = (next: string) => {
    text.current = kept.current = next;
    setStart(({ turn }) => ({ text: next, turn: turn + 1 }));
    point({});
  };
  const review = async () => {
    if (!mayAct) return;
    setBusy(true);
    if ((await check(text.current)).length === 0) {
      try {
        setPlan(await planOf(parseManifest(text.current).objects.map(({ value }) => value)));
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
          <FileUp aria-hidden /> <span className="word">Open a file</span>
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
      <Part what="Loading the editor">
        <Editor key={start.turn} initial={start.text} label="Manifest, YAML" judge={check} change={(next) => (text.current = next)} submit={() => void review()} />
      </Part>
      <div className={problem === "" && faults.length === 0 ? "verdict" : "verdict bad-text"} role="status">
        {problem !== "" ? problem : faults.length === 0 ? "Nothing is wrong with it." : `${plural(faults.length, "problem")}: ${faults[0]!.message.replace("\n", "; ")}`}
        {problem === "" && faults.length === 0 && <span className="wide-only"> Ctrl-Enter reviews; Ctrl-Space completes; Esc, then Tab leaves the editor.</span>}
      </div>
      <After />
      <Leaving loses={loses} title="Leave without applying?" description="What you typed is not applied yet. It is nowhere but here, and is lost when you leave." action="Leave" />
      {plan !== undefined && (
        <Review
          plan={plan}
          close={() => setPlan(undefined)}
          applied={(made) => {
            setPlan(undefined);
            kept.current = text.current;
            point(addressOf(made));
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
