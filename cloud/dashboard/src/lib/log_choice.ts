// Which server's lines somebody wants who types a name. Pure.
export interface Meant {
  server?: string; // "namespace/name"; "": all
  problem?: string;
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

// `keys` are of the servers that there are; one that is gone has written lines too, so a name that none has is taken as it stands.
export function serverMeant(typed: string, keys: readonly string[]): Meant {
  const text = typed.trim();
  if (text === "" || keys.includes(text)) return { server: text };
  const [namespace = "", name = "", ...rest] = text.includes("/") ? text.split("/") : ["default", text];
  if (!NAME.test(namespace) || !NAME.test(name) || rest.length > 0) return { problem: "is no name of a server: name, or namespace/name" };
  if (text.includes("/")) return { server: text };
  const found = keys.filter((key) => key.endsWith(`/${text}`));
  if (found.length > 1) return { problem: `is in ${found.length} namespaces: ${found.slice(0, 5).join(", ")}` };
  return { server: found[0] ?? `default/${text}` };
}
