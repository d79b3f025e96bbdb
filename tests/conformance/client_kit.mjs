// What the client scripts share: named steps with a deadline, the two SDKs' clients, and a session of one's own over
// plain HTTP. The packages are looked for from $NPM_PACKAGES, a directory with node_modules.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

export { assert };
const require = createRequire(`${process.env.NPM_PACKAGES}/package.json`);
export const v1 = {
  ...require('@modelcontextprotocol/sdk/client/index.js'),
  ...require('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  types: require('@modelcontextprotocol/sdk/types.js'),
};
export const v2 = require('@modelcontextprotocol/client');

const kStepSeconds = 20;
const kModern = '2026-07-28';
let count = 0, failures = 0;

function withDeadline(promise, seconds, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function step(name, run) {
  ++count;
  try {
    await withDeadline(run(), kStepSeconds, 'the step');
    console.log(`ok ${count} ${name}`);
  } catch (error) {
    ++failures;
    console.log(`not ok ${count} ${name}\n${String(error?.stack ?? error).replace(/^/gm, '  # ')}`);
  }
}
// The last line tells the one who started the script that it came to its end.
export function finish() {
  console.log(failures === 0 ? `all ${count} ok` : `${failures} of ${count} not ok`);
  process.exit(failures === 0 ? 0 : 1);
}

// What a handler is given, in order, and who waits for it.
export class Inbox {
  all = [];
  #waiters = [];
  push(message) {
    this.all.push(message);
    this.#waiters = this.#waiters.filter((waiter) => !waiter());
  }
  // The first message, also of those before, for which `holds`.
  wait(holds = () => true) {
    const found = this.all.find(holds);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((done) => {
      this.#waiters.push(() => {
        const late = this.all.find(holds);
        if (late !== undefined) done(late);
        return late !== undefined;
      });
    });
  }
}

export const textOf = (result) => (result.content ?? []).map((part) => part.text ?? '').join('\n');
export const namesOf = ({ tools }) => tools.map((tool) => tool.name);
export const kAllCapabilities = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };

// A client of the 1.x SDK. What the server asks of it and tells it is in its inboxes; `answers` may be changed.
export async function connectV1(url, name, capabilities) {
  const client = new v1.Client({ name, version: '1.0.0' }, { capabilities });
  const transport = new v1.StreamableHTTPClientTransport(new URL(url));
  const person = { client, transport, asked: new Inbox(), told: new Inbox(), answers: answersOf(name) };
  const types = v1.types;
  const answer = (schema) =>
    client.setRequestHandler(schema, ({ method, params }) => {
      person.asked.push({ method, params });
      return person.answers[method](params);
    });
  if (capabilities.sampling) answer(types.CreateMessageRequestSchema);
  if (capabilities.elicitation) answer(types.ElicitRequestSchema);
  if (capabilities.roots) answer(types.ListRootsRequestSchema);
  client.fallbackNotificationHandler = async (notification) => person.told.push(notification);
  await client.connect(transport);
  watchIds(person);
  person.call = (tool, given = {}, options = {}) =>
    client.callTool({ name: tool, arguments: given }, undefined, options);
  return person;
}

// Keeps the ids of the last request either way: what an intruder would have to know.
function watchIds(person) {
  const { transport } = person;
  const deliver = transport.onmessage, send = transport.send.bind(transport);
  transport.onmessage = (message, extra) => {
    if (message.method !== undefined && message.id !== undefined) person.askedId = message.id;
    deliver(message, extra);
  };
  transport.send = (message, options) => {
    if (message.method !== undefined && message.id !== undefined) person.calledId = message.id;
    return send(message, options);
  };
}

// A client of the 2.x SDK: mode 'auto', 'legacy' or {pin}.
export async function connectV2(url, name, capabilities, mode) {
  const client = new v2.Client({ name, version: '1.0.0' }, { capabilities, versionNegotiation: { mode } });
  const transport = new v2.StreamableHTTPClientTransport(new URL(url));
  const person = { client, transport, asked: new Inbox(), told: new Inbox(), answers: answersOf(name) };
  const kinds = { sampling: 'sampling/createMessage', elicitation: 'elicitation/create', roots: 'roots/list' };
  for (const [capability, method] of Object.entries(kinds)) {
    if (capabilities[capability] === undefined) continue;
    client.setRequestHandler(method, ({ params }) => {
      person.asked.push({ method, params });
      return person.answers[method](params);
    });
  }
  client.fallbackNotificationHandler = async (notification) => person.told.push(notification);
  await client.connect(transport);
  person.call = (tool, given = {}, options = {}) => client.callTool({ name: tool, arguments: given }, options);
  return person;
}
export const kPinned = { pin: kModern };

// The progress of one call, and its result. The 2.x SDK tells of its own rounds of input as progress without a total.
export async function progressOf(person, tool, given, options = {}) {
  const seen = [];
  const onprogress = ({ progress, total }) => {
    if (total !== undefined) seen.push(progress);
  };
  const result = await person.call(tool, given, { ...options, onprogress });
  return { seen, result };
}

function answersOf(name) {
  return {
    'sampling/createMessage': () => ({
      role: 'assistant',
      content: { type: 'text', text: `the model of ${name}` },
      model: 'none',
      stopReason: 'endTurn',
    }),
    'elicitation/create': () => ({ action: 'accept', content: { name: `the user of ${name}` } }),
    'roots/list': () => ({ roots: [{ uri: `file:///home/${name}`, name: `the root of ${name}` }] }),
  };
}

// Events of a stream, one by one. Comments are no events.
export async function* events(body) {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = { id: undefined, data: '' };
      for (const line of text.slice(0, end).split('\n')) {
        if (line.startsWith('id:')) event.id = line.slice(3).trim();
        if (line.startsWith('data:')) event.data += line.slice(5).trim();
        if (line.startsWith('retry:')) event.retry = Number(line.slice(6));
      }
      text = text.slice(end + 2);
      if (event.id !== undefined || event.data !== '') yield event;
    }
  }
}

// A legacy session over plain HTTP.
export class RawSession {
  constructor(url) {
    this.url = url;
    this.headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  }
  post(message, more = {}) {
    return fetch(this.url, { method: 'POST', headers: this.headers, body: JSON.stringify(message), ...more });
  }
  get(last_event_id = undefined, more = {}) {
    const resume = last_event_id === undefined ? {} : { 'last-event-id': last_event_id };
    return fetch(this.url, { headers: { ...this.headers, accept: 'text/event-stream', ...resume }, ...more });
  }
  async open(capabilities = {}) {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1.0.0' } };
    const response = await this.post({ jsonrpc: '2.0', id: 'init', method: 'initialize', params });
    assert.equal(response.status, 200);
    const result = await answerOf(response, 'init');
    this.headers['mcp-session-id'] = response.headers.get('mcp-session-id');
    this.headers['mcp-protocol-version'] = result.result.protocolVersion;
    return this;
  }
  async initialized() {
    assert.equal((await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);
    return this;
  }
  async request(id, method, params = {}) {
    return answerOf(await this.post({ jsonrpc: '2.0', id, method, params }), id);
  }
}

// The response of a request, whether it comes as JSON or as a stream.
export async function answerOf(response, id) {
  if (!(response.headers.get('content-type') ?? '').includes('text/event-stream')) return response.json();
  for await (const event of events(response.body)) {
    if (event.data === '') continue;
    const message = JSON.parse(event.data);
    if (message.id === id && message.method === undefined) return message;
  }
  throw new Error(`the stream ended without an answer to ${id}`);
}
