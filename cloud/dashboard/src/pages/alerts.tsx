import { useQuery } from "@tanstack/react-query";
import { Check, CheckCheck, ChevronRight, CircleCheck, History, Lightbulb } from "lucide-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { AlertTab } from "../app/router";
import { type Alert, api, ApiError, result } from "../api/client";
import { alerts, queryClient, uptime } from "../api/queries";
import { useMayAct, useOfNode } from "../app/session";
import { OF_NODE, wordsOf } from "../lib/alerts";
import { each, groupsOf, manyText, messageOf } from "../lib/alert_list";
import { ageOf, count, inWords, percent } from "../lib/format";
import { HOURS, isWhole, spanOf } from "../lib/uptime";
import { Ago } from "../ui/ago";
import { Bars, Card, PageHead, Tabs } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";
import { useToast } from "../ui/toast";

const route = getRouteApi("/alerts");
const AT_ONCE = 200;
const MOST_OPEN = 10; // of a kind; of more the head is shown
const MOST_BARS = 50;

function Subject({ alert }: { alert: Alert }) {
  const [node, namespace, name] = alert.subject.split("/");
  if (name !== undefined && namespace !== undefined)
    return (
      <Link to="/servers/$namespace/$name" params={{ namespace, name }}>
        <strong>{name}</strong> <span className="muted">on {node}</span>
      </Link>
    );
  if (alert.kind === "ApiTokenExpires") return <code className="strong">{alert.subject}</code>;
  if (node !== undefined && OF_NODE.has(alert.kind))
    return (
      <Link to="/nodes/$node" params={{ node }}>
        <strong>{node}</strong>
      </Link>
    );
  return <strong>{alert.subject}</strong>;
}

async function acknowledge({ key }: Alert): Promise<void> {
  try {
    await result(api.POST("/v1/alerts/acknowledge", { body: { key } }));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error; // it is over meanwhile
  }
}
const readAgain = () => void queryClient.invalidateQueries({ queryKey: ["alerts"] });

function Item({ alert, named }: { alert: Alert; named: boolean }) {
  const say = useToast();
  const mayAct = useMayAct();
  const one = () => acknowledge(alert).then(readAgain, (error: unknown) => say("bad", `Not acknowledged: ${(error as Error).message}`));
  return (
    <li className={`alert ${alert.cleared === null ? alert.severity : "over"}`}>
      <div className="alert-main">
        {named && <span className="muted">{inWords(alert.kind)} </span>}
        <Subject alert={alert} />
        <p className="break muted">{messageOf(alert)}</p>
      </div>
      <div className="alert-side muted small">
        <Ago at={alert.raised} />
        {alert.cleared !== null && <span>over after {ageOf(alert.raised, alert.cleared)}</span>}
        {alert.acknowledged !== null && alert.cleared === null && <span>acknowledged by {alert.acknowledged_by}</span>}
        {alert.acknowledged === null && alert.cleared === null && mayAct && (
          <button type="button" className="button small" onClick={() => void one()}>
            <Check aria-hidden /> Acknowledge
          </button>
        )}
      </div>
    </li>
  );
}

function Items({ list, named = false }: { list: readonly Alert[]; named?: boolean }) {
  const [shown, setShown] = useState(AT_ONCE);
  return (
    <>
      <ul className="alerts">
        {list.slice(0, shown).map((alert) => (
          <Item key={`${alert.key} ${alert.raised}`} alert={alert} named={named} />
        ))}
      </ul>
      {list.length > shown && (
        <button type="button" className="button more-button" onClick={() => setShown(shown + AT_ONCE)}>
          {count(list.length - shown)} more
        </button>
      )}
    </>
  );
}

function AcknowledgeAll({ list, kind }: { list: readonly Alert[]; kind: string }) {
  const say = useToast();
  const [done, setDone] = useState<number>();
  const all = async () => {
    setDone(0);
    const many = await each(list, acknowledge, setDone);
    say(many.failed.length === 0 ? "good" : "bad", `${kind}: ${manyText(many)}`);
    setDone(undefined);
    readAgain();
  };
  return (
    <button type="button" className="button small" disabled={done !== undefined} onClick={() => void all()}>
      <CheckCheck aria-hidden /> {done === undefined ? `Acknowledge all ${count(list.length)}` : `${count(done)} acknowledged…`}
    </button>
  );
}

