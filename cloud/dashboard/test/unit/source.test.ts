// What the page's own source must not do: ask by hand what the typed client asks (src/api/client.ts), or make markup or code out of text.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../src", import.meta.url));
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(ts|tsx)$/.test(name) && !name.endsWith(".d.ts"))
  .map((name) => ({ name, text: readFileSync(`${root}/${name}`, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "") }));

// Where it may be: none, unless it is said here. What carries the MCP SDK's requests is its own hook.
const FORBIDDEN: Record<string, { pattern: RegExp; in?: string[] }> = {
  "a request by hand": { in: ["lib/mcp.ts"], pattern: /(?<![\w$.-])fetch\b(?! dynamically)|\b(?:globalThis|window|self)\s*(?:\.|\?\.|\[)\s*["'`]?fetch|XMLHttpRequest|EventSource|sendBeacon|importScripts|\baxios\b/ },
  "a socket": { pattern: /\bWebSocket\(/, in: ["live/index.ts"] },
  "another client of the API": { pattern: /openapi-fetch/, in: ["api/client.ts"] },
  "another client of MCP": { pattern: /modelcontextprotocol\/sdk\/client/, in: ["lib/mcp.ts"] },
  "markup out of text": { pattern: /innerHTML|outerHTML|dangerouslySetInnerHTML|insertAdjacentHTML|document\s*\.\s*write|srcDoc|srcdoc|DOMParser|createContextualFragment|setHTMLUnsafe|<(?:iframe|object|embed|script)\b/ },
  "code out of text": { pattern: /\beval\s*\(|new\s+Function\b|\bFunction\s*\(|set(?:Timeout|Interval)\(\s*["'`]/ },
  "a link to what others say": { pattern: /\bhref=\{/, in: ["ui/fleet_map.tsx"] },
};
const found = (pattern: RegExp, texts = sources) => texts.filter(({ text }) => pattern.test(text)).map(({ name }) => name);

describe("the page's source", () => {
  it("is all looked at", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(sources.map(({ name }) => name)).toContain("pages/tool_result.tsx");
  });
  it.each(Object.entries(FORBIDDEN))("has nowhere %s but where it belongs", (_, { pattern, in: allowed = [] }) => {
    expect(found(pattern).sort()).toEqual(allowed);
  });
  it("would be found out", () => {
    const guilty = ["await fetch(`/v1/x`)", "const f = window.fetch;", "globalThis['fetch'](u)", "new XMLHttpRequest()", "new EventSource(u)", "<p dangerouslySetInnerHTML={{ __html: text }} />", "box.innerHTML = text", "new Function(text)", "eval(text)", "<a href={item.uri}>"];
    for (const text of guilty) expect([text, Object.values(FORBIDDEN).some(({ pattern }) => pattern.test(text))]).toEqual([text, true]);
    for (const text of ["void refetch()", "queryClient.fetchQuery(x)", "isFetching", 'import createClient from "x"']) expect([text, Object.values(FORBIDDEN).some(({ pattern }) => pattern.test(text))]).toEqual([text, false]);
  });
});
