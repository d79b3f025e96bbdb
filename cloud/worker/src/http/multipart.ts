// multipart/form-data with the parts `value` and `metadata`, as KV's PUT takes it. By bytes: the platform's own parser
// makes text of a part, and a value need not be text. Same rules as store/server/multipart.cc.
import { badRequest } from "./envelope.js";

const MOST_PARTS = 8;

export function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))/i.exec(contentType);
  return match?.[1] ?? match?.[2];
}

function find(bytes: Buffer, wanted: string, from: number): number {
  return bytes.indexOf(Buffer.from(wanted, "latin1"), from);
}

export function parseMultipart(contentType: string, body: Uint8Array): Map<string, Uint8Array> {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) throw badRequest("multipart: no boundary");
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `\r\n--${boundary}`;
  const parts = new Map<string, Uint8Array>();
  // The first delimiter may stand at the very start, without its line break.
  let at = find(bytes, delimiter.slice(2), 0) === 0 ? delimiter.length - 2 : -1;
  if (at < 0) {
    const first = find(bytes, delimiter, 0);
    at = first < 0 ? -1 : first + delimiter.length;
  }
  while (at >= 0) {
    if (bytes.toString("latin1", at, at + 2) === "--") return parts;
    const line = find(bytes, "\r\n", at);
    const blank = line < 0 ? -1 : find(bytes, "\r\n\r\n", line);
    const end = blank < 0 ? -1 : find(bytes, delimiter, blank + 2);
    if (end < 0) break;
    const head = bytes.toString("utf8", line, blank);
    const name = /\r\ncontent-disposition:[^\r]*;\s*name=(?:"([^"]*)"|([^;\s]*))/i.exec(head);
    const key = name?.[1] ?? name?.[2];
    if (!key) throw badRequest("multipart: a part without a name");
    if (parts.size === MOST_PARTS) throw badRequest("multipart: too many parts");
    if (parts.has(key)) throw badRequest("multipart: a part twice");
    parts.set(key, bytes.subarray(Math.min(blank + 4, end), end));
    at = end + delimiter.length;
  }
  throw badRequest("multipart: ends too early");
}
