// Bodies from outside: read with a bound, then parsed, then checked by a schema.
import type { z } from "zod";
import { badRequest, tooLarge } from "./envelope.js";

// The whole body. Refuses with 413 as soon as it is larger than `most` bytes, before the rest is read.
export async function readBody(request: Request, most: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get("Content-Length") ?? "0");
  if (announced > most) throw tooLarge(`the request is larger than ${most} bytes`);
  if (request.body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body as AsyncIterable<Uint8Array>) {
    size += piece.byteLength;
    if (size > most) throw tooLarge(`the request is larger than ${most} bytes`);
    pieces.push(piece);
  }
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

// Text of well-formed UTF-8; undefined for any other bytes.
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function parseJson(text: string | undefined, what = "the body"): unknown {
  if (text === undefined) throw badRequest(`${what} is not UTF-8`);
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(`${what} is not JSON`);
  }
}

// The value as `schema` has it; the refusal names the first field that is wrong.
export function check<T extends z.ZodType>(schema: T, value: unknown, what = "the body"): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String).join(".") ?? "";
  throw badRequest(`${what}${path ? `: ${path}` : ""}: ${issue?.message ?? "is not valid"}`);
}

export async function readJson<T extends z.ZodType>(request: Request, schema: T, most: number): Promise<z.output<T>> {
  return check(schema, parseJson(utf8(await readBody(request, most))));
}
