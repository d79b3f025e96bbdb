// Writes down who did what, when it was done.
import { fleetOf } from "../env.js";
import type { AppContext } from "./guard.js";

interface Told {
  result?: { node?: string; changes?: { kind: string; namespace: string; name: string; change: string }[]; moved?: boolean; proposal?: string | null };
}
const SHOWN = 5;

// What a change did, in a line; undefined where it changed nothing.
function changesIn(told: Told): string | undefined {
  const done = told.result?.changes?.filter(({ change }) => change !== "unchanged" && change !== "not found") ?? [];
  if (done.length === 0) return undefined;
  const list = done.slice(0, SHOWN).map(({ kind, namespace, name, change }) => `${kind}/${namespace === "" ? "" : `${namespace}/`}${name} ${change}`);
  const more = done.length > SHOWN ? ` and ${done.length - SHOWN} more` : "";
  return `${told.result?.proposal ? `proposed ${told.result.proposal.slice(0, 12)}: ` : ""}${list.join(", ")}${more}`;
}

export function audited(
  what: string,
  names: readonly string[],
  handler: (c: AppContext) => Response | Promise<Response>,
): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const response = await handler(c);
    if (!response.ok) return response;
    let subject = names.map((name) => c.req.param(name) ?? "").join("/");
    let detail = "";
    if (response.headers.get("Content-Type")?.startsWith("application/json")) {
      const told = (await response.clone().json()) as Told;
      if (told.result?.changes !== undefined) {
        if (!told.result.moved && !told.result.proposal) return response; // nothing was to be done, or a dry run
        detail = changesIn(told) ?? "";
      } else if (told.result?.node !== undefined && told.result.node !== subject) {
        detail = told.result.node;
      }
    }
    if (subject === "") subject = "fleet";
    await fleetOf(c.env).noteAudit({ who: c.get("caller").name, what, subject, detail });
    return response;
  };
}
