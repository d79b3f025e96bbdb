// Which tools a server has, which of them clients get, and whether each is as it is pinned: by the manifest, by what nodes report (names and
// the condition ToolsPinned), and by what the server says when it is asked. Pure.
export type PinState = "pinned" | "changed" | "missing" | "not pinned" | "not known";
const WORST: readonly PinState[] = ["changed", "missing", "not pinned", "not known", "pinned"];

export interface ToolsSpec {
  pinning?: string; // Off, Warn (default) or Block
  pins?: Readonly<Record<string, string>>;
  allow?: readonly string[];
  deny?: readonly string[];
}
// ToolsPinned of one node.
export interface Told {
  status: string;
  message: string;
}
export interface ToolRow {
  name: string;
  state: PinState | undefined; // undefined: nothing is pinned, or clients may not have it anyhow
  away: string; // why clients don't get it; "": they do, or nobody could ask
}

const pinsOf = (spec: ToolsSpec | undefined) => (spec === undefined || spec.pinning === "Off" || Object.keys(spec.pins ?? {}).length === 0 ? undefined : spec.pins!);

// Off, Warn and Block in words; "" while the manifest is not known.
export function pinningInWords(spec: ToolsSpec | undefined, known: boolean, name: string): string {
  if (!known) return "";
  const { pinning = "Warn", pins = {} } = spec ?? {};
  if (pinning === "Off") return "Pinning is Off: nobody looks whether tools change.";
  if (Object.keys(pins).length === 0) return `No tool is pinned. “mcpctl tools lock ${name}” pins them as they are.`;
  return pinning === "Block"
    ? "Pinning is Block: clients get only tools that are as pinned, and the server is not Ready while one of those has changed or is missing."
    : "Pinning is Warn: a tool that is not as pinned is reported, and clients get it all the same.";
}

// What the condition lists as "changed: a, b and 3 more; missing: c". The names end where the list does.
function namesOf(message: string, what: string): { names: Set<string>; cut: boolean } {
  const list = message.split("; ").find((part) => part.startsWith(`${what}: `))?.slice(what.length + 2) ?? "";
  const cut = / and \d+ more$/.test(list);
  return { names: new Set(list.replace(/ and \d+ more$/, "").split(", ").filter(Boolean)), cut };
}

function stateOn(tool: string, pinned: boolean, told: Told | undefined): PinState {
  if (!pinned) return "not pinned";
  if (told === undefined || told.status === "Unknown") return "not known";
  const [changed, missing] = [namesOf(told.message, "changed"), namesOf(told.message, "missing")];
  if (changed.names.has(tool)) return "changed";
  if (missing.names.has(tool)) return "missing";
  return changed.cut || missing.cut ? "not known" : "pinned";
}

// undefined: nothing is pinned. Of several nodes the worst counts; none has told yet: it is not known.
export function pinStateOf(tool: string, spec: ToolsSpec | undefined, told: readonly (Told | undefined)[]): PinState | undefined {
  const pins = pinsOf(spec);
  if (pins === undefined) return undefined;
  const states = (told.length === 0 ? [undefined] : told).map((each) => stateOn(tool, Object.hasOwn(pins, tool), each));
  return WORST.find((state) => states.includes(state));
}

const allowed = ({ allow = [], deny = [] }: ToolsSpec, tool: string): boolean => !deny.includes(tool) && (allow.length === 0 || allow.includes(tool));

// `offered`: what it answered, undefined when it was not or could not be asked; `reported`: names by its nodes' statuses.
export function toolRows(spec: ToolsSpec | undefined, told: readonly (Told | undefined)[], reported: readonly string[], offered: readonly string[] | undefined): ToolRow[] {
  const there = new Set([...(offered ?? []), ...reported]);
  const names = new Set([...(offered ?? []), ...[...there, ...Object.keys(pinsOf(spec) ?? {})].sort()]);
  return [...names].map((name) => {
    const mayBe = allowed(spec ?? {}, name);
    const state = mayBe ? pinStateOf(name, spec, told) : undefined;
    const away = !mayBe
      ? "kept from clients by spec.tools.allow or deny"
      : state === "missing"
        ? "it is pinned, and the server has it no more"
        : offered === undefined || offered.includes(name)
          ? ""
          : spec?.pinning === "Block" && state !== "pinned"
            ? "kept from clients: pinning is Block"
            : there.has(name)
              ? "a node reported it, and it was not among those offered now"
              : "it is pinned, and was not among those offered now";
    return { name, state, away };
  });
}
