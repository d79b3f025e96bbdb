// Where clients reach a server. Pure.
export interface Endpoint {
  url: string; // whole, to be copied; "": nowhere yet
  text: string; // as a table shows it: without the origin that the reader is at
}
interface Place {
  namespace: string;
  name: string;
  endpoint: string;
  desired: { hostname: string } | undefined;
}

const LOOPBACK = /^https?:\/\/(127(\.\d+){3}|localhost|\[::1\])(:\d+)?(\/|$)/;

// At its own host name where it has one; where its node says that it is, unless only the node itself could go there; else through `origin`,
// which routes to its node. `onNode`: the reader is at the node, where the node's own address is the one.
export function endpointOf({ namespace, name, endpoint, desired }: Place, origin: string, onNode: boolean): Endpoint {
  const path = `/${namespace}/${name}/mcp`;
  const told = desired?.hostname ? `https://${desired.hostname}${path}` : onNode || !LOOPBACK.test(endpoint) ? endpoint : "";
  if (told !== "") return { url: told, text: told };
  return onNode ? { url: "", text: "" } : { url: origin + path, text: path };
}
