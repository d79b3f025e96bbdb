// An MCP server over stdio that speaks 2025-11-25 and before: what the conformance suite asks of such a server, written
// with the 1.x SDK. The tools test_input_required_result_* do in this era's way (a request to the client while the tool
// runs) what their names promise in the next one, so that a gateway can be seen to translate.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListRootsResultSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

import * as content from './content.mjs';
import { ask, pause, text } from './content.mjs';

const kResults = {
  'elicitation/create': ElicitResultSchema,
  'sampling/createMessage': CreateMessageResultSchema,
  'roots/list': ListRootsResultSchema,
};
const kNeeds = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

const server = new Server(
  { name: 'mcpfleet-legacy-fixture', version: '1.0.0' },
  {
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
      completions: {},
    },
    instructions: 'A fixture: its tools do what their names say.',
  },
);
const watched = new Set();
let extra_tool = false, extra_prompt = false;

const say = (value) => ({ content: [text(value)] });
const fail = (value) => ({ isError: true, ...say(value) });
const able = (method) => server.getClientCapabilities()?.[kNeeds[method]] !== undefined;
// Asks whether the client has said that it can answer or not.
const request = (question, call) => call.sendRequest(question, kResults[question.method]);
// Asks only who can answer; what `then` makes of the answer is the tool's result.
async function asking(question, call, then) {
  if (!able(question.method)) return fail(`the client has no ${kNeeds[question.method]}`);
  return then(await request(question, call));
}
const form = (message, requestedSchema) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema },
});
const outcome = (answer) => `action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`;
const log = (data) => server.sendLoggingMessage({ level: 'info', logger: 'fixture', data });
async function progress(call, done) {
  const progressToken = call._meta?.progressToken;
  if (progressToken === undefined) return;
  await call.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: done, total: 100 } });
}

