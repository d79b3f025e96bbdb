// The tasks extension (io.modelcontextprotocol/tasks) of the modern fixture. The SDK does not know it, so these messages
// are answered here, before the SDK sees them.
import { randomUUID } from 'node:crypto';

import { ask, pause, text } from './content.mjs';

const kExtension = 'io.modelcontextprotocol/tasks';
const kClientCapabilities = 'io.modelcontextprotocol/clientCapabilities';
const kEnd = ['completed', 'failed', 'cancelled'];

const tool = (name, description, properties = {}) => ({
  name,
  description,
  inputSchema: { type: 'object', properties, required: Object.keys(properties) },
});
export const kTaskTools = [
  tool('greet', 'Greets, without a task', { name: { type: 'string' } }),
  tool('slow_compute', 'Takes some seconds', { seconds: { type: 'number' } }),
  tool('failing_job', 'Ends with an error of the tool'),
  tool('protocol_error_job', 'Ends with an error of the protocol'),
  tool('confirm_delete', 'Asks before it ends', { filename: { type: 'string' } }),
  tool('multi_input', 'Asks two things at once'),
  tool('test_tool_with_task', 'Asks first, then goes on as a task'),
];
const kMustBeTasks = ['failing_job', 'protocol_error_job', 'confirm_delete', 'multi_input', 'test_tool_with_task'];

class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    Object.assign(this, { code, data });
  }
}

class Task {
  constructor(questions = {}) {
    this.id = randomUUID();
    this.created = new Date();
    this.questions = questions;
    this.answers = {};
    this.cancelled = new AbortController();
    this.#become(Object.keys(questions).length > 0 ? 'input_required' : 'working');
  }
  // The task's end. Nothing changes after it.
  complete(result) {
    this.#end('completed', { result });
  }
  fail(error) {
    this.#end('failed', { error });
  }
  cancel() {
    this.#end('cancelled', {});
    this.cancelled.abort();
  }
  answer(responses) {
    for (const [key, response] of Object.entries(responses)) {
      if (!Object.hasOwn(this.questions, key)) continue;
      this.answers[key] = response;
      delete this.questions[key];
    }
    if (this.status === 'input_required' && Object.keys(this.questions).length === 0) {
      this.#become('working');
      this.complete({ content: [text(JSON.stringify(this.answers))] });
    }
  }
  envelope() {
    return {
      taskId: this.id,
      status: this.status,
      createdAt: this.created.toISOString(),
      lastUpdatedAt: this.updated.toISOString(),
      ttlMs: 600000,
      pollIntervalMs: 100,
    };
  }
  detail() {
    const input = this.status === 'input_required' ? { inputRequests: this.questions } : {};
    return { resultType: 'complete', ...this.envelope(), ...input, ...this.outcome };
  }
  #become(status) {
    this.status = status;
    this.updated = new Date();
  }
  #end(status, outcome) {
    if (kEnd.includes(this.status)) return;
    this.#become(status);
    this.outcome = outcome;
  }
}

const tasks = new Map();
function begin(questions) {
  const task = new Task(questions);
  tasks.set(task.id, task);
  return task;
}
const created = (task) => ({ resultType: 'task', ...task.envelope() });
const complete = (value) => ({ resultType: 'complete', content: [text(value)] });
const declares = (params) => params._meta?.[kClientCapabilities]?.extensions?.[kExtension] !== undefined;
function mustDeclare(params) {
  if (declares(params)) return;
  throw new RpcError(-32021, 'the client has not declared tasks', {
    requiredCapabilities: { extensions: { [kExtension]: {} } },
  });
}
function known(params) {
  mustDeclare(params);
  const task = tasks.get(params.taskId);
  if (task === undefined) throw new RpcError(-32602, `no task ${params.taskId}`);
  return task;
}

async function compute(seconds, signal) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end && !signal.aborted) await pause(Math.min(50, end - Date.now()));
}

const kCalls = {
  greet: ({ arguments: given }) => complete(`Hello, ${given.name}!`),
  async slow_compute(params) {
    const seconds = params.arguments.seconds;
    if (!declares(params) || seconds === 0) {
      await compute(seconds, new AbortController().signal);
      return complete(`computed for ${seconds} s`);
    }
    const task = begin();
    compute(seconds, task.cancelled.signal).then(() => task.complete(complete(`computed for ${seconds} s`)));
    return created(task);
  },
  failing_job() {
    const task = begin();
    pause(300).then(() => task.complete({ isError: true, content: [text('the job has failed')] }));
    return created(task);
  },
  protocol_error_job() {
    const task = begin();
    pause(100).then(() => task.fail({ code: -32603, message: 'the job has crashed' }));
    return created(task);
  },
  confirm_delete: () => created(begin({ confirm: ask.confirmation() })),
  multi_input: () => created(begin({ first: ask.name(), second: ask.confirmation() })),
  test_tool_with_task(params) {
    const name = params.inputResponses?.user_name?.content?.name;
    if (name === undefined) return { resultType: 'input_required', inputRequests: { user_name: ask.name() } };
    const task = begin();
    pause(50).then(() => task.complete(complete(`the task of ${name}`)));
    return created(task);
  },
};

const kMethods = {
  'tasks/get': (params) => known(params).detail(),
  'tasks/update'(params) {
    known(params).answer(params.inputResponses ?? {});
    return { resultType: 'complete' };
  },
  'tasks/cancel'(params) {
    known(params).cancel();
    return { resultType: 'complete' };
  },
  'tools/call'(params) {
    if (kMustBeTasks.includes(params.name)) mustDeclare(params);
    return kCalls[params.name](params);
  },
};

function ours(message) {
  if (message.id === undefined || !Object.hasOwn(kMethods, message.method)) return false;
  return message.method !== 'tools/call' || Object.hasOwn(kCalls, message.params?.name ?? '');
}

async function answer({ id, method, params }) {
  try {
    return { jsonrpc: '2.0', id, result: await kMethods[method](params ?? {}) };
  } catch (error) {
    const { code = -32603, message, data } = error;
    return { jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } };
  }
}

// A transport of the SDK around another one.
export class TasksTransport {
  constructor(inner) {
    this.inner = inner;
  }
  async start() {
    this.inner.onclose = () => this.onclose?.();
    this.inner.onerror = (error) => this.onerror?.(error);
    this.inner.onmessage = async (message, extra) => {
      if (!ours(message)) return this.onmessage?.(message, extra);
      await this.inner.send(await answer(message));
    };
    await this.inner.start();
  }
  send(message) {
    return this.inner.send(message);
  }
  close() {
    return this.inner.close();
  }
}
