// Keys that sign as mcpctl does (store/trust), and a fleet that is signed with them.
import { expect } from "vitest";
import { call, headOf, putBlob, putHead, snapshotOf, valuePath } from "./kit.js";
import { canonicalize } from "../src/manifest/canonical.js";
import { Head } from "../src/schema/desired.js";
import { signedHead, signedTrust, type TrustDocument } from "../src/schema/trust.js";

export interface Key {
  public: string;
  sign(text: string): Promise<{ key: string; signature: string }>;
}

export async function newKey(): Promise<Key> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair;
  const raw = (await crypto.subtle.exportKey("raw", pair.publicKey)) as ArrayBuffer;
  const key = Buffer.from(raw).toString("base64url");
  return {
    public: key,
    sign: async (text) => ({ key, signature: Buffer.from(await crypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, Buffer.from(text))).toString("base64url") }),
  };
}

export const of = (keys: readonly Key[], threshold = 1) => ({ keys: keys.map((key) => key.public), threshold });

// The text of a trust document, signed by `by`.
export async function trustOf(version: number, roots: TrustDocument["roots"], heads: TrustDocument["heads"], by: readonly Key[], more: Partial<TrustDocument> = {}): Promise<string> {
  const document: TrustDocument = { fleet: "a".repeat(32), version, roots, heads, time: "2026-11-28T00:00:00Z", expires: "", ...more, signatures: [] };
  const text = signedTrust(document);
  return canonicalize({ ...document, signatures: await Promise.all(by.map((key) => key.sign(text))) });
}

export async function signed(head: string, by: readonly Key[]): Promise<string> {
  const text = signedHead(Head.parse(JSON.parse(head)));
  return JSON.stringify({ ...(JSON.parse(head) as object), signatures: await Promise.all(by.map((key) => key.sign(text))) });
}

export const putTrust = (version: number | string, body: string, headers: Record<string, string> = {}) =>
  call("PUT", valuePath("CONFIG", `trust/${version}`), { body, headers });

// A fleet whose head 1.1.1 is signed: its snapshot's hash.
export async function signedFleet(root: Key, head: Key): Promise<string> {
  const snapshot = snapshotOf("");
  await putBlob(snapshot.key, snapshot.bytes);
  expect((await putTrust(1, await trustOf(1, of([root]), of([head]), [root]))).status).toBe(200);
  expect((await putHead(await signed(headOf(snapshot.hash, 1, { trust: 1 }), [head]), { "If-None-Match": "*" })).status).toBe(200);
  return snapshot.hash;
}