const kCalls = {
  async test_tool_with_logging() {
    await log('Tool execution started');
    await pause(50);
    await log('Tool processing data');
    await pause(50);
    await log('Tool execution completed');
    return say('logged three times');
  },
  async test_tool_with_progress(_, call) {
    await progress(call, 0);
    await pause(50);
    await progress(call, 50);
    await pause(50);
    await progress(call, 100);
    return say(`progress of ${JSON.stringify(call._meta?.progressToken ?? null)}`);
  },
  async test_reconnection() {
    await pause(300);
    return say('Reconnection test completed');
  },
  test_sampling: ({ prompt }, call) =>
    asking(ask.model(prompt), call, (answer) => say(`LLM response: ${answer.content.text}`)),
  test_elicitation: ({ message }, call) =>
    asking(form(message, content.kAddressForm), call, (answer) => say(`User response: <${outcome(answer)}>`)),
  test_elicitation_sep1034_defaults: (_, call) =>
    asking(form('Please look at the defaults', content.kDefaultsForm), call, (answer) =>
      say(`Elicitation completed: ${outcome(answer)}`)),
  test_elicitation_sep1330_enums: (_, call) =>
    asking(form('Please choose', content.kEnumsForm), call, (answer) => say(`Elicitation completed: ${outcome(answer)}`)),

  async test_missing_capability(_, call) {
    const answer = await request(ask.model('Are you there?'), call);
    return say(answer.content.text);
  },
  async test_streaming_elicitation(_, call) {
    await progress(call, 50);
    return asking(ask.name(), call, (answer) => say(outcome(answer)));
  },
  async test_progress_around_input(_, call) {
    await progress(call, 10);
    return asking(ask.name(), call, async (answer) => {
      await progress(call, 60);
      await progress(call, 100);
      return say(outcome(answer));
    });
  },
  async test_logging_tool() {
    await log('This is logged');
    return say('logged');
  },
  async test_trigger_tool_change() {
    extra_tool = !extra_tool;
    await server.sendToolListChanged();
    return say(extra_tool ? 'added' : 'removed');
  },
  async test_trigger_prompt_change() {
    extra_prompt = !extra_prompt;
    await server.sendPromptListChanged();
    return say(extra_prompt ? 'added' : 'removed');
  },
  async test_trigger_resource_update() {
    const uri = 'test://watched-resource';
    if (watched.has(uri)) await server.sendResourceUpdated({ uri });
    return say(watched.has(uri) ? 'told' : 'nobody watches');
  },

  test_input_required_result_elicitation: (_, call) =>
    asking(ask.name(), call, (answer) => say(`Hello, ${answer.content?.name}!`)),
  test_input_required_result_sampling: (_, call) =>
    asking(ask.model('What is the capital of France?'), call, (answer) => say(answer.content.text)),
  test_input_required_result_list_roots: (_, call) =>
    asking(ask.roots(), call, (answer) => say(answer.roots.map((root) => root.uri).join(' '))),
  test_input_required_result_request_state: (_, call) =>
    asking(ask.confirmation(), call, (answer) => say(`state-ok ${outcome(answer)}`)),
  test_input_required_result_tampered_state: (_, call) =>
    asking(ask.confirmation(), call, (answer) => say(`state-ok ${outcome(answer)}`)),
  async test_input_required_result_multiple_inputs(_, call) {
    const questions = [ask.name(), ask.model('Generate a greeting', 50), ask.roots()];
    const unable = questions.find((question) => !able(question.method));
    if (unable !== undefined) return fail(`the client has no ${kNeeds[unable.method]}`);
    const [user, model, roots] = await Promise.all(questions.map((question) => request(question, call)));
    return say(`${model.content.text} ${user.content?.name} ${roots.roots.length}`);
  },
  test_input_required_result_multi_round: (_, call) =>
    asking(ask.name('Step 1: What is your name?'), call, (first) =>
      asking(ask.color(), call, (second) => say(`${first.content?.name} likes ${second.content?.color}`))),
  async test_input_required_result_capabilities(_, call) {
    const questions = [ask.name(), ask.model('Who are you?'), ask.roots()].filter(({ method }) => able(method));
    if (questions.length === 0) return say('nothing to ask');
    const answers = await Promise.all(questions.map((question) => request(question, call)));
    return say(`${answers.length} answers`);
  },
};

server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: [...content.kTools, ...content.kLegacyTools, ...(extra_tool ? [content.kExtraTool] : [])],
}));
server.setRequestHandler(CallToolRequestSchema, ({ params }, call) => {
  const fixed = content.fixedResult(params.name);
  if (fixed !== undefined) return fixed;
  if (!Object.hasOwn(kCalls, params.name)) throw new McpError(-32602, `no tool ${params.name}`);
  return kCalls[params.name](params.arguments ?? {}, call);
});
server.setRequestHandler(ListPromptsRequestSchema, () => ({
  prompts: [...content.kPrompts, ...(extra_prompt ? [content.kExtraPrompt] : [])],
}));
server.setRequestHandler(GetPromptRequestSchema, async ({ params }, call) => {
  let given = params.arguments ?? {};
  if (params.name === 'test_input_required_result_prompt') {
    if (!able('elicitation/create')) throw new McpError(-32602, 'the client has no elicitation');
    given = (await request(ask.context(), call)).content ?? {};
  }
  const messages = content.promptMessages(params.name, given);
  if (messages === undefined) throw new McpError(-32602, `no prompt ${params.name}`);
  return { messages };
});
server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: content.kResources }));
server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: content.kTemplates }));
server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
  const contents = content.resourceContents(params.uri);
  if (contents === undefined) throw new McpError(-32002, 'Resource not found', { uri: params.uri });
  return { contents };
});
server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
  watched.add(params.uri);
  return {};
});
server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
  watched.delete(params.uri);
  return {};
});
server.setRequestHandler(CompleteRequestSchema, ({ params }) => content.completion(params.argument.value));

process.stdin.on('end', () => process.exit(0));
await server.connect(new StdioServerTransport());
