// The parts of a KV path. Taken from the raw path: a key is encoded once and may hold anything, '/' and '%' too.
import { CODE, Refusal } from "../http/envelope.js";
import { isNamespace, type Namespace } from "./rules.js";

const noRoute = () => new Refusal(404, CODE.route, "No route for that URI");

export function rawSegments(request: Request): string[] {
  return new URL(request.url).pathname.split("/");
}

function decode(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? "");
  } catch {
    throw noRoute();
  }
}

// "", client, v4, accounts, <account>, storage, kv, namespaces, <namespace>, <what>, <key>
export const namespaceIn = (request: Request): string => decode(rawSegments(request)[8]);
export const keyIn = (request: Request): string => decode(rawSegments(request)[10]);

export function knownNamespace(name: string): Namespace {
  if (!isNamespace(name)) throw new Refusal(404, CODE.namespaceNotFound, "list keys: 'namespace not found'");
  return name;
}
