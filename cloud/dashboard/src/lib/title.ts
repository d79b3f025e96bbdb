// What a page is called, by its address: for the browser's tab and history, and for who hears it. Pure.
const PLACES: Readonly<Record<string, string>> = { servers: "Servers", nodes: "Nodes", apply: "Apply", logs: "Logs", alerts: "Alerts", history: "History", audit: "Audit" };

const plain = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

// "/servers/default/weather" → ["weather", "Servers"]
export function namesOf(path: string): string[] {
  const [place = "", ...more] = path.split("/").filter(Boolean).map(plain);
  if (place === "") return ["Overview"];
  if (!Object.hasOwn(PLACES, place)) return ["No such page"];
  const own = more.at(-1);
  return own === undefined ? [PLACES[place]!] : [own, PLACES[place]!];
}
export const titleOf = (path: string): string => [...namesOf(path), "mcpfleet"].join(" · ");
