// An MCP server over stdio that speaks 2026-07-28 and nothing before it, written with the 2.x SDK: what the conformance
// suite asks of such a server. It has no sessions: one process serves every client.
import { randomBytes } from 'node:crypto';

import {
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  Server,
} from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';

import * as content from './content.mjs';
import { ask, pause, text } from './content.mjs';
import { kTaskTools, TasksTransport } from './modern_tasks.mjs';

const kClientCapabilities = 'io.modelcontextprotocol/clientCapabilities';
const kNeeds = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

// Signed, so that a client that changes its state is refused. The key lives as long as the process.
const states = createRequestStateCodec({ key: randomBytes(32) });
let extra_tool = false, extra_prompt = false;

const say = (value) => ({ content: [text(value)] });
const capabilities = (call) => call.mcpReq.envelope?.[kClientCapabilities] ?? {};
async function progress(call, done) {
  const progressToken = call.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await call.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: done, total: 100 } });
}

// The answers to `questions` (key -> request) when all are there and of the right kind; null while one is missing.
const kKinds = { 'elicitation/create': 'elicit', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };
function answers(call, questions) {
  const found = {};
  for (const [key, question] of Object.entries(questions)) {
    const view = inputResponse(call.mcpReq.inputResponses, key);
    if (view.kind !== kKinds[question.method]) return null;
    found[key] = view;
  }
  return found;
}
const again = async (questions, step) =>
  inputRequired({ inputRequests: questions, ...(step !== undefined && { requestState: await states.mint({ step }) }) });
// Asks until everything is answered, with the state of this step where the tool has steps.
async function asking(call, questions, then, step = undefined) {
  const found = answers(call, questions);
  const in_step = step === undefined || call.mcpReq.requestState()?.step === step;
  return found !== null && in_step ? then(found) : again(questions, step);
}

const kCalls = {
  async test_tool_with_logging(_, call) {
    await call.mcpReq.log('info', 'Tool execution started');
    await pause(50);
    await call.mcpReq.log('info', 'Tool processing data');
    await pause(50);
    await call.mcpReq.log('info', 'Tool execution completed');
    return say('logged three times');
  },
  async test_tool_with_progress(_, call) {
    await progress(call, 0);
    await pause(50);
    await progress(call, 50);
    await pause(50);
    await progress(call, 100);
    return say(`progress of ${JSON.stringify(call.mcpReq._meta?.progressToken ?? null)}`);
  },
  test_header_arguments: (given) => say(JSON.stringify(given)),
  test_missing_capability(_, call) {
    if (capabilities(call).sampling === undefined) {
      throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
    }
    return say('the client can sample');
  },
  async test_streaming_elicitation(_, call) {
    await progress(call, 50);
    return asking(call, { user_name: ask.name() }, ({ user_name }) => say(`${user_name.action}`));
  },
  async test_progress_around_input(_, call) {
    const questions = { user_name: ask.name() };
    if (answers(call, questions) === null) await progress(call, 10);
    return asking(call, questions, async ({ user_name }) => {
      await progress(call, 60);
      await progress(call, 100);
      return say(`${user_name.action}`);
    });
  },
  async test_logging_tool(_, call) {
    await call.mcpReq.log('info', 'This is logged');
    return say('logged');
  },
  async test_trigger_tool_change(_, _call, server) {
    extra_tool = !extra_tool;
    await server.sendToolListChanged();
    return say(extra_tool ? 'added' : 'removed');
  },
  async test_trigger_prompt_change(_, _call, server) {
    extra_prompt = !extra_prompt;
    await server.sendPromptListChanged();
    return say(extra_prompt ? 'added' : 'removed');
  },
  async test_trigger_resource_update(_, _call, server) {
    await server.sendResourceUpdated({ uri: 'test://watched-resource' });
    return say('told');
  },
  test_input_required_result_elicitation: (_, call) =>
    asking(call, { user_name: ask.name() }, ({ user_name }) => say(`Hello, ${user_name.content?.name}!`)),
  test_input_required_result_sampling: (_, call) =>
    asking(call, { capital_question: ask.model('What is the capital of France?') }, ({ capital_question }) =>
      say(capital_question.result.content.text)),
  test_input_required_result_list_roots: (_, call) =>
    asking(call, { client_roots: ask.roots() }, ({ client_roots }) =>
      say(client_roots.roots.map((root) => root.uri).join(' '))),
  test_input_required_result_request_state: (_, call) =>
    asking(call, { confirm: ask.confirmation() }, ({ confirm }) => say(`state-ok ${confirm.action}`), 'confirm'),
  test_input_required_result_tampered_state: (_, call) =>
    asking(call, { confirm: ask.confirmation() }, ({ confirm }) => say(`state-ok ${confirm.action}`), 'confirm'),
  test_input_required_result_multiple_inputs: (_, call) =>
    asking(
      call,
      { user_name: ask.name(), greeting: ask.model('Generate a greeting', 50), client_roots: ask.roots() },
      ({ user_name, greeting, client_roots }) =>
        say(`${greeting.result.content.text} ${user_name.content?.name} ${client_roots.roots.length}`),
      'three',
    ),
  test_input_required_result_multi_round(_, call) {
    const second = { step2: ask.color() };
    if (call.mcpReq.requestState()?.step === 'two') {
      return asking(call, second, ({ step2 }) => say(`you like ${step2.content?.color}`), 'two');
    }
    return asking(call, { step1: ask.name('Step 1: What is your name?') }, () => again(second, 'two'), 'one');
  },
  test_input_required_result_capabilities(_, call) {
    const all = { user_name: ask.name(), question: ask.model('Who are you?'), client_roots: ask.roots() };
    const possible = Object.entries(all).filter(([, { method }]) => capabilities(call)[kNeeds[method]] !== undefined);
    if (possible.length === 0) return say('nothing to ask');
    return asking(call, Object.fromEntries(possible), (found) => say(`${Object.keys(found).length} answers`));
  },
};

