// A chunk of logs: NDJSON of one node, all its servers in one, compressed with zstd or gzip. Stored byte for byte.
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { z } from "zod";
import { CHUNK_UNPACKED_BYTES, LOG_LINE_BYTES } from "../limits.js";
import { NameOrNone } from "../schema/status.js";

export type Packing = "zstd" | "gzip";

// By the first bytes (RFC 8878 §3.1.1, RFC 1952 §2.3.1); undefined for anything else.
export function packingOf(bytes: Uint8Array): Packing | undefined {
  if (bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd) return "zstd";
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  return undefined;
}

// <bootId>-<seq>, seq without leading zeros.
const NAME = /^([A-Za-z0-9][A-Za-z0-9-]{0,62})-(0|[1-9]\d{0,11})$/;

export function parseChunkName(name: string): { boot: string; seq: number } | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : { boot: match[1]!, seq: Number(match[2]) };
}

export interface Line {
  time: string; // RFC 3339, as the node wrote it
  namespace: string;
  server: string;
  stream: string;
  text: string;
}

const Line = z.object({
  time: z.string().max(64),
  namespace: NameOrNone,
  server: NameOrNone,
  stream: z.string().max(16).default("stderr"),
  text: z.string().max(LOG_LINE_BYTES),
});

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

// The text of a chunk; undefined when it is damaged or unpacks to more than it may.
export function unpack(bytes: Uint8Array): string | undefined {
  try {
    switch (packingOf(bytes)) {
      case "zstd":
        return text(zstdDecompressSync(bytes, { maxOutputLength: CHUNK_UNPACKED_BYTES }));
      case "gzip":
        return text(gunzipSync(bytes, { maxOutputLength: CHUNK_UNPACKED_BYTES }));
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

// Lines that are none are counted, never shown as something else.
export function parseLines(text: string): { lines: { line: Line; index: number }[]; bad: number } {
  const lines: { line: Line; index: number }[] = [];
  let bad = 0;
  for (const [index, row] of text.split("\n").entries()) {
    if (row === "") continue;
    try {
      lines.push({ line: Line.parse(JSON.parse(row)), index });
    } catch {
      ++bad;
    }
  }
  return { lines, bad };
}
