import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Bell, Box, FileCode2, History as HistoryIcon, LayoutDashboard, LogOut, Monitor, Moon, ScrollText, Server as ServerIcon, Sun, UserRound, Users } from "lucide-react";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { alerts } from "../api/queries";
import { namesOf, titleOf } from "../lib/title";
import { goLive, useFleet } from "../live";
import { openOf } from "../lib/attention";
import { Logo } from "../ui/logo";
import { useToast } from "../ui/toast";
import { Keys, useKeys } from "./keys";
import { Gate, signOut, useCan, usePerson } from "./session";
import { setTheme, type Theme, useTheme } from "./theme";

const PLACES = [
  { to: "/", label: "Overview", icon: LayoutDashboard, key: "o" },
  { to: "/servers", label: "Servers", icon: Box, key: "s" },
  { to: "/nodes", label: "Nodes", icon: ServerIcon, key: "n" },
  { to: "/alerts", label: "Alerts", icon: Bell, key: "a" },
  { to: "/logs", label: "Logs", icon: ScrollText, key: "l" },
  { to: "/apply", label: "Apply", icon: FileCode2, key: "y" },
  { to: "/history", label: "History", icon: HistoryIcon, key: "h" },
  { to: "/audit", label: "Audit", icon: Users, key: "u" },
] as const;

const usePlaces = () => {
  const alerted = useCan("alerts");
  return PLACES.filter(({ to }) => to !== "/alerts" || alerted);
};

const LINK_WORD = { connecting: "Connecting", live: "Live", lost: "Connection lost", "signed-out": "Signed out" } as const;

function LinkState() {
  const { link } = useFleet();
  return (
    <span className={`link-state ${link}`} role="status">
      <span className="dot" aria-hidden /> {LINK_WORD[link]}
    </span>
  );
}

function Lost() {
  const { link, synced } = useFleet();
  const [long, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    if (link === "live") return undefined;
    const timer = setTimeout(() => setLong(true), 2000);
    return () => clearTimeout(timer);
  }, [link === "live"]);
  if (link === "signed-out")
    return (
      <div className="banner bad" role="alert">
        Your session has ended. <button type="button" className="link" onClick={() => location.reload()}>Sign in again</button>
      </div>
    );
  if (!long) return null;
  return (
    <div className="banner warn" role="alert">
      {synced ? "The connection is lost: what you see is what was known then. It comes back by itself." : "There is no answer. Look whether this machine is online; it is tried again by itself."}
    </div>
  );
}

const THEMES: { value: Theme; label: string; icon: typeof Sun }[] = [
  { value: "light", label: "Light", icon: Sun },
  { value: "dark", label: "Dark", icon: Moon },
  { value: "system", label: "As the system", icon: Monitor },
];

function ThemeSwitch() {
  const theme = useTheme();
  return (
    <div className="segments small" role="radiogroup" aria-label="Theme">
      {THEMES.map(({ value, label, icon: Icon }) => (
        <button key={value} type="button" role="radio" aria-checked={theme === value} aria-label={label} title={label} onClick={() => setTheme(value)}>
          <Icon aria-hidden />
        </button>
      ))}
    </div>
  );
}

function Nav() {
  const places = usePlaces();
  const alerted = useCan("alerts");
  const { fresh, tone, note } = openOf(useQuery({ ...alerts, enabled: alerted }));
  return (
    <nav className="nav" aria-label="Main">
      {places.map(({ to, label, icon: Icon }) => (
        <Link key={to} to={to} className="nav-link" activeOptions={{ exact: to === "/", includeSearch: false }} activeProps={{ "aria-current": "page" }}>
          <Icon aria-hidden />
          <span>{label}</span>
          {label === "Alerts" && tone === "bad" && (
            <span className="count bad" title={`${fresh} open`} aria-label={`${fresh} open`}>
              {fresh! > 99 ? "99+" : fresh}
            </span>
          )}
          {label === "Alerts" && tone === "" && note !== "being read" && (
            <span className="count" title={note} aria-label={note}>
              —
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}

function Frame({ children }: { children: ReactNode }) {
  const person = usePerson();
  const say = useToast();
  useEffect(goLive, []);
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const places = usePlaces();
  useKeys(places.map(({ key, to }) => ({ key, go: () => void navigate({ to }) })), () => setHelp(true));
  // After a change of the page the reader is at its beginning, also one who listens.
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [path]);
  return (
    <div className="shell">
      <title>{titleOf(path)}</title>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="side">
        <div className="side-top">
          <Logo />
          <LinkState />
        </div>
        <Nav />
        <div className="side-end">
          <div className="person">
            <UserRound aria-hidden />
            <span className="person-name" title={person?.name}>
              {person?.name}
            </span>
            <span className="chip">{person?.role}</span>
          </div>
          <div className="side-tools">
            <ThemeSwitch />
            <button type="button" className="button icon ghost" aria-label="Sign out" title="Sign out" onClick={() => void signOut(person).catch((error: Error) => say("bad", `You are not signed out: ${error.message}.`))}>
              <LogOut aria-hidden />
            </button>
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1} aria-label={namesOf(path).join(", ")}>
        <Lost />
        {children}
      </main>
      <Keys open={help} close={() => setHelp(false)} places={places} />
    </div>
  );
}

export function Shell() {
  return (
    <Gate>
      <Frame>
        <Outlet />
      </Frame>
    </Gate>
  );
}
