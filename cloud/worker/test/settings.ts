// Settings of the Worker in tests. Read by vitest.config.ts in Node as well, so it imports nothing of the Worker.
import { createHash } from "node:crypto";
import { AUDIENCE, EXPIRED, OPERATOR, TEAM, VIEWER } from "./credentials.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

export const testSettings = {
  access: {
    team: TEAM,
    audience: [AUDIENCE],
    operators: { emails: ["Ops@example.com"], groups: ["fleet-operators"], serviceTokens: ["ci.access"] },
    viewers: { emails: ["eye@example.com"], groups: ["fleet-viewers"] },
  },
  tokens: [
    { name: "test operator", sha256: sha256(OPERATOR), role: "operator" },
    { name: "test viewer", sha256: sha256(VIEWER), role: "viewer" },
    { name: "old pipeline", sha256: sha256(EXPIRED), role: "operator", expires: "2020-01-01T00:00:00Z" },
  ],
  webhooks: [
    { url: "https://hooks.example.com/generic", format: "generic" },
    { url: "https://hooks.example.com/slack", format: "slack" },
    { url: "https://hooks.example.com/pagerduty", format: "pagerduty", routingKey: "pd-key" },
  ],
  routeJwt: { issuer: "https://login.example.com", audience: "mcp", jwksUri: "https://login.example.com/jwks.json" },
  logBytesPerMinute: 2_000_000,
  loopbackTunnels: true,
  dashboardOrigin: "https://fleet.pages.dev",
};
