// A client of one server, by the official SDK through the Worker's route: what a person tries here is what any client sees.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import type { CallToolResult, CreateMessageRequest, CreateMessageResult, ElicitRequest, ElicitResult, Tool } from "@modelcontextprotocol/sdk/types.js";
import { withCookie, workerOrigin } from "../api/origin";
import { CfWorkerJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/cfworker";

export type { CallToolResult, Tool };
export type Asked =
  | { kind: "elicitation"; params: ElicitRequest["params"]; answer(result: ElicitResult): void }
  | { kind: "sampling"; params: CreateMessageRequest["params"]; answer(result: CreateMessageResult | undefined): void };

export interface Progress {
  progress: number;
  total?: number | undefined;
  message?: string | undefined;
}

const PAGES = 50; // of tools; a list without an end ends here

export class ToolClient {
  private readonly client: Client;
  private readonly transport: StreamableHTTPClientTransport;

  // `ask` shows what the server asks of the person; `changed` is called when its tools are others.
  // `token`: what the server's own auth asks of its clients; "" for none.
  constructor(namespace: string, name: string, token: string, ask: (asked: Asked) => void, changed: () => void) {
    this.transport = new StreamableHTTPClientTransport(new URL(`/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/mcp`, workerOrigin), {
      requestInit: { credentials: withCookie, ...(token === "" ? {} : { headers: { Authorization: `Bearer ${token}` } }) },
    });
    // The default validator compiles code, which the page's policy refuses.
    this.client = new Client(
      { name: "mcpfleet-dashboard", version: "1" },
      { capabilities: { elicitation: { form: {} }, sampling: {} }, jsonSchemaValidator: new CfWorkerJsonSchemaValidator() },
    );
    this.client.setRequestHandler(ElicitRequestSchema, ({ params }) => new Promise<ElicitResult>((answer) => ask({ kind: "elicitation", params, answer })));
    this.client.setRequestHandler(
      CreateMessageRequestSchema,
      ({ params }) =>
        new Promise<CreateMessageResult>((resolve, reject) =>
          ask({ kind: "sampling", params, answer: (result) => (result === undefined ? reject(new Error("the person declined")) : resolve(result)) }),
        ),
    );
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
    const result = await this.client.callTool({ name, arguments: args }, undefined, { onprogress: progress, signal, timeout: 10 * 60_000, resetTimeoutOnProgress: true });
    return result as CallToolResult;
  }

  async end(): Promise<void> {
    await this.transport.terminateSession().catch(() => undefined);
    await this.client.close().catch(() => undefined);
  }
}