function makeServer() {
  const server = new Server(
    { name: 'mcpfleet-modern-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
      instructions: 'A fixture: its tools do what their names say.',
      requestState: { verify: states.verify },
      cacheHints: { 'prompts/list': { ttlMs: 1000, cacheScope: 'public' } },
    },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: [...content.kTools, ...content.kModernTools, ...kTaskTools, ...(extra_tool ? [content.kExtraTool] : [])],
  }));
  server.setRequestHandler('tools/call', ({ params }, call) => {
    const fixed = content.fixedResult(params.name);
    if (fixed !== undefined) return fixed;
    if (!Object.hasOwn(kCalls, params.name)) throw new ProtocolError(-32602, `no tool ${params.name}`);
    return kCalls[params.name](params.arguments ?? {}, call, server);
  });
  server.setRequestHandler('prompts/list', () => ({
    prompts: [...content.kPrompts, ...(extra_prompt ? [content.kExtraPrompt] : [])],
  }));
  server.setRequestHandler('prompts/get', ({ params }, call) => {
    if (params.name === 'test_input_required_result_prompt') {
      return asking(call, { user_context: ask.context() }, ({ user_context }) => ({
        messages: content.promptMessages(params.name, user_context.content ?? {}),
      }));
    }
    const messages = content.promptMessages(params.name, params.arguments ?? {});
    if (messages === undefined) throw new ProtocolError(-32602, `no prompt ${params.name}`);
    return { messages };
  });
  server.setRequestHandler('resources/list', () => ({ resources: content.kResources }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: content.kTemplates }));
  server.setRequestHandler('resources/read', ({ params }) => {
    const contents = content.resourceContents(params.uri);
    if (contents === undefined) throw new ProtocolError(-32602, 'Resource not found', { uri: params.uri });
    return { contents };
  });
  server.setRequestHandler('completion/complete', ({ params }) => content.completion(params.argument.value));
  return server;
}

process.stdin.on('end', () => process.exit(0));
serveStdio(makeServer, {
  legacy: 'reject',
  transport: new TasksTransport(new StdioServerTransport()),
  onerror: (error) => console.error(String(error)),
});
