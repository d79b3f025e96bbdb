// The last look before it is done: what changes, as texts.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, useState } from "react";
import { stringify } from "yaml";
import { api, ApiError, type ChangeResult, result } from "../api/client";
import { objectOf, queryClient, snapshotOf } from "../api/queries";
import { useAct } from "../lib/act";
import { rowsOf } from "../lib/changes";
import { wordOf } from "../lib/change_words";
import { plural } from "../lib/format";
import { useFleet } from "../live";
import { Modal } from "../ui/dialog";
import { Part } from "../ui/part";
import { Failed } from "../ui/states";
import { yamlOf } from "./yaml_of";

const Diff = lazy(() => import("../ui/diff"));

// What a change of these objects does to the fleet as it is now, which `base` names.
export interface Plan {
  objects: unknown[];
  dry: ChangeResult;
  base: string | null;
  texts: { before: string; after: string }[]; // of each change
}

const TRIES = 5;

export async function planOf(objects: unknown[]): Promise<Plan> {
  for (let tries = 1; ; ++tries) {
    const { head: base, snapshot } = await result(api.GET("/v1/desired"));
    try {
      const dry = await result(api.POST("/v1/changes", { body: { set: objects, remove: [], message: "", dryRun: true, base } }));
      return { objects, dry, base, texts: await textsOf(objects, dry, snapshot) };
    } catch (error) {
      if (!isOtherFleet(error) || tries === TRIES) throw error;
    }
  }
}

const isOtherFleet = (error: unknown): boolean => error instanceof ApiError && error.status === 409;

async function textsOf(objects: unknown[], dry: ChangeResult, snapshot: string): Promise<Plan["texts"]> {
  const shards = snapshot === "" ? [] : (await queryClient.fetchQuery(snapshotOf(snapshot))).shards;
  const rows = await rowsOf(shards);
  return Promise.all(
    dry.changes.map(async ({ kind, namespace, name }, index) => {
      const row = rows.find((each) => each.kind === kind && each.namespace === namespace && each.name === name);
      const before = row === undefined ? "" : yamlOf(await queryClient.fetchQuery(objectOf(row.hash)));
      const object = objects[index] as { apiVersion?: string; kind?: string; metadata?: Record<string, unknown>; spec?: unknown };
      const { status: _, ...own } = object as Record<string, unknown>;
      const metadata = { ...(namespace === "" ? {} : { namespace }), ...object.metadata };
      // A stored object has its keys in the order of the alphabet: the new one is shown so, too.
      return { before, after: stringify({ ...own, metadata }, { lineWidth: 100, sortMapEntries: true }) };
    }),
  );
}

export function Review({ plan: first, close, applied }: { plan: Plan; close(): void; applied(result: ChangeResult): void }) {
  const [message, setMessage] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  const act = useAct();
  // Somebody else may change the fleet meanwhile: then it is looked at again, and nothing is applied that was not shown.
  const { head } = useFleet();
  const now = head === undefined ? first.base : head.order;
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ["plan", first.dry, now, turn],
    queryFn: () => (turn === 0 && now === first.base ? first : planOf(first.objects)),
    placeholderData: keepPreviousData,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  const plan = data ?? first;
  const moved = plan.base !== first.base;
  const changing = plan.dry.changes.filter(({ change }) => change !== "unchanged");
  const apply = async () => {
    setBusy(true);
    setProblem("");
    try {
      await act(async () => {
        const made = await result(api.POST("/v1/changes", { body: { set: plan.objects, remove: [], message, dryRun: false, base: plan.base } }));
        applied(made);
        return made;
      }, { proposed: true });
    } catch (failure) {
      if (isOtherFleet(failure)) setTurn((count) => count + 1);
      setProblem(isOtherFleet(failure) ? "The fleet has changed meanwhile: look again at what this does now." : (failure as Error).message);
      setBusy(false);
    }
  };
  return (
    <Modal open close={close} title={changing.length === 0 ? "Nothing would change" : `${plural(changing.length, "change")}`} wide>
      {moved && (
        <div className="banner warn" role="status">
          Somebody changed the fleet while you looked: this is what your change does to it now.
        </div>
      )}
      <div className="review">
        {error ? (
          <Failed error={error} retry={() => void refetch()} />
        ) : (
          plan.dry.changes.map(({ kind, namespace, name, change }, index) => (
            <section key={`${kind}/${namespace}/${name}`} aria-label={name}>
              <h3>
                <span className={`chip ${wordOf(change)}`}>{wordOf(change)}</span> <span className="muted">{kind}</span> {name}
              </h3>
              {change !== "unchanged" && plan.texts[index] !== undefined && (
                <Part what="Loading the comparison">
                  <Diff before={plan.texts[index].before} after={plan.texts[index].after} label={`Difference of ${name}`} />
                </Part>
              )}
            </section>
          ))
        )}
      </div>
      {changing.length > 0 && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void apply();
          }}
        >
          <label className="field">
            <span>
              Why, for the history <span className="muted small">may be empty</span>
            </span>
            <input value={message} onChange={(event) => setMessage(event.target.value)} maxLength={500} autoComplete="off" />
          </label>
          <p className="problem" role="alert">
            {problem}
          </p>
          <div className="dialog-end">
            <button type="button" className="button" onClick={close}>
              Back to the editor
            </button>
            <button type="submit" className="button primary" disabled={busy || isFetching || error !== null}>
              {busy ? "Applying…" : head?.signed ? "Propose" : "Apply"}
            </button>
          </div>
        </form>
      )}
    </Modal>
  );
}
