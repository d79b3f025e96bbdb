// Who may sign for a fleet, as store/trust/trust.h has it: documents trust/1, trust/2, … Each names roots, which sign these
// documents, and heads, which sign heads. Judged here as a node judges them, so that what no node would follow is not stored.
import { z } from "zod";
import { TRUST_BYTES, TRUST_KEYS } from "../limits.js";
import { canonicalize } from "../manifest/canonical.js";
import type { Head } from "./desired.js";

// base64url of 32 and of 64 bytes, unused bits zero: bytes have one spelling.
const PublicKey = z.string().regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/, "is not a public key");
const SIGNATURE = /^[\w-]{85}[AQgw]$/;

const Signers = z
  .strictObject({ keys: z.array(PublicKey).min(1).max(TRUST_KEYS), threshold: z.int().min(1) })
  .refine(({ keys }) => new Set(keys).size === keys.length, "a key stands there twice")
  .refine(({ keys, threshold }) => threshold <= keys.length, "the threshold can't be met");
export type Signers = z.infer<typeof Signers>;

// The form of base/clock.h, of the years 1970 to 2261; "": never.
function isTime(text: string): boolean {
  if (text === "") return true;
  const [, seconds, year] = /^((\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z$/.exec(text) ?? [];
  if (seconds === undefined || Number(year) < 1970 || Number(year) > 2261) return false;
  const time = Date.parse(`${seconds}Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(seconds);
}
const Time = z.string().max(64).refine(isTime, "is not a UTC time");

export const TrustDocument = z.strictObject({
  fleet: z.string().min(1).max(64),
  version: z.int().min(1),
  roots: Signers,
  heads: Signers,
  time: Time,
  expires: Time,
  signatures: z
    .array(z.strictObject({ key: z.string().max(64), signature: z.string().max(128) }))
    .max(2 * TRUST_KEYS),
});
export type TrustDocument = z.infer<typeof TrustDocument>;

export const trustKey = (version: number): string => `trust/${version}`;

// The version that a key names; undefined for any other key, also for "trust/01".
export function trustVersionOf(key: string): number | undefined {
  const digits = /^trust\/([1-9]\d{0,15})$/.exec(key)?.[1];
  return digits !== undefined && Number.isSafeInteger(Number(digits)) ? Number(digits) : undefined;
}

// The document in `text`, or why it is none. Signatures are over what a document says, nodes parse its bytes: only the canonical
// spelling is taken, or anybody could store a signed document in one that nodes refuse.
export function parseTrust(text: string): TrustDocument | string {
  if (Buffer.byteLength(text) > TRUST_BYTES) return `larger than ${TRUST_BYTES} bytes`;
  try {
    const result = TrustDocument.safeParse(JSON.parse(text));
    if (!result.success) {
      const issue = result.error.issues[0];
      return `${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "is not valid"}`;
    }
    return canonicalize(result.data) === text ? result.data : "is not canonical JSON";
  } catch {
    return "is not JSON";
  }
}

// Everything but the signatures, with a prefix that no other signed text has.
export function signedTrust({ signatures: _, ...document }: TrustDocument): string {
  return `mcpfleet trust v1\n${canonicalize(document)}`;
}
export function signedHead({ fleet, trust, epoch, revision, snapshot, time, validUntil }: Head): string {
  return `mcpfleet head v1\n${canonicalize({ fleet, trust, epoch, revision, snapshot, time, validUntil })}`;
}

async function isSigned(key: string, signature: string, text: string): Promise<boolean> {
  if (!SIGNATURE.test(signature)) return false;
  try {
    const imported = await crypto.subtle.importKey("raw", Buffer.from(key, "base64url"), { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, imported, Buffer.from(signature, "base64url"), Buffer.from(text));
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}

const Signature = z.object({ key: z.string(), signature: z.string() });

// Why too few of `signers` have signed `text`; undefined when enough have.
export async function signersFault(signatures: readonly unknown[], signers: Signers, text: string): Promise<string | undefined> {
  const found = new Set<string>();
  for (const each of signatures.slice(0, 2 * TRUST_KEYS)) {
    const { data } = Signature.safeParse(each);
    if (data === undefined || found.has(data.key) || !signers.keys.includes(data.key)) continue;
    if (await isSigned(data.key, data.signature, text)) found.add(data.key);
  }
  if (found.size >= signers.threshold) return undefined;
  return `signed by ${found.size} of the ${signers.threshold} keys that are needed; expected: ${signers.keys.join(", ")}`;
}

// Why `next` may not follow `before` (undefined: it is the first); undefined when it may.
export async function successionFault(before: TrustDocument | undefined, next: TrustDocument): Promise<string | undefined> {
  const name = trustKey(next.version);
  const text = signedTrust(next);
  if (next.version !== (before?.version ?? 0) + 1) return `expected is ${trustKey((before?.version ?? 0) + 1)}`;
  if (before !== undefined) {
    if (next.fleet !== before.fleet) return `${name}: of another fleet`;
    const byRoots = await signersFault(next.signatures, before.roots, text);
    if (byRoots !== undefined) return `${name}, by roots of the one before: ${byRoots}`;
  }
  const byOwn = await signersFault(next.signatures, next.roots, text);
  return byOwn === undefined ? undefined : `${name}, by its own roots: ${byOwn}`;
}

// Why nodes would not follow `head`, which `document` is to judge.
export async function headFault(document: TrustDocument, head: Head, now: number): Promise<string | undefined> {
  if (document.fleet !== head.fleet) return "head: of another fleet than its trust document";
  let text: string;
  try {
    text = signedHead(head);
  } catch {
    return "head: holds text that can't be signed";
  }
  const unsigned = await signersFault(head.signatures, document.heads, text);
  if (unsigned !== undefined) return `head: ${unsigned}`;
  if (document.expires !== "" && Date.parse(document.expires) < now) return `${trustKey(document.version)}: has expired at ${document.expires}`;
  return undefined;
}
