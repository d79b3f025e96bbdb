import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { testSettings } from "./test/settings.js";

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.jsonc" },
      miniflare: {
        bindings: {
          SETTINGS: JSON.stringify(testSettings),
          SESSION_KEY: "test-session-key-0123456789abcdef0123456789",
          WEBHOOK_KEY: "test-webhook-key",
        },
        // The limits have a test of their own; elsewhere they must not be in the way.
        ratelimits: {
          RATE_ADDRESS: { namespace_id: "7001", simple: { limit: 1_000_000, period: 60 } },
          RATE_IDENTITY: { namespace_id: "7002", simple: { limit: 1_000_000, period: 60 } },
        },
      },
    }),
  ],
  test: { include: ["test/**/*.test.ts"], testTimeout: 20_000 },
});
