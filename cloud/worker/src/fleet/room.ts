// The hibernating sockets of one object, Fleet or Hub. What must survive hibernation is in each socket's attachment.
//
// A plain client (an mcplet as it speaks to the embedded store) gets heads only, each as the bytes of the head. A
// client that asks for the subprotocol "mcpfleet.v1" also gets objects with a member "type", which no head has.
import { z } from "zod";
import { LOOKS, LOOKS_MS, SOCKET_BYTES, SOCKETS_OF_A_NODE, SOCKETS_OF_A_PERSON, WATCHERS } from "../limits.js";
import { Name } from "../schema/status.js";
import type { FeedDelta } from "./feed.js";
import type { News } from "./news.js";
import { type Measure, measuredOf, type Measured, partFor, type ServerUsage } from "./usage.js";

export const SUBPROTOCOL = "mcpfleet.v1";

export interface Attachment {
  node?: string; // of a device
  tokenHash?: string;
  name: string; // who it is, for people
  plain: boolean;
  connectedAt: number;
  expires?: number; // milliseconds; then it is closed
  head?: string; // etag of the head that it was sent
  statuses?: boolean; // wants statuses of nodes
  feed?: boolean; // wants deltas instead of them
  follows?: Follow; // wants lines of logs
  measures?: Measure; // wants what servers use
}

export const Follow = z.strictObject({
  namespace: Name,
  server: Name,
  node: Name.optional(),
});
export type Follow = z.infer<typeof Follow>;

export interface Liveness {
  node: string;
  last: number;
}

export class Room {
  // How often each person has looked at something else of late. Forgotten when the object sleeps, and then it was long ago.
  private readonly looks = new WeakMap<WebSocket, { since: number; count: number }>();

  constructor(private readonly ctx: DurableObjectState) {
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  // Nobody takes the places of all others.
  isFull({ node, name }: Attachment): boolean {
    if (this.ctx.getWebSockets().length >= WATCHERS) return true;
    return node === undefined && this.ctx.getWebSockets(Room.tagOf(name)).length >= SOCKETS_OF_A_PERSON;
  }

  // A tag has at most 256 characters; who shares one shares its places.
  private static tagOf(name: string): string {
    return `person:${name.slice(0, 200)}`;
  }

  accept(attachment: Attachment): { client: WebSocket; server: WebSocket } {
    // Half-open ones of a node that came back; two machines with one node's credentials hold two.
    const before = attachment.node === undefined ? [] : this.ctx.getWebSockets(`node:${attachment.node}`);
    before.sort((a, b) => Room.attachmentOf(a).connectedAt - Room.attachmentOf(b).connectedAt);
    for (const old of before.slice(0, Math.max(0, before.length + 1 - SOCKETS_OF_A_NODE)))
      old.close(1008, "too many sockets of this node");
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, attachment.node === undefined ? ["people", Room.tagOf(attachment.name)] : ["nodes", `node:${attachment.node}`]);
    server.serializeAttachment(attachment);
    return { client, server };
  }

  static attachmentOf(socket: WebSocket): Attachment {
    return socket.deserializeAttachment() as Attachment;
  }

  hasOther(node: string, than: WebSocket): boolean {
    return this.ctx
      .getWebSockets(`node:${node}`)
      .some((socket) => socket !== than && socket.readyState === WebSocket.OPEN);
  }

