// What comes over a socket. Everything is bounded; what fits no schema is answered with an error and changes nothing.
import { z } from "zod";
import { USAGE_SERVERS } from "../limits.js";
import { Name } from "../schema/status.js";
import { Follow } from "./room.js";
import { Measure, ServerUsage } from "./usage.js";

const LogLine = z.strictObject({
  time: z.string().max(64),
  text: z.string().max(65_536),
  stream: z.string().max(16).optional(),
});
export type LogLine = z.infer<typeof LogLine>;

export const FromNode = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("status"),
    status: z.record(z.string(), z.unknown()),
    metadata: z.record(z.string(), z.unknown()).optional(),
  }),
  z.strictObject({ type: z.literal("nonce"), nonce: z.string().max(64) }),
  z.strictObject({
    type: z.literal("log"),
    namespace: Name,
    server: Name,
    lines: z.array(LogLine).max(1000),
  }),
  z.strictObject({ type: z.literal("usage"), servers: z.array(ServerUsage).max(USAGE_SERVERS) }),
]);
export type FromNode = z.infer<typeof FromNode>;

export const FromPerson = z.discriminatedUnion("type", [
  Follow.extend({ type: z.literal("follow") }),
  z.strictObject({ type: z.literal("unfollow") }),
  z.strictObject({ type: z.literal("measure"), ...Measure.shape }),
  z.strictObject({ type: z.literal("unmeasure") }),
  z.strictObject({ type: z.literal("sync"), since: z.string().max(64) }),
]);

export function parseMessage<T extends z.ZodType>(schema: T, text: string): z.output<T> | string {
  try {
    const result = schema.safeParse(JSON.parse(text));
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    return `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is not valid"}`;
  } catch {
    return "is not JSON";
  }
}
