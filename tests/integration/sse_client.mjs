// The 1.x SDK's client of HTTP+SSE against mcp_test_server behind the gateway.
// usage: NPM_PACKAGES=DIR node sse_client.mjs URL TOKEN OTHER_TOKEN
import { createRequire } from 'node:module';
import { assert, finish, Inbox, namesOf, step, textOf, v1 } from '../conformance/client_kit.mjs';

const [url, token, otherToken] = process.argv.slice(2);
const require = createRequire(`${process.env.NPM_PACKAGES}/package.json`);
const { SSEClientTransport } = require('@modelcontextprotocol/sdk/client/sse.js');
const { CreateMessageRequestSchema, ElicitRequestSchema } = v1.types;
const headersOf = (bearer) => ({ authorization: `Bearer ${bearer}` });

async function connect(name, bearer) {
  const transport = new SSEClientTransport(new URL(url), { requestInit: { headers: headersOf(bearer) } });
  const capabilities = { sampling: {}, elicitation: { form: {} } };
  const client = new v1.Client({ name, version: '1.0.0' }, { capabilities });
  const person = { name, client, transport, asked: new Inbox() };
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    person.asked.push(params);
    return { role: 'assistant', content: { type: 'text', text: `the model of ${name}` }, model: 'none' };
  });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    person.asked.push(params);
    return { action: 'accept', content: { name } };
  });
  await client.connect(transport);
  person.call = (tool, given = {}, options = {}) =>
    client.callTool({ name: tool, arguments: given }, undefined, options);
  return person;
}

// Where a client's messages go, by its own knowledge.
const placeOf = (person) => person.transport._endpoint;
const post = (place, bearer, more = {}) =>
  fetch(place, {
    method: 'POST',
    headers: { ...headersOf(bearer), 'content-type': 'application/json', ...more },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'raw', method: 'ping' }),
  });

let a, b;
await step('two clients shake hands at once', async () => {
  [a, b] = await Promise.all([connect('alice', token), connect('bob', token)]);
  assert.equal(a.client.getServerVersion().name, 'test-server');
  assert.match(placeOf(a).pathname, /\/messages$/);
  assert.ok(placeOf(a).searchParams.get('sessionId').length >= 32);
  assert.notEqual(placeOf(a).href, placeOf(b).href);
});
if (a === undefined || b === undefined) finish();

await step('tools are listed and called', async () => {
  assert.ok(namesOf(await a.client.listTools()).includes('echo'));
  assert.equal(textOf(await b.call('echo', { message: 'grüße 🙂' })), 'grüße 🙂');
});

// As they come: the SDK itself drops progress that is in one chunk with the result.
await step('progress arrives complete and in order, before the result', async () => {
  const seen = [], deliver = a.transport.onmessage;
  a.transport.onmessage = (message) => {
    seen.push(message.params?.progress ?? textOf(message.result));
    deliver(message);
  };
  await a.call('progress', { count: 200 }, { onprogress: () => {} });
  a.transport.onmessage = deliver;
  assert.deepEqual(seen, [...Array.from({ length: 200 }, (_, i) => i + 1), '200']);
});

await step('what the server asks reaches the client that called, and nobody else', async () => {
  const prompt = { messages: [{ role: 'user', content: { type: 'text', text: 'who?' } }], maxTokens: 10 };
  const sampled = await a.call('ask', { method: 'sampling/createMessage', params: prompt });
  assert.match(textOf(sampled), /the model of alice/);
  const form = { message: 'name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } };
  assert.match(textOf(await b.call('ask', { method: 'elicitation/create', params: form })), /"bob"/);
  assert.equal(a.asked.all.length, 1);
  assert.equal(b.asked.all.length, 1);
});

await step('each has a process of its own', async () => {
  assert.notEqual(textOf(await a.call('nonce')), textOf(await b.call('nonce')));
});

await step('100 calls at once are each answered with their own answer', async () => {
  const calls = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? a : b).call('echo', { message: `${i}` }));
  assert.deepEqual((await Promise.all(calls)).map(textOf), calls.map((_, i) => `${i}`));
});

await step('a call is cancelled', async () => {
  const abort = new AbortController();
  const ended = assert.rejects(a.call('sleep', { ms: 60000 }, { signal: abort.signal }));
  abort.abort('no longer wanted');
  await ended;
  for (let stats = {}; stats.cancelled !== 1;) stats = JSON.parse(textOf(await a.call('stats')));
});

await step('without a token nothing is opened, and the session of another subject is not there', async () => {
  await assert.rejects(connect('eve', 'unknown'), /401/);
  assert.equal((await post(placeOf(a), 'unknown')).status, 401);
  assert.equal((await post(placeOf(a), otherToken)).status, 404);
});

await step('a page of a foreign origin gets nowhere', async () => {
  const foreign = { ...headersOf(token), origin: 'https://evil.example.com', accept: 'text/event-stream' };
  assert.equal((await fetch(url, { headers: foreign })).status, 403);
  assert.equal((await post(placeOf(a), token, foreign)).status, 403);
});

await step('a POST to the stream is refused, so that clients that try Streamable HTTP first come back', async () => {
  assert.equal((await post(url, token)).status, 405);
});

await step('the session ends with its stream, and the other one goes on', async () => {
  await b.client.close();
  while ((await post(placeOf(b), token)).status !== 404);
  assert.equal(textOf(await a.call('echo', { message: 'on' })), 'on');
});

finish();
