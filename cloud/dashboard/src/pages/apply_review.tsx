// The last look before it is done: what changes, as texts.
import { useQuery } from "@tanstack/react-query";
import { lazy, useState } from "react";
import { stringify } from "yaml";
import { api, type ChangeResult, result } from "../api/client";
import { objectOf, queryClient, snapshotOf } from "../api/queries";
import { useAct } from "../lib/act";
import { rowsOf } from "../lib/changes";
import { wordOf } from "../lib/change_words";
import { plural } from "../lib/format";
import { store } from "../live";
import { Modal } from "../ui/dialog";
import { Part } from "../ui/part";
import { Failed, Loading } from "../ui/states";
import { yamlOf } from "./yaml_of";

const Diff = lazy(() => import("../ui/diff"));

export interface Plan {
  objects: unknown[];
  dry: ChangeResult;
}

async function textsOf(plan: Plan): Promise<{ before: string; after: string }[]> {
  // The socket may not have told of the head yet.
  const snapshot = store.current().head?.snapshot ?? (await result(api.GET("/v1/desired"))).snapshot;
  const shards = snapshot === "" ? [] : (await queryClient.fetchQuery(snapshotOf(snapshot))).shards;
  const rows = await rowsOf(shards);
  return Promise.all(
    plan.dry.changes.map(async ({ kind, namespace, name }, index) => {
      const row = rows.find((each) => each.kind === kind && each.namespace === namespace && each.name === name);
      const before = row === undefined ? "" : yamlOf(await queryClient.fetchQuery(objectOf(row.hash)));
      const object = plan.objects[index] as { apiVersion?: string; kind?: string; metadata?: Record<string, unknown>; spec?: unknown };
      const { status: _, ...own } = object as Record<string, unknown>;
      const metadata = { ...(namespace === "" ? {} : { namespace }), ...object.metadata };
      // A stored object has its keys in the order of the alphabet: the new one is shown so, too.
      return { before, after: stringify({ ...own, metadata }, { lineWidth: 100, sortMapEntries: true }) };
    }),
  );
}

export function Review({ plan, close, applied }: { plan: Plan; close(): void; applied(result: ChangeResult): void }) {
  const [message, setMessage] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const act = useAct();
  const { data, error } = useQuery({ queryKey: ["plan", plan.dry], queryFn: () => textsOf(plan), gcTime: 0 });
  const changing = plan.dry.changes.filter(({ change }) => change !== "unchanged");
  const apply = async () => {
    setBusy(true);
    try {
      await act(async () => {
        const made = await result(api.POST("/v1/changes", { body: { set: plan.objects, remove: [], message, dryRun: false } }));
        applied(made);
        return made;
      }, { proposed: true });
    } catch (failure) {
      setProblem((failure as Error).message);
      setBusy(false);
    }
  };
  return (
    <Modal open close={close} title={changing.length === 0 ? "Nothing would change" : `${plural(changing.length, "change")}`} wide>
      <div className="review">
        {error ? (
          <Failed error={error} />
        ) : data === undefined ? (
          <Loading what="Comparing" />
        ) : (
          plan.dry.changes.map(({ kind, namespace, name, change }, index) => (
            <section key={`${kind}/${namespace}/${name}`} aria-label={name}>
              <h3>
                <span className={`chip ${wordOf(change)}`}>{wordOf(change)}</span> <span className="muted">{kind}</span> {name}
              </h3>
              {change !== "unchanged" && data[index] !== undefined && (
                <Part what="Loading the comparison">
                  <Diff before={data[index].before} after={data[index].after} label={`Difference of ${name}`} />
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
            <button type="submit" className="button primary" disabled={busy}>
              {busy ? "Applying…" : store.current().head?.signed ? "Propose" : "Apply"}
            </button>
          </div>
        </form>
      )}
    </Modal>
  );
}
