// What people's sockets are told beside the head and the feed (docs/cloudflare-protocol.md). The dashboard's types are made from these.
import { z } from "@hono/zod-openapi";
import { ALERT_KINDS } from "../alerts/evaluate.js";
import { NodeStatus } from "../schema/status.js";
import { ServerUsage } from "./usage.js";

const Down = z.object({ sequence: z.int(), nodes: z.array(z.string()), frozen: z.boolean() });

export const News = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("hello"),
      name: z.string().describe("as whom one is known"),
      down: Down,
      hints: z.object({ pingSeconds: z.number(), reconnectSpreadSeconds: z.number().optional() }).describe("how often to say ping, and within which time to come back after a loss"),
    }),
    Down.extend({ type: z.literal("down") }),
    z.object({
      type: z.literal("alert"),
      state: z.enum(["raised", "cleared", "acknowledged"]),
      key: z.string(),
      kind: z.enum(ALERT_KINDS).optional(),
      subject: z.string().optional(),
      message: z.string().optional(),
    }),
    z.object({ type: z.literal("usage"), node: z.string(), servers: z.array(ServerUsage) }),
    z.object({
      type: z.literal("log"),
      node: z.string(),
      namespace: z.string(),
      server: z.string(),
      lines: z.array(z.object({ time: z.string(), text: z.string(), stream: z.string().optional() })),
    }),
    z.object({ type: z.literal("status"), node: z.string(), status: NodeStatus }).describe("to who has not asked for the feed"),
    z.object({ type: z.literal("error"), message: z.string().describe("of what one said") }),
  ])
  .openapi("News");
export type News = z.infer<typeof News>;
