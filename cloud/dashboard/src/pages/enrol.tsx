import { useQuery } from "@tanstack/react-query";
import { CircleCheck } from "lucide-react";
import { type FormEvent, useCallback, useEffect, useState } from "react";
import { api, result } from "../api/client";
import { workerOrigin } from "../api/origin";
import { desired } from "../api/queries";
import { Leaving } from "../app/leaving";
import { beginJoin, type Joining, type JoinState, lookAtJoin } from "../lib/join";
import { Confirm, Modal, type Question } from "../ui/dialog";
import { Command } from "../ui/parts";
import { Failed } from "../ui/states";
import { useToast } from "../ui/toast";

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LOOK_MS = 1500;

export function labelsIn(text: string): Record<string, string> | undefined {
  const pairs = text.split(/[\s,]+/).filter(Boolean).map((pair) => pair.split("="));
  return pairs.every((pair) => pair.length === 2 && pair[0] !== "") ? Object.fromEntries(pairs as [string, string][]) : undefined;
}

const LOSES = "Its secret is shown only here, and only this page can check that the node has it. Closed now, the token ends, and the node must be enrolled anew.";

function Waiting({ joining, state, setState, close, end }: { joining: Joining; state: JoinState; setState(state: JoinState): void; close(): void; end(): void }) {
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (state !== "waiting") return undefined;
    let ended = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const found = await lookAtJoin(joining);
        if (ended) return;
        setState(found);
        setProblem("");
      } catch (error) {
        setProblem((error as Error).message);
      }
      if (!ended) timer = setTimeout(() => void look(), LOOK_MS);
    };
    timer = setTimeout(() => void look(), LOOK_MS);
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [joining, state, setState]);
  if (state === "joined")
    return (
      <div className="state">
        <span className="state-icon good" aria-hidden>
          <CircleCheck />
        </span>
        <h2>{joining.node} has joined</h2>
        <p className="muted">Its keys are proven and published. Restart mcplet there once: systemctl restart mcplet</p>
        <button type="button" className="button primary" onClick={close}>
          Done
        </button>
      </div>
    );
  if (state !== "waiting")
    return (
      <div className="banner bad" role="alert">
        {state === "forged" ? "Somebody used this token without its secret. The node was revoked; begin anew, and look at who can read your Worker." : "The token has ended. Begin anew."}
      </div>
    );
  return (
    <>
      <p>On {joining.node}, as root:</p>
      <p className="muted small">
        mcplet is there already, or comes with <code>apt-get install ./mcpfleet_*.deb</code> (docs/operations.md).
      </p>
      <Command text={`mcplet join ${workerOrigin} --name ${joining.node} --token-file - <<'END'\n${joining.token}\nEND`} />
      <p className="muted small">The token lets one machine in, within a day. It is shown only here: leave this open until the node has come.</p>
      <p className="inline" role="status">
        <span className="spinner" aria-hidden /> Waiting for {joining.node}…
      </p>
      <p className="problem" role="alert">
        {problem}
      </p>
      <div className="dialog-end">
        <button type="button" className="button" onClick={end}>
          End the token
        </button>
      </div>
    </>
  );
}

function Signed({ name }: { name: string }) {
  return (
    <>
      <p>This fleet is signed: the node must be told which keys to trust, and only mcpctl knows them for sure. Where mcpctl is:</p>
      <Command text={`mcpctl node enroll ${name || "NAME"} --out ${name || "NAME"}.join --wait`} />
      <p>Bring the file to the node, and there:</p>
      <Command text={`mcplet join ${workerOrigin} --name ${name || "NAME"} --token-file ${name || "NAME"}.join`} />
    </>
  );
}

type Problem = { of: "name" | "labels" | "token"; text: string };

function Field({ of, label, more, problem, value, change, ...input }: { of: Problem["of"]; label: string; more?: string; problem: Problem | undefined; value: string; change(value: string): void; placeholder: string; autoFocus?: boolean }) {
  const own = problem?.of === of ? problem.text : "";
  const id = `enrol-${of}`;
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} {more !== undefined && <span className="muted small">{more}</span>}
      </label>
      <input id={id} value={value} onChange={(event) => change(event.target.value)} autoComplete="off" spellCheck={false} aria-invalid={own !== ""} aria-describedby={`${id}-problem`} {...input} />
      <p id={`${id}-problem`} className="problem" role="alert">
        {own}
      </p>
    </div>
  );
}

export function Enrol({ close }: { close(): void }) {
  const { data, error, refetch } = useQuery(desired);
  const [name, setName] = useState("");
  const [labels, setLabels] = useState("");
  const [joining, setJoining] = useState<Joining>();
  const [state, setState] = useState<JoinState>("waiting");
  const [question, setQuestion] = useState<Question>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  // Said where it is, and the field has the focus.
  const refuse = (of: "name" | "labels", text: string) => {
    setProblem({ of, text });
    document.getElementById(`enrol-${of}`)?.focus();
  };
  const begin = async (event: FormEvent) => {
    event.preventDefault();
    const given = labelsIn(labels);
    if (!NAME.test(name)) return refuse("name", "A name has lower-case letters, digits and dashes, 63 at most, and a letter or a digit at both ends.");
    if (given === undefined) return refuse("labels", "Labels are key=value, with spaces between.");
    setBusy(true);
    setProblem(undefined);
    try {
      setJoining(await beginJoin(name, given));
    } catch (error) {
      setProblem({ of: "token", text: (error as Error).message });
    }
    setBusy(false);
  };
  // While the node is waited for, whoever closes this loses the only copy of the secret: a key or a click beside it is not enough.
  const waiting = joining !== undefined && state === "waiting";
  const loses = useCallback(() => waiting, [waiting]);
  const say = useToast();
  const end = useCallback(async () => {
    if (joining === undefined) return;
    try {
      await result(api.DELETE("/v1/joins/{id}", { params: { path: { id: joining.id } } }));
    } catch (failure) {
      say("bad", `The token could not be ended: ${(failure as Error).message}. It ends by itself within a day.`);
    }
  }, [joining, say]);
  const leave = () => {
    if (!waiting) return close();
    setQuestion({ title: `Stop waiting for ${joining.node}?`, description: LOSES, action: "End the token", dangerous: true, run: async () => (await end(), close()) });
  };
  return (
    <Modal open close={leave} title={joining === undefined ? "Enrol a node" : `Enrol ${joining.node}`} wide>
      <Confirm question={waiting ? question : undefined} close={() => setQuestion(undefined)} />
      <Leaving loses={loses} title={`Stop waiting for ${joining?.node ?? ""}?`} description={LOSES} action="End the token" before={end} />
      {joining !== undefined ? (
        <Waiting joining={joining} state={state} setState={setState} close={close} end={leave} />
      ) : data === undefined && error !== null ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : (
        <form onSubmit={(event) => void begin(event)}>
          <Field of="name" label="Name" problem={problem} value={name} change={setName} placeholder="edge-01" autoFocus />
          {data?.signed ? (
            <Signed name={name} />
          ) : (
            <>
              <Field of="labels" label="Labels" more="for placement; may be empty" problem={problem} value={labels} change={setLabels} placeholder="site=berlin tier=gold" />
              <p className="problem" role="alert">
                {problem?.of === "token" ? problem.text : ""}
              </p>
              <div className="dialog-end">
                <button type="submit" className="button primary" disabled={busy || name === "" || data === undefined}>
                  {busy ? "Working…" : "Make a join token"}
                </button>
              </div>
            </>
          )}
        </form>
      )}
    </Modal>
  );
}
