import { Tabs as Radix } from "radix-ui";
import { Check, Copy as CopyIcon, Search as SearchIcon, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Health, HEALTH_WORD, HEALTHS } from "../live/rows";
import { inWords, minuteOf, percent } from "../lib/format";
import { HOURS, type Uptime, uptimeText } from "../lib/uptime";

export function HealthBadge({ health, reason }: { health: Health; reason?: string }) {
  const word = HEALTH_WORD[health];
  const more = reason && inWords(reason) !== word && health !== "ready" ? inWords(reason) : "";
  return (
    <span className="health" {...(more === "" ? {} : { title: more })}>
      <span className={`badge ${health}`}>
        <span className="dot" aria-hidden />
        {word}
      </span>
      {more !== "" && (
        <span className="badge-more">
          <span className="sr-only"> · </span>
          {more}
        </span>
      )}
    </span>
  );
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const all = Object.entries(labels).map(([key, value]) => (value === "" ? key : `${key}=${value}`));
  return (
    <span className="labels" title={all.join(", ")}>
      {all.map((each) => (
        <span key={each} className="chip mono">
          {each}
        </span>
      ))}
    </span>
  );
}

export function PageHead({ title, sub, children }: { title: ReactNode; sub?: ReactNode; children?: ReactNode }) {
  return (
    <div className="page-head">
      <div>
        <h1>{title}</h1>
        {sub !== undefined && <div className="muted page-sub">{sub}</div>}
      </div>
      {children !== undefined && <div className="page-tools">{children}</div>}
    </div>
  );
}

export function Card({ title, children, tools, className = "" }: { title?: string; children: ReactNode; tools?: ReactNode; className?: string }) {
  return (
    <section className={`card ${className}`} {...(title === undefined ? {} : { "aria-label": title })}>
      {title !== undefined && (
        <div className="card-head">
          <h2>{title}</h2>
          {tools}
        </div>
      )}
      {children}
    </section>
  );
}

export function Search({ value, change, label }: { value: string; change(value: string): void; label: string }) {
  return (
    <label className="search">
      <SearchIcon aria-hidden />
      <input type="search" value={value} onChange={(event) => change(event.target.value)} placeholder={label} aria-label={label} spellCheck={false} />
      <kbd aria-hidden>/</kbd>
    </label>
  );
}

export function Select<T extends string>({ value, change, label, options }: { value: T; change(value: T): void; label: string; options: readonly { value: T; label: string }[] }) {
  return (
    <select className="select" value={value} onChange={(event) => change(event.target.value as T)} aria-label={label}>
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

// For a filter by how things are.
export const STATUS_OPTIONS: readonly { value: Health | ""; label: string }[] = [{ value: "", label: "Any status" }, ...HEALTHS.map((value) => ({ value, label: HEALTH_WORD[value] }))];

export function CopyText({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState<"" | "copied" | "failed">("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text); // there is no clipboard where the page comes by plain HTTP from elsewhere
      setDone("copied");
    } catch {
      setDone("failed");
    }
  };
  useEffect(() => {
    if (done === "") return undefined;
    const timer = setTimeout(() => setDone(""), done === "copied" ? 1500 : 5000);
    return () => clearTimeout(timer);
  }, [done]);
  const word = done === "copied" ? "Copied" : done === "failed" ? "Could not be copied: mark it and copy it by hand" : label;
  return (
    <button type="button" className={`button icon ghost small${done === "failed" ? " bad-text" : ""}`} aria-label={word} title={word} onClick={() => void copy()}>
      {done === "copied" ? <Check aria-hidden /> : done === "failed" ? <X aria-hidden /> : <CopyIcon aria-hidden />}
    </button>
  );
}

// One command that can be copied.
export function Command({ text }: { text: string }) {
  return (
    <div className="command">
      <pre tabIndex={0}>{text}</pre>
      <CopyText text={text} />
    </div>
  );
}

export function Tabs<T extends string>({ value, change, tabs, label }: { value: T; change(value: T): void; tabs: readonly { value: T; label: ReactNode; view: ReactNode }[]; label: string }) {
  // Where they are more than fit, the chosen one is in view, and an edge with more behind it fades.
  const list = useRef<HTMLDivElement>(null);
  const mark = () => {
    const { dataset, scrollLeft, clientWidth, scrollWidth } = list.current!;
    dataset.more = `${scrollLeft > 1 ? "before" : ""} ${scrollLeft + clientWidth < scrollWidth - 1 ? "after" : ""}`;
  };
  useEffect(() => {
    const chosen = list.current!.querySelector<HTMLElement>("[data-state=active]");
    if (chosen !== null) list.current!.scrollLeft = chosen.offsetLeft - (list.current!.clientWidth - chosen.offsetWidth) / 2;
    mark();
    addEventListener("resize", mark);
    return () => removeEventListener("resize", mark);
  }, [value]);
  return (
    <Radix.Root value={value} onValueChange={(next) => change(next as T)} activationMode="manual">
      <Radix.List className="tabs" aria-label={label} ref={list} onScroll={mark}>
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.value} value={tab.value}>
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.value} value={tab.value} className="tab-view">
          {tab.view}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}

const shade = (ratio: number | null): string => (ratio === null ? "none" : ratio >= 0.999 ? "ready" : ratio >= 0.95 ? "degraded" : "failing");

// Uptime in equal parts of time until now.
export function Bars({ bars, uptime }: { bars: readonly (number | null)[]; uptime: Uptime }) {
  const part = (HOURS * 3_600_000) / Math.max(1, bars.length);
  const begin = Date.now() - HOURS * 3_600_000;
  return (
    <div className="bars" role="img" aria-label={`Uptime: ${uptimeText(uptime)}`}>
      {bars.map((bar, index) => (
        <span key={index} className={shade(bar)} title={`${minuteOf(begin + index * part)}: ${bar === null ? "nothing known" : percent(bar)}`} />
      ))}
    </div>
  );
}
