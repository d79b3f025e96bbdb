// What the Worker is given: bindings, secrets and one JSON of settings. No id of an account stands in code.
import { z } from "zod";
import type { Fleet } from "./fleet/fleet.js";
import type { Hub } from "./hub/hub.js";
import { LOG_BYTES_PER_MINUTE, PING_SECONDS_LEAST } from "./limits.js";

export interface Env {
  CONFIG: KVNamespace;
  DEVICE_TOKENS: KVNamespace;
  SERVER_STATE: KVNamespace;
  LOGS: R2Bucket;
  FLEET: DurableObjectNamespace<Fleet>;
  HUB: DurableObjectNamespace<Hub>;
  // The dashboard's files; without them there is none.
  ASSETS?: Fetcher;
  // Absent on a machine of one's own, where each would be a request to a simulator.
  RATE_ADDRESS?: RateLimit;
  RATE_IDENTITY?: RateLimit;
  // JSON of Settings; "{}" allows nobody but enrolled nodes.
  SETTINGS: string;
  // Secret: signs session ids of routed MCP and of browsers, at least 32 characters. Without it both are off.
  SESSION_KEY?: string;
  // Secret: signs bodies of webhooks.
  WEBHOOK_KEY?: string;
  // Secrets: the Access service token that opens the nodes' tunnels.
  TUNNEL_CLIENT_ID?: string;
  TUNNEL_CLIENT_SECRET?: string;
  // Secret: JSON list of the tokens of operators and pipelines, hashes only (see Settings.tokens, which it adds to).
  API_TOKENS?: string;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}
type Bindings = Env;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

// A token of a person or a pipeline. Only its hash is known here.
const ApiToken = z.strictObject({
  name: z.string().min(1).max(64),
  sha256: Sha256,
  role: z.enum(["viewer", "operator"]),
  // RFC 3339; left out: never.
  expires: z.iso.datetime().optional(),
});
export type ApiToken = z.infer<typeof ApiToken>;

// Who has a role by Cloudflare Access: e-mail addresses, groups of the identity provider, names of service tokens.
const Members = z.strictObject({
  emails: z.array(z.string().max(254)).max(1000).default([]),
  groups: z.array(z.string().max(256)).max(1000).default([]),
  serviceTokens: z.array(z.string().max(256)).max(100).default([]),
});

const Webhook = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).max(2048),
  format: z.enum(["generic", "slack", "pagerduty"]),
  // PagerDuty's integration key.
  routingKey: z.string().max(128).optional(),
});
export type Webhook = z.infer<typeof Webhook>;

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);
const isOrigin = (text: string): boolean => {
  const url = new URL(text);
  return text === url.origin && (url.protocol === "https:" || LOOPBACK.has(url.hostname));
};

const Settings = z.strictObject({
  access: z
    .strictObject({
      // "https://<team>.cloudflareaccess.com": issuer of the JWT, and where its keys are.
      team: z.url({ protocol: /^https?$/ }).max(256),
      // AUD tags of the Access applications in front.
      audience: z.array(z.string().min(1).max(128)).min(1).max(10),
      operators: Members.prefault({}),
      viewers: Members.prefault({}),
    })
    .optional(),
  tokens: z.array(ApiToken).max(100).default([]),
  // A further issuer for clients of routed MCP.
  routeJwt: z
    .strictObject({
      issuer: z.url().max(512),
      audience: z.string().min(1).max(512),
      jwksUri: z.url({ protocol: /^https?$/ }).max(512),
    })
    .optional(),
  // Where the dashboard is served too, at an origin of its own (docs/dashboard.md); the one origin that CORS allows.
  dashboardOrigin: z
    .url({ protocol: /^https?$/ })
    .max(256)
    .refine((text) => isOrigin(text), "must be an https origin without a path, as https://fleet.pages.dev (http on loopback only)")
    .optional(),
  webhooks: z.array(Webhook).max(10).default([]),
  // Sockets of nodes are spread over this many Hub objects; 0 keeps them on the Fleet object (good for a few thousand).
  hubs: z.int().min(0).max(256).default(0),
  // Life of a device token in days; alerts come before the end.
  tokenDays: z.int().min(1).max(3650).default(365),
  logRetentionDays: z.int().min(1).max(3650).default(30),
  // What a node may upload of logs: bytes a minute, of compressed chunks. 20 MB of lines a second, which a node ships, are 2.7 MB compressed.
  logBytesPerMinute: z
    .int()
    .min(1024)
    .default(LOG_BYTES_PER_MINUTE),
  // Seconds without a sign of life until a node is down and others take its replicas, and of steady ones until it is up.
  downAfterSeconds: z
    .int()
    .min(3 * PING_SECONDS_LEAST)
    .max(3600)
    .default(90),
  upAfterSeconds: z.int().min(0).max(3600).default(120),
  // Minutes that a server may be not Ready before an alert.
  notReadyMinutes: z.int().min(1).max(1440).default(5),
  // Host names of tunnels must end in one of these. Empty: any name that an operator sets.
  tunnelSuffixes: z.array(z.string().max(253)).max(100).default([]),
  // For development and tests: tunnels may be http URLs on loopback.
  loopbackTunnels: z.boolean().default(false),
});
export type Settings = z.infer<typeof Settings>;

let parsed: { text: string; settings: Settings } | undefined;

// The settings, parsed once per isolate. Throws when they are wrong: a Worker that guessed would let somebody in.
export function settingsOf(env: Env): Settings {
  const text = `${env.SETTINGS}\n${env.API_TOKENS ?? ""}`;
  if (parsed?.text === text) return parsed.settings;
  const settings = Settings.parse(JSON.parse(env.SETTINGS || "{}"));
  if (env.API_TOKENS) settings.tokens.push(...z.array(ApiToken).max(100).parse(JSON.parse(env.API_TOKENS)));
  parsed = { text, settings };
  return settings;
}

// There is one fleet per Worker, so one object, found by name.
export function fleetOf(env: Env): DurableObjectStub<Fleet> {
  return env.FLEET.get(env.FLEET.idFromName("fleet"));
}
