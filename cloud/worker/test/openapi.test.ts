import { describe, expect, it } from "vitest";
import { makeApp } from "../src/app.js";
import { ask, bindings, freshAccount } from "./kit.js";
import { settingsOf } from "../src/env.js";

freshAccount();

describe("the OpenAPI description", () => {
  it("has every route, with who may use it", async () => {
    const response = await ask("GET", "/v1/openapi.json", { as: "" });
    const document = (await response.json()) as {
      openapi: string;
      paths: Record<
        string,
        Record<string, { security: unknown[]; responses: object; parameters?: { name: string }[] }>
      >;
    };
    expect(document.openapi).toBe("3.1.0");
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const registered = makeApp()
      .routes.filter((route) => route.method !== "ALL")
      .map((route) => `${route.method} ${route.path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(described.sort()).toEqual([...new Set(registered)].sort());
    expect(document.paths["/v1/joins/{id}/redeem"]!.post!.security).toEqual([]);
    expect(document.paths["/v1/nodes"]!.get!.security).not.toEqual([]);
    expect(document.paths["/v1/nodes/{node}"]!.patch!.parameters!.map((parameter) => parameter.name)).toEqual(["node"]);
  });
});

describe("settings", () => {
  it("that are wrong let nobody in", () => {
    for (const text of [
      "{",
      '{"other":1}',
      '{"tokens":[{"name":"x","sha256":"short","role":"operator"}]}',
      '{"access":{"team":"https://t.example","audience":[]}}',
      '{"dashboardOrigin":"*"}',
      '{"dashboardOrigin":"https://fleet.pages.dev/"}',
      '{"dashboardOrigin":"https://*.pages.dev/x"}',
      '{"dashboardOrigin":"http://fleet.pages.dev"}',
      '{"dashboardOrigin":"null"}',
    ]) {
      expect(() => settingsOf({ ...bindings, SETTINGS: text })).toThrow();
    }
    expect(settingsOf({ ...bindings, SETTINGS: "{}" })).toMatchObject({ tokens: [], webhooks: [], hubs: 0 });
    const secret = JSON.stringify([{ name: "ci", sha256: "0".repeat(64), role: "viewer" }]);
    expect(settingsOf({ ...bindings, SETTINGS: "{}", API_TOKENS: secret }).tokens).toHaveLength(1);
  });
});
