// Names and labels go into addresses, keys and pages: whoever sends one that is none is refused, a node as well as an operator, wherever it comes in.
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ask, call, deviceToken, freshAccount, OPERATOR, putStatus, statusOf, VIEWER, watch } from "./kit.js";

freshAccount();

const HOSTILE = [`<img src=x onerror=alert(1)>`, `a"onmouseover="alert(1)`, "javascript:alert(1)", "../../-/servers", "..", "a/b", "a b", "Weather", "a\u202eb", "a\n", "-a", "", "a".repeat(64), "wéb", "%2e%2e"];
const status = (name: unknown, namespace: unknown = "default") => ({ ...statusOf("edge-1", 2), servers: [{ name, namespace, conditions: [] }] });

describe("a hostile name", () => {
  it("of a server in a status is refused, and what was known before stays", async () => {
    const token = await deviceToken("edge-1");
    expect((await putStatus("edge-1", token, statusOf("edge-1", 1, [{ name: "a" }]))).status).toBe(200);
    for (const name of HOSTILE) expect([name, (await putStatus("edge-1", token, status(name))).status]).toEqual([name, 400]);
    for (const namespace of HOSTILE.filter((each) => each !== "")) expect([namespace, (await putStatus("edge-1", token, status("a", namespace))).status]).toEqual([namespace, 400]);
    expect((await call("GET", "/v1/servers", { as: VIEWER })).result.map(({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`)).toEqual(["default/a"]);
  });

  it("of a server is refused on the socket too: as a status, as lines and as usage, and nobody is told of it", async () => {
    const token = await deviceToken("edge-1");
    const person = await watch(VIEWER);
    await person.message("hello");
    person.socket.send(JSON.stringify({ type: "sync", since: "" }));
    await person.message("state");
    const node = await watch(token);
    await node.message("hello");
    for (const name of HOSTILE) {
      for (const message of [
        { type: "status", status: status(name) },
        { type: "log", namespace: "default", server: name, lines: [{ time: "2026-11-28T00:00:00Z", text: "x" }] },
        { type: "log", namespace: name, server: "a", lines: [{ time: "2026-11-28T00:00:00Z", text: "x" }] },
        { type: "usage", servers: [{ namespace: "default", server: name, samples: [] }] },
        { type: "usage", servers: [{ namespace: name, server: "a", samples: [] }] },
      ]) {
        node.socket.send(JSON.stringify(message));
        expect([name, message.type, (await node.message("error")).message]).toEqual([name, message.type, expect.stringContaining("RFC 1123")]);
      }
    }
    node.socket.send(JSON.stringify({ type: "status", status: { ...statusOf("edge-1", 3), servers: [{ namespace: "default", name: "told", conditions: [] }] } }));
    await person.next((text) => text.includes('"told"'));
    for (const name of HOSTILE.filter((each) => each.length > 2 && each !== "Weather")) expect(person.texts.join("")).not.toContain(JSON.stringify(name).slice(1, -1));
  });

  it("or anything else of a status that is none of what it should be is shown to nobody, the rest is", async () => {
    const token = await deviceToken("edge-1");
    const conditions = [{ type: "Ready", status: "True", reason: "Ready", message: "m" }];
    const whole = { namespace: "default", name: "a", conditions, serverInfo: { name: "n" }, instances: [{ id: "i", state: "Running" }], restarts: { count: 1, stderrTail: "t" } };
    const seen = async (sequence: number, server: object) => {
      await putStatus("edge-1", token, { ...statusOf("edge-1", sequence), servers: [server] });
      return (await call("GET", "/v1/servers/default/a", { as: VIEWER })).result[0].status;
    };
    expect(await seen(1, whole)).toEqual(whole);
    for (const [index, wrong] of [{ instances: "x" }, { instances: [{ id: {} }] }, { restarts: { count: 1, stderrTail: { a: 1 } } }, { imageDigest: [] }].entries()) {
      const { instances, imageDigest, restarts, ...rest } = await seen(index + 2, { ...whole, ...wrong });
      expect([instances, imageDigest, restarts.count, restarts.stderrTail]).toEqual([undefined, undefined, 1, undefined]);
      expect(rest).toMatchObject({ namespace: "default", name: "a", conditions, serverInfo: { name: "n" } });
    }
  });

  it("of a server makes a stored line none", async () => {
    const token = await deviceToken("edge-1");
    const time = new Date(Date.now() - 1000).toISOString();
    const line = (server: string, namespace = "default") => JSON.stringify({ time, namespace, server, stream: "stdout", text: `of ${server}` });
    const bad = HOSTILE.filter((each) => each !== "");
    const chunk = gzipSync([line("a"), ...bad.map((name) => line(name)), ...bad.map((name) => line("a", name)), line("b")].join("\n"));
    expect((await ask("PUT", "/v1/logs/edge-1/boot-1", { as: token, body: chunk, headers: { "Mcpfleet-First": time, "Mcpfleet-Last": time } })).status).toBe(200);
    const { result } = await call("GET", "/v1/logs", { as: VIEWER });
    expect(result.map(({ server }: { server: string }) => server)).toEqual(["a", "b"]);
  });

  it("of a node gets no token, no join, no place and no status", async () => {
    for (const name of HOSTILE.filter((each) => !["", ".."].includes(each))) {
      const path = encodeURIComponent(name);
      const made = await call("POST", `/v1/nodes/${path}/tokens`);
      expect([name, made.status]).toEqual([name, 400]);
      for (const deed of ["rotate", "revoke", "cordon", "drain"]) expect([name, deed, (await call("POST", `/v1/nodes/${path}/${deed}`)).status]).toEqual([name, deed, 400]);
      expect([name, (await call("PATCH", `/v1/nodes/${path}`, { body: { tunnel: "https://a.example.com" } })).status]).toEqual([name, 400]);
      expect([name, (await call("PUT", `/v1/joins/${"a".repeat(32)}`, { body: { node: name } })).status]).toEqual([name, 400]);
    }
    expect((await call("GET", "/v1/nodes")).result).toEqual([]);
    expect((await call("GET", "/v1/joins")).result).toEqual([]);
    const token = await deviceToken("edge-1");
    for (const name of HOSTILE) expect([name, (await putStatus("edge-1", token, { ...statusOf("edge-1", 1), node: name })).status]).toEqual([name, 400]);
  });

  it("or label of an object is refused, whoever applies it", async () => {
    const server = (metadata: object) => ({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPServer", metadata: { name: "a", ...metadata }, spec: { source: { image: { ref: "ghcr.io/example/a:1" } } } });
    const apply = async (object: object) => (await call("POST", "/v1/changes", { as: OPERATOR, body: { message: "", set: [object] } })).status;
    for (const text of HOSTILE) {
      expect([text, await apply(server({ name: text }))]).toEqual([text, 400]);
      if (text !== "") expect([text, await apply(server({ namespace: text }))]).toEqual([text, 400]);
      expect([text, await apply({ apiVersion: "mcpfleet.dev/v1alpha1", kind: "MCPNode", metadata: { name: text } })]).toEqual([text, 400]);
    }
    const markup = HOSTILE.filter((each) => /[<"/:\s\u202e]/.test(each));
    for (const text of markup) {
      expect([text, await apply(server({ labels: { tier: text } }))]).toEqual([text, 400]);
      if (text !== "a/b") expect([text, await apply(server({ labels: { [text]: "gold" } }))]).toEqual([text, 400]);
    }
    const join = async (labels: object) => (await call("PUT", `/v1/joins/${"a".repeat(32)}`, { body: { node: "edge-1", labels } })).status;
    for (const text of markup) {
      expect([text, await join({ tier: text })]).toEqual([text, 400]);
      if (text !== "a/b") expect([text, await join({ [text]: "gold" })]).toEqual([text, 400]);
    }
    expect(await join({ tier: "gold", "example.com/site": "" })).toBe(200);
    expect(await apply(server({ labels: { tier: "gold", "example.com/site": "" } }))).toBe(200);
  });
});
