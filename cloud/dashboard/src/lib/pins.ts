// Whether a tool is as it is pinned, by the manifest's pins and by what the node says of them (condition ToolsPinned). Pure.
export type PinState = "pinned" | "changed" | "not pinned" | "not known";

// What the condition lists as "changed: a, b and 3 more; missing: c". The names end where the list does.
function namesOf(message: string, what: string): { names: Set<string>; cut: boolean } {
  const list = message.split("; ").find((part) => part.startsWith(`${what}: `))?.slice(what.length + 2) ?? "";
  const cut = / and \d+ more$/.test(list);
  return { names: new Set(list.replace(/ and \d+ more$/, "").split(", ").filter(Boolean)), cut };
}

// undefined: nothing is pinned.
export function pinStateOf(tool: string, pins: Readonly<Record<string, string>> | undefined, message: string): PinState | undefined {
  if (pins === undefined || Object.keys(pins).length === 0) return undefined;
  if (!Object.hasOwn(pins, tool)) return "not pinned";
  const { names, cut } = namesOf(message, "changed");
  return names.has(tool) ? "changed" : cut ? "not known" : "pinned";
}
