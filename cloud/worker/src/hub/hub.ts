// Sockets of a part of the nodes, for fleets whose sockets are too many for one object. It decides nothing: what its
// nodes say goes to the Fleet object, what that tells comes through here.
import { DurableObject } from "cloudflare:workers";
import { type Env, fleetOf } from "../env.js";
import { type Attachment, isAcceptable, type Liveness, Room, SUBPROTOCOL } from "../fleet/room.js";

export class Hub extends DurableObject<Env> {
  private readonly room: Room;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.room = new Room(ctx);
  }

  override async fetch(request: Request): Promise<Response> {
    const attachment = JSON.parse(request.headers.get("Mcpfleet-Attachment") ?? "{}") as Attachment;
    if (this.room.isFull(attachment)) return new Response("too many watchers", { status: 503 });
    const { client, server } = this.room.accept(attachment);
    // After the registration, so that no move falls in between; a head told twice is harmless.
    const opening = await fleetOf(this.env).open(attachment, request.headers.get("Mcpfleet-Nonce") ?? "");
    if (opening === null) server.close(1008, "token revoked or expired");
    for (const text of opening?.texts ?? []) server.send(text);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: attachment.plain ? {} : { "Sec-WebSocket-Protocol": SUBPROTOCOL },
    });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (!isAcceptable(socket, message)) return;
    const { node, tokenHash } = Room.attachmentOf(socket);
    const answer = await fleetOf(this.env).fromNode(node!, tokenHash ?? "", message);
    if (answer !== null) socket.send(JSON.stringify(answer));
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
  }

  override async webSocketError(): Promise<void> {
    // The socket is gone; its node is judged by its silence.
  }

  async broadcastHead(body: string, etag: string, values: readonly string[]): Promise<void> {
    this.room.broadcastHead(body, etag, values);
  }
  async sendToNode(node: string, message: unknown): Promise<void> {
    this.room.sendToNode(node, message);
  }
  async sendToNodes(message: unknown): Promise<void> {
    this.room.sendToNodes(message);
  }
  async liveness(): Promise<Liveness[]> {
    return this.room.liveness();
  }
  async closeSockets(which: { node?: string; hashes?: string[] }, reason: string): Promise<void> {
    this.room.closeSockets(which, reason);
  }
  async closeExpired(now: number): Promise<void> {
    this.room.closeExpired(now);
  }
}
