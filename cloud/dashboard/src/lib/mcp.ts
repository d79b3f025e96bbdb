// A client of one server, by the official SDK through the Worker's route: what a person tries here is what any client sees.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import type { CallToolResult, CreateMessageRequest, CreateMessageResult, ElicitRequest, ElicitResult, Tool } from "@modelcontextprotocol/sdk/types.js";
import { withCookie, workerOrigin } from "../api/origin";
import { CfWorkerJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/cfworker";
import { Questions } from "./questions";

export type { CallToolResult, Tool };
// `over` aborts when the server has taken it back, or the call is over that it came with.
export type Asked = { id: string | number; over: AbortSignal } & (
  | { kind: "elicitation"; params: ElicitRequest["params"]; answer(result: ElicitResult): void }
  | { kind: "sampling"; params: CreateMessageRequest["params"]; answer(result: CreateMessageResult | undefined): void }
);

export interface Progress {
  progress: number;
  total?: number | undefined;
  message?: string | undefined;
}

// A page that is closed ends its session: the server need not wait for it until it is idle for long.
const outlive: typeof fetch = (input, init) => fetch(input, init?.method === "DELETE" ? { ...init, keepalive: true } : init);

const PAGES = 50; // of tools; a list without an end ends here

interface Session {
  client: Client;
  transport: StreamableHTTPClientTransport;
  connected?: Promise<void>;
}

// One that failed is tried again by who asks next.
function connect(session: Session): Promise<void> {
  session.connected ??= session.client.connect(session.transport as Parameters<Client["connect"]>[0]).catch((error: unknown) => {
    delete session.connected;
    throw error;
  });
  return session.connected;
}
async function close({ client, transport }: Session): Promise<void> {
  await transport.terminateSession().catch(() => undefined);
  await client.close().catch(() => undefined);
}

export class ToolClient {
  private session: Session;
  private readonly questions = new Questions();
  private calls = 0; // under way
  private stale = false; // another session is wanted when they are over

  // `ask` shows what the server asks of the person; `changed` is called when its tools are others.
  // `token`: what the server's own auth asks of its clients; "" for none.
  constructor(
    private readonly namespace: string,
    private readonly name: string,
    private readonly token: string,
    private readonly ask: (asked: Asked) => void,
    private readonly changed: () => void,
  ) {
    this.session = this.begin();
  }

  private begin(): Session {
    const { namespace, name, token, ask } = this;
    const transport = new StreamableHTTPClientTransport(new URL(`/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/mcp`, workerOrigin), {
      fetch: outlive,
      requestInit: { credentials: withCookie, ...(token === "" ? {} : { headers: { Authorization: `Bearer ${token}` } }) },
    });
    // The default validator compiles code, which the page's policy refuses.
    const client = new Client(
      { name: "mcpfleet-dashboard", version: "1" },
      { capabilities: { elicitation: { form: {} }, sampling: {} }, jsonSchemaValidator: new CfWorkerJsonSchemaValidator() },
    );
    client.setRequestHandler(ElicitRequestSchema, async ({ params }, { signal, requestId: id }): Promise<ElicitResult> => {
      const answered = await this.questions.put<ElicitResult>(signal, (answer, over) => ask({ kind: "elicitation", id, params, answer, over }));
      return answered ?? { action: "cancel" };
    });
    client.setRequestHandler(CreateMessageRequestSchema, async ({ params }, { signal, requestId: id }): Promise<CreateMessageResult> => {
      const declined = new Error("the person declined");
      const answered = await this.questions.put<CreateMessageResult | Error>(signal, (answer, over) => ask({ kind: "sampling", id, params, answer: (result) => answer(result ?? declined), over }));
      if (answered === undefined || answered instanceof Error) throw answered ?? new Error("the call is over");
      return answered;
    });
    client.setNotificationHandler(ToolListChangedNotificationSchema, this.changed);
    return { client, transport };
  }

  private async within<T>(deed: (client: Client) => Promise<T>): Promise<T> {
    const { session } = this;
    await connect(session);
    try {
      return await deed(session.client);
    } catch (error) {
      // Its session has ended (it was restarted, or nobody asked for long): nothing was done, and the protocol wants a new one.
      const gone = error instanceof StreamableHTTPError && error.code === 404;
      if (!gone && session === this.session) throw error;
      if (session === this.session) this.leave();
      const { session: next } = this;
      await connect(next);
      return deed(next.client);
    }
  }

  // From now on in another session.
  private leave(): void {
    void close(this.session);
    this.session = this.begin();
  }

  // The server is another one: what is asked from now on is asked of that, and the one before need not wait for this page.
  renew(): void {
    this.stale = this.calls > 0; // what was begun is finished where it was
    if (this.stale) return;
    this.leave();
    this.changed();
  }

  tools(): Promise<Tool[]> {
    return this.within(async (client) => {
      const tools: Tool[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PAGES; ++page) {
        const found = await client.listTools(cursor === undefined ? {} : { cursor });
        tools.push(...found.tools);
        cursor = found.nextCursor;
        if (cursor === undefined) break;
      }
      return tools;
    });
  }

  async call(name: string, args: Record<string, unknown>, progress: (progress: Progress) => void, signal: AbortSignal): Promise<CallToolResult> {
    const options = { onprogress: progress, signal, timeout: 10 * 60_000, resetTimeoutOnProgress: true };
    ++this.calls;
    try {
      return (await this.within((client) => this.questions.during(() => client.callTool({ name, arguments: args }, undefined, options)))) as CallToolResult;
    } finally {
      if (--this.calls === 0 && this.stale) this.renew();
    }
  }

  end(): Promise<void> {
    this.stale = false; // no other one for a call that ends by this
    return close(this.session);
  }
}
