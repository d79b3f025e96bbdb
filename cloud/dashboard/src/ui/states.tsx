// What a page shows when it has nothing to show: and what to do about it.
import { Link } from "@tanstack/react-router";
import { CircleAlert, Compass, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { workerIsElsewhere, workerOrigin } from "../api/origin";
import { isGone } from "../lib/gone";

export function Loading({ what, whole = false }: { what: string; whole?: boolean }) {
  return (
    <div className={whole ? "state whole" : "state"} role="status">
      <span className="spinner" aria-hidden />
      <p className="muted">{what}…</p>
    </div>
  );
}

// `page`: it is the whole of a page, so its title is the page's heading.
export function Empty({ icon: Icon, title, children, action, page = false }: { icon: LucideIcon; title: string; children?: ReactNode; action?: ReactNode; page?: boolean }) {
  const Title = page ? "h1" : "h2";
  return (
    <div className="state">
      <span className="state-icon" aria-hidden>
        <Icon />
      </span>
      <Title>{title}</Title>
      {children !== undefined && <div className="muted">{children}</div>}
      {action}
    </div>
  );
}

const advice = (error: unknown): string => {
  if (isGone(error)) return "A newer version of this page was put in its place meanwhile, or what serves it can’t be reached.";
  if (!(error instanceof ApiError)) return "This is a defect of the page. Load it again; if it stays, report it.";
  if (error.status === 0)
    return workerIsElsewhere
      ? `Look whether this machine is online. Behind Cloudflare Access: open ${workerOrigin} in this browser once, sign in there and come back.`
      : "Look whether this machine is online, and what serves this page is running.";
  if (error.status === 403) return "Your role does not allow this. An operator can do it, or give you the role.";
  if (error.status === 404) return "It may have been removed meanwhile.";
  if (error.status === 429) return "Too many requests came from here. Wait a minute.";
  if (error.status >= 500) return "It could not be answered right now. Try again; the log of what serves this page says more (wrangler tail, journalctl -u mcplet).";
  return "Change what the message names and try again.";
};

export function Failed({ error, retry, title = "That did not work", whole = false, page = whole }: { error: unknown; retry?: () => void; title?: string; whole?: boolean; page?: boolean }) {
  const Title = page ? "h1" : "h2";
  const gone = isGone(error);
  return (
    <div className={whole ? "state whole" : "state"} role="alert">
      <span className="state-icon bad" aria-hidden>
        <CircleAlert />
      </span>
      <Title>{gone ? "This part of the page could not be loaded" : title}</Title>
      {!gone && <p className="break">{(error as Error | undefined)?.message ?? "unknown"}</p>}
      <p className="muted">{advice(error)}</p>
      <button type="button" className="button" onClick={gone || retry === undefined ? () => location.reload() : retry}>
        {gone ? "Load it again" : "Try again"}
      </button>
    </div>
  );
}

export function NotThere() {
  return (
    <Empty page icon={Compass} title="No such page" action={<Link to="/" className="button">To the overview</Link>}>
      The address may be of an older version, or mistyped.
    </Empty>
  );
}
