// The form of a line of access_table.ts.
export interface Asked {
  namespace?: string;
  key?: string;
  id?: string;
  node?: string;
  hash?: string;
  chunk?: string;
  server?: string;
  query?: string;
  upgrade?: true;
  body?: object;
}
export type Row = [route: string, asked: Asked, allowed: string];

export const HEX = "0123456789abcdef".repeat(4);

export function requestOf([route, asked]: Row): { method: string; path: string; headers: Record<string, string>; body?: object } {
  const [method, pattern] = route.split(" ") as [string, string];
  const path = pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(name === "account" ? "local" : String(asked[name as keyof Asked])));
  return {
    method,
    path: path + (asked.query ?? ""),
    headers: asked.upgrade ? { Upgrade: "websocket" } : {},
    ...(asked.body === undefined ? {} : { body: asked.body }),
  };
}
