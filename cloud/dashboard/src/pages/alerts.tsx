import { useQuery } from "@tanstack/react-query";
import { BellOff, Check, Lightbulb } from "lucide-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { AlertTab } from "../app/router";
import { type Alert, api, result } from "../api/client";
import { alerts, queryClient, uptime } from "../api/queries";
import { useMayAct, useOfNode } from "../app/session";
import { OF_NODE, wordsOf } from "../lib/alerts";
import { ageOf, inWords, percent, timeOf } from "../lib/format";
import { Bars, Card, PageHead, Tabs } from "../ui/parts";
import { Empty, Failed, Loading } from "../ui/states";
import { useToast } from "../ui/toast";

const HOURS = 24 * 7;
const route = getRouteApi("/alerts");
const AT_ONCE = 200;
const MOST_BARS = 50;

function Subject({ alert }: { alert: Alert }) {
  const [node, namespace, name] = alert.subject.split("/");
  if (name !== undefined && namespace !== undefined)
    return (
      <Link to="/servers/$namespace/$name" params={{ namespace, name }}>
        {name} <span className="muted">on {node}</span>
      </Link>
    );
  if (alert.kind === "ApiTokenExpires") return <code>{alert.subject}</code>;
  if (node !== undefined && OF_NODE.has(alert.kind))
    return (
      <Link to="/nodes/$node" params={{ node }}>
        {node}
      </Link>
    );
  return <>{alert.subject}</>;
}

function Item({ alert, explained }: { alert: Alert; explained: boolean }) {
  const say = useToast();
  const mayAct = useMayAct();
  const acknowledge = async () => {
    try {
      await result(api.POST("/v1/alerts/acknowledge", { body: { key: alert.key } }));
      void queryClient.invalidateQueries({ queryKey: ["alerts"] });
    } catch (error) {
      say("bad", (error as Error).message);
    }
  };
  const words = explained ? wordsOf(alert.kind) : undefined;
  return (
    <li className={`alert ${alert.cleared === null ? alert.severity : "over"}`}>
      <div className="alert-main">
        <strong>{inWords(alert.kind)}</strong>
        <span className="alert-subject">
          <Subject alert={alert} />
        </span>
        <p className="break muted">{alert.message}</p>
        {words !== undefined && (
          <p className="alert-words small">
            <Lightbulb aria-hidden />
            <span>
              {words.means} <strong>{words.act}</strong>
            </span>
          </p>
        )}
      </div>
      <div className="alert-side muted small">
        <time dateTime={new Date(alert.raised).toISOString()} title={timeOf(alert.raised)}>
          {ageOf(alert.raised)} ago
        </time>
        {alert.cleared !== null && <span>over after {ageOf(alert.raised, alert.cleared)}</span>}
        {alert.acknowledged !== null && alert.cleared === null && <span>seen by {alert.acknowledged_by}</span>}
        {alert.acknowledged === null && alert.cleared === null && mayAct && (
          <button type="button" className="button small" onClick={() => void acknowledge()}>
            <Check aria-hidden /> Acknowledge
          </button>
        )}
      </div>
    </li>
  );
}

function List({ list, empty }: { list: readonly Alert[]; empty: string }) {
  const [shown, setShown] = useState(AT_ONCE);
  if (list.length === 0) return <Empty icon={BellOff} title={empty} />;
  // The first of each kind is explained, not fifty times the same; what is over asks for nothing.
  const first = new Map(list.filter(({ cleared }) => cleared === null).toReversed().map((alert) => [alert.kind, alert]));
  return (
    <>
      <ul className="alerts">
        {list.slice(0, shown).map((alert) => (
          <Item key={`${alert.key} ${alert.raised}`} alert={alert} explained={first.get(alert.kind) === alert} />
        ))}
      </ul>
      {list.length > shown && (
        <button type="button" className="button more-button" onClick={() => setShown(shown + AT_ONCE)}>
          {(list.length - shown).toLocaleString()} more
        </button>
      )}
    </>
  );
}

function Uptimes({ prefix, title }: { prefix: "server/" | "node/"; title: string }) {
  const { data, error } = useQuery(uptime(prefix, HOURS, 56));
  if (data === undefined && error !== null)
    return (
      <Card title={title}>
        <p className="muted break">Could not be read: {error.message}. It is tried again every minute.</p>
      </Card>
    );
  if (data === undefined || data.length === 0) return null;
  const worst = [...data].sort((a, b) => (a.uptime.ratio ?? 2) - (b.uptime.ratio ?? 2)).slice(0, MOST_BARS);
  return (
    <Card title={title} tools={<span className="muted small">7 days, the worst {data.length > MOST_BARS ? `${MOST_BARS} of ${data.length.toLocaleString()}` : "first"}</span>}>
      <ul className="uptimes">
        {worst.map(({ subject, uptime: { ratio }, bars }) => {
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
              <Bars bars={bars ?? []} hours={HOURS} ratio={ratio} />
              <span className="number">{percent(ratio)}</span>
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
    { value: "open", label: `Open (${open.length})`, view: <List list={open} empty="Nothing is wrong" /> },
    { value: "seen", label: `Acknowledged (${seen.length})`, view: <List list={seen} empty="None acknowledged" /> },
    { value: "past", label: `Past (${past.length})`, view: <List list={past} empty="None yet" /> },
  ];
  return (
    <>
      <PageHead title="Alerts" sub={ofNode ? "Kept by this node itself, whether or not anybody looks." : "Each is told once when it is raised and once when it is over, also to the webhooks of the settings."} />
      <Tabs<AlertTab> label="Alerts" value={tab} change={(next) => void navigate({ search: next === "open" ? {} : { tab: next } })} tabs={tabs} />
      <Uptimes prefix="node/" title="Uptime of nodes" />
      <Uptimes prefix="server/" title="Uptime of servers" />
    </>
  );
}
