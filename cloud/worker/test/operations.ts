// Operations of KV bindings, counted or made to fail. By the prototype that all bindings share; vi.restoreAllMocks ends it.
import { vi } from "vitest";
import { bindings } from "./kit.js";

type Method = "get" | "getWithMetadata" | "list" | "put" | "delete";
type Call = (...args: unknown[]) => unknown;

function intercept(method: Method, run: (key: string, original: () => unknown) => unknown): void {
  const proto = Object.getPrototypeOf(bindings.CONFIG) as Record<Method, Call>;
  const original = proto[method];
  vi.spyOn(proto, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
    return run(String(args[0]), () => original.apply(this, args));
  });
}

export interface Operations {
  counts: { reads: number; writes: number };
  writesOf(key: string): number;
}

// Counts from now on. A bulk read counts once; Cloudflare bills it for each key.
export function countOperations(): Operations {
  const counts = { reads: 0, writes: 0 };
  const written: string[] = [];
  for (const method of ["get", "getWithMetadata", "list"] as const) {
    intercept(method, (_, original) => {
      ++counts.reads;
      return original();
    });
  }
  for (const method of ["put", "delete"] as const) {
    intercept(method, (key, original) => {
      ++counts.writes;
      written.push(key);
      return original();
    });
  }
  return { counts, writesOf: (key) => written.filter((each) => each === key).length };
}

// The next `times` writes of `key` fail as KV's limit of one a second does.
export function failWrites(key: string, times: number): void {
  let left = times;
  intercept("put", (written, original) => (written === key && left-- > 0 ? Promise.reject(new Error("KV PUT failed: 429 Too Many Requests")) : original()));
}

// Reads of keys with this prefix wait until `count` of them have begun.
export function gatherReads(prefix: string, count: number): void {
  let begun = 0;
  let release = () => {};
  const all = new Promise<void>((resolve) => (release = resolve));
  intercept("get", async (key, original) => {
    if (!key.startsWith(prefix)) return original();
    if (++begun === count) release();
    await all;
    return original();
  });
}
