// A client of one server, by the official SDK through the Worker's route: what a person tries here is what any client sees.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
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

export class ToolClient {
  private readonly client: Client;
  private readonly transport: StreamableHTTPClientTransport;
  private readonly questions = new Questions();

  // `ask` shows what the server asks of the person; `changed` is called when its tools are others.
  // `token`: what the server's own auth asks of its clients; "" for none.
  constructor(namespace: string, name: string, token: string, ask: (asked: Asked) => void, changed: () => void) {
    this.transport = new StreamableHTTPClientTransport(new URL(`/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/mcp`, workerOrigin), {
      fetch: outlive,
      requestInit: { credentials: withCookie, ...(token === "" ? {} : { headers: { Authorization: `Bearer ${token}` } }) },
    });
    // The default validator compiles code, which the page's policy refuses.
    this.client = new Client(
      { name: "mcpfleet-dashboard", version: "1" },
      { capabilities: { elicitation: { form: {} }, sampling: {} }, jsonSchemaValidator: new CfWorkerJsonSchemaValidator() },
    );
    this.client.setRequestHandler(ElicitRequestSchema, async ({ params }, { signal, requestId: id }): Promise<ElicitResult> => {
      const answered = await this.questions.put<ElicitResult>(signal, (answer, over) => ask({ kind: "elicitation", id, params, answer, over }));
      return answered ?? { action: "cancel" };
    });
    this.client.setRequestHandler(CreateMessageRequestSchema, async ({ params }, { signal, requestId: id }): Promise<CreateMessageResult> => {
      const declined = new Error("the person declined");
      const answered = await this.questions.put<CreateMessageResult | Error>(signal, (answer, over) => ask({ kind: "sampling", id, params, answer: (result) => answer(result ?? declined), over }));
      if (answered === undefined || answered instanceof Error) throw answered ?? new Error("the call is over");
      return answered;
    });
    this.client.setNotificationHandler(ToolListChangedNotificationSchema, changed);
  }

  async tools(): Promise<Tool[]> {
    if (this.client.transport === undefined) await this.client.connect(this.transport as Parameters<Client["connect"]>[0]);
    const tools: Tool[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < PAGES; ++page) {
      const found = await this.client.listTools(cursor === undefined ? {} : { cursor });
      tools.push(...found.tools);
      cursor = found.nextCursor;
      if (cursor === undefined) break;
    }
    return tools;
  }

  async call(name: string, args: Record<string, unknown>, progress: (progress: Progress) => void, signal: AbortSignal): Promise<CallToolResult> {
    const options = { onprogress: progress, signal, timeout: 10 * 60_000, resetTimeoutOnProgress: true };
    return (await this.questions.during(() => this.client.callTool({ name, arguments: args }, undefined, options))) as CallToolResult;
  }

  async end(): Promise<void> {
    await this.transport.terminateSession().catch(() => undefined);
    await this.client.close().catch(() => undefined);
  }
}