// Those of one kind: what it means and what to do once, and only its head where they are many.
function Group({ kind, critical, list }: { kind: Alert["kind"]; critical: boolean; list: readonly Alert[] }) {
  const mayAct = useMayAct();
  const [chosen, setOpen] = useState<boolean>();
  const words = wordsOf(kind);
  const folds = list.length > MOST_OPEN;
  const open = !folds || (chosen ?? false);
  const name = inWords(kind);
  const own = list.filter(({ acknowledged }) => acknowledged === null);
  const title = (
    <>
      {name} · {count(list.length)}
    </>
  );
  return (
    <section className="alert-group" aria-label={name}>
      <div className="card-head">
        <h2 className="inline">
          {folds ? (
            <button type="button" className="alert-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
              <ChevronRight aria-hidden /> {title}
            </button>
          ) : (
            title
          )}
          {critical && <span className="chip bad">critical</span>}
        </h2>
        {mayAct && own.length > 1 && <AcknowledgeAll list={own} kind={name} />}
      </div>
      {words !== undefined && (
        <p className="alert-words small">
          <Lightbulb aria-hidden />
          <span>
            {words.means} <strong>{words.act}</strong>
          </span>
        </p>
      )}
      {open && <Items list={list} />}
    </section>
  );
}

const Groups = ({ list }: { list: readonly Alert[] }) => (
  <div className="stack">
    {groupsOf(list).map(({ kind, critical, alerts: own }) => (
      <Group key={kind} kind={kind} critical={critical} list={own} />
    ))}
  </div>
);

function Uptimes({ prefix, title }: { prefix: "server/" | "node/"; title: string }) {
  const { data, error } = useQuery(uptime(prefix, HOURS, 56));
  if (data === undefined && error !== null)
    return (
      <Card title={title}>
        <p className="muted break">Could not be read: {error.message}. It is tried again every minute.</p>
      </Card>
    );
  if (data === undefined) return <Loading what={title} />;
  if (data.length === 0)
    return (
      <Card title={title}>
        <p className="muted">Nothing is known yet: it is counted from when the first one reports.</p>
      </Card>
    );
  const worst = [...data].sort((a, b) => (a.uptime.ratio ?? 2) - (b.uptime.ratio ?? 2)).slice(0, MOST_BARS);
  return (
    <Card title={title} tools={<span className="muted small">7 days, the worst {data.length > MOST_BARS ? `${MOST_BARS} of ${count(data.length)}` : "first"}</span>}>
      <ul className="uptimes">
        {worst.map(({ subject, uptime: up, bars }) => {
          const [node, namespace, name] = subject.slice(prefix.length).split("/");
          return (
            <li key={subject}>
              <span className="cut" title={subject}>
                {name === undefined ? (
                  <Link to="/nodes/$node" params={{ node: node! }}>
                    {node}
                  </Link>
                ) : (
                  <>
                    <Link to="/servers/$namespace/$name" params={{ namespace: namespace!, name }}>
                      {name}
                    </Link>{" "}
                    <span className="muted small">{node}</span>
                  </>
                )}
              </span>
              <Bars bars={bars ?? []} uptime={up} />
              <span className="number">
                {percent(up.ratio)}
                {up.ratio !== null && !isWhole(up) && <span className="muted small"> of {spanOf(up)}</span>}
              </span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

export function Alerts() {
  const { data, error, refetch } = useQuery(alerts);
  const ofNode = useOfNode();
  const { tab = "open" } = route.useSearch();
  const navigate = route.useNavigate();
  if (error)
    return (
      <>
        <PageHead title="Alerts" />
        <Failed error={error} retry={() => void refetch()} />
      </>
    );
  if (data === undefined) return <Loading what="Looking for alerts" />;
  const open = data.filter((alert) => alert.cleared === null && alert.acknowledged === null);
  const seen = data.filter((alert) => alert.cleared === null && alert.acknowledged !== null);
  const past = data.filter((alert) => alert.cleared !== null);
  const tabs: { value: AlertTab; label: string; view: React.ReactNode }[] = [
    {
      value: "open",
      label: `Open (${count(open.length)})`,
      view: open.length > 0 ? <Groups list={open} /> : <Empty icon={CircleCheck} title="Nothing is wrong">A node that goes away, or a server that is not ready or not as it was pinned, is told here.</Empty>,
    },
    {
      value: "seen",
      label: `Acknowledged (${count(seen.length)})`,
      view: seen.length > 0 ? <Groups list={seen} /> : <Empty icon={Check} title="None is acknowledged">Who looks after an open one acknowledges it: it is here then, with the name, until it is over.</Empty>,
    },
    { value: "past", label: `Past (${count(past.length)})`, view: past.length > 0 ? <Items list={past} named /> : <Empty icon={History} title="None is over yet">What is over by itself or was mended is here then, with how long it lasted.</Empty> },
    {
      value: "uptime",
      label: "Uptime",
      view: (
        <div className="stack">
          <Uptimes prefix="node/" title="Uptime of nodes" />
          <Uptimes prefix="server/" title="Uptime of servers" />
        </div>
      ),
    },
  ];
  return (
    <>
      <PageHead title="Alerts" sub={ofNode ? "Kept by this node itself, whether or not anybody looks." : "What is wrong, and for how long. Who gets messages by webhook gets one when an alert begins and one when it is over."} />
      <Tabs<AlertTab> label="Alerts" value={tab} change={(next) => void navigate({ search: next === "open" ? {} : { tab: next } })} tabs={tabs} />
    </>
  );
}