  // Sends the head to every socket that has not got it, and before it to nodes the values that it names.
  broadcastHead(body: string, etag: string, values: readonly string[]): void {
    const news = values.length === 0 ? undefined : JSON.stringify({ type: "values", values });
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = Room.attachmentOf(socket);
      if (attachment.head === etag) continue;
      if (news !== undefined && attachment.node !== undefined && !attachment.plain) trySend(socket, news);
      if (!trySend(socket, body)) continue;
      socket.serializeAttachment({ ...attachment, head: etag });
    }
  }

  sendToNode(node: string, message: unknown): void {
    const text = JSON.stringify(message);
    for (const socket of this.ctx.getWebSockets(`node:${node}`))
      if (!Room.attachmentOf(socket).plain) trySend(socket, text);
  }

  sendToNodes(message: unknown): void {
    const text = JSON.stringify(message);
    for (const socket of this.ctx.getWebSockets("nodes")) if (!Room.attachmentOf(socket).plain) trySend(socket, text);
  }

  sendToPeople(message: News | FeedDelta, wants: (attachment: Attachment) => boolean): void {
    let text: string | undefined;
    for (const socket of this.ctx.getWebSockets("people")) {
      if (wants(Room.attachmentOf(socket))) trySend(socket, (text ??= JSON.stringify(message)));
    }
  }

  hasFeed(): boolean {
    return this.ctx.getWebSockets("people").some((socket) => Room.attachmentOf(socket).feed === true);
  }

  follows(): Follow[] {
    return this.people().flatMap((socket) => Room.attachmentOf(socket).follows ?? []);
  }

  // Those that are still there: one that closes may be listed for a while.
  private people(): WebSocket[] {
    return this.ctx.getWebSockets("people").filter((socket) => socket.readyState === WebSocket.OPEN);
  }

  // Ends the look of who has not said `ping` for `silentMs`: a cable that was pulled closes nothing, and the nodes would go on measuring.
  // Whether there was one.
  endSilentLooks(now: number, silentMs: number): boolean {
    let any = false;
    for (const socket of this.people()) {
      const { measures, ...rest } = Room.attachmentOf(socket);
      const last = Math.max(this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0, rest.connectedAt);
      if (measures === undefined || now - last < silentMs) continue;
      socket.serializeAttachment(rest);
      any = true;
    }
    return any;
  }

  // What people look at; `fresh` (or everybody, without one) has nothing yet.
  measured(fresh?: WebSocket | "all"): Measured[] {
    return measuredOf(
      this.people().flatMap((socket) => {
        const { measures } = Room.attachmentOf(socket);
        return measures === undefined ? [] : [{ at: measures, isNew: fresh === "all" || fresh === socket }];
      }),
    );
  }

  // To each who looks, what he looks at.
  sendUsage(node: string, servers: readonly ServerUsage[]): void {
    for (const socket of this.ctx.getWebSockets("people")) {
      const { measures } = Room.attachmentOf(socket);
      const part = measures === undefined ? [] : partFor(measures, node, servers);
      if (part.length > 0) trySend(socket, JSON.stringify({ type: "usage", node, servers: part }));
    }
  }

  // Whether a person may look at something else now.
  mayLook(socket: WebSocket, now: number): boolean {
    const look = this.looks.get(socket);
    if (look === undefined || now - look.since >= LOOKS_MS) this.looks.set(socket, { since: now, count: 1 });
    else if (++look.count > LOOKS) return false;
    return true;
  }

  // Those of a node, or of these tokens.
  closeSockets(which: { node?: string; hashes?: string[] }, reason: string): void {
    const hashes = new Set(which.hashes ?? []);
    this.close(
      (to) =>
        (to.tokenHash !== undefined && hashes.has(to.tokenHash)) ||
        (which.node !== undefined && to.node === which.node),
      reason,
    );
  }

  closeExpired(now: number): void {
    this.close((to) => to.expires !== undefined && to.expires <= now, "credentials expired");
  }

  // A policy violation (RFC 6455 §7.4.1), as the embedded store closes a revoked token's socket.
  private close(matches: (attachment: Attachment) => boolean, reason: string): void {
    for (const socket of this.ctx.getWebSockets()) {
      if (matches(Room.attachmentOf(socket))) socket.close(1008, reason);
    }
  }

  liveness(): Liveness[] {
    return this.ctx.getWebSockets("nodes").map((socket) => {
      const { node, connectedAt, plain } = Room.attachmentOf(socket);
      const pong = this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
      // A plain client sends no text pings: that its socket is open is all there is to see.
      return { node: node!, last: plain ? Date.now() : Math.max(pong, connectedAt) };
    });
  }
}

// Text of a bounded size; closes the socket of anything else (RFC 6455 §7.4.1).
export function isAcceptable(socket: WebSocket, message: string | ArrayBuffer): message is string {
  if (typeof message !== "string") socket.close(1003, "text only");
  else if (message.length > SOCKET_BYTES) socket.close(1009, "message too big");
  else return true;
  return false;
}

function trySend(socket: WebSocket, text: string): boolean {
  try {
    socket.send(text);
    return true;
  } catch {
    return false; // closing: its client connects again and gets the head then
  }
}
