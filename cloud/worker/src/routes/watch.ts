// /v1/watch: the push. See docs/cloudflare-protocol.md for the messages.
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Caller } from "../auth/caller.js";
import { type Env, fleetOf, settingsOf } from "../env.js";
import { type Attachment, SUBPROTOCOL } from "../fleet/room.js";
import { CODE, Refusal } from "../http/envelope.js";
import type { AppEnv } from "../http/guard.js";
import { addRoute } from "./add.js";
import { sha256Hex } from "../schema/hash.js";

// Where the socket of this caller is held: people at the Fleet object, nodes spread over the Hub objects if there are any.
function placeOf(env: Env, caller: Caller): { fetch(request: Request): Promise<Response> } {
  const { hubs } = settingsOf(env);
  if (caller.kind !== "device" || hubs === 0) return fleetOf(env);
  const index = Number.parseInt(sha256Hex(caller.node).slice(0, 8), 16) % hubs;
  return env.HUB.get(env.HUB.idFromName(`hub-${index}`));
}

export function addWatchRoute(app: OpenAPIHono<AppEnv>): void {
  addRoute(
    app,
    {
      method: "get",
      path: "/v1/watch",
      tag: "push",
      summary:
        "A WebSocket: the head at once and after each move; with the subprotocol mcpfleet.v1 also the rest of the news",
      rule: { device: "any", viewer: true, operator: true, strong: true },
      responses: { 101: { description: "the socket" }, 426: { description: "not a WebSocket" } },
    },
    async (c) => {
      if (c.req.header("Upgrade")?.toLowerCase() !== "websocket")
        throw new Refusal(426, CODE.badRequest, "this is a WebSocket", { Upgrade: "websocket" });
      const caller = c.get("caller");
      const asked = (c.req.header("Sec-WebSocket-Protocol") ?? "").split(",").map((name) => name.trim());
      const plain = !asked.includes(SUBPROTOCOL);
      const attachment: Attachment = {
        name: caller.name,
        plain,
        connectedAt: Date.now(),
        // A node that gets a new token connects with it, and this socket ends.
        ...(caller.expires === undefined ? {} : { expires: caller.expires }),
        ...(caller.kind === "device" ? { node: caller.node, tokenHash: caller.tokenHash } : { statuses: !plain }),
      };
      const headers: Record<string, string> = {
        Upgrade: "websocket",
        "Mcpfleet-Attachment": JSON.stringify(attachment),
      };
      const nonce = c.req.header("Mcpfleet-Nonce");
      if (nonce !== undefined) headers["Mcpfleet-Nonce"] = nonce.slice(0, 64);
      return placeOf(c.env, caller).fetch(new Request("https://fleet/watch", { headers }));
    },
  );
}
