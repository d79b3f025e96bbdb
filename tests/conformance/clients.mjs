// Real clients against server-everything behind the gateway: what works, and that nothing of one reaches another.
// usage: NPM_PACKAGES=DIR node clients.mjs URL
import {
  assert,
  connectV1,
  connectV2,
  events,
  finish,
  Inbox,
  kAllCapabilities,
  kPinned,
  namesOf,
  progressOf,
  RawSession,
  step,
  textOf,
} from './client_kit.mjs';

const url = process.argv[2];
const kConditional = ['trigger-sampling-request', 'trigger-elicitation-request', 'get-roots-list'];
const kSlow = 'trigger-long-running-operation';
const kWatched = 'demo://resource/dynamic/text/1';
const logs = ({ method }) => method === 'notifications/message';
const says = (words) => (message) => logs(message) && JSON.stringify(message.params.data).includes(words);

const slowly = (person, steps, seconds) => progressOf(person, kSlow, { duration: seconds, steps });
const everyStep = (steps) => Array.from({ length: steps }, (_, i) => i + 1);

// Until the server has registered what it offers to a client that can do everything.
async function conditionalTools(person) {
  for (;;) {
    const names = namesOf(await person.client.listTools());
    if (kConditional.every((name) => names.includes(name))) return names;
    await person.told.wait(({ method }) => method === 'notifications/tools/list_changed');
    person.told.all.length = 0;
  }
}

let a, b;
await step('two clients of the 1.x SDK connect at once', async () => {
  [a, b] = await Promise.all([connectV1(url, 'alice', kAllCapabilities), connectV1(url, 'bob', {})]);
  assert.notEqual(a.transport.sessionId, b.transport.sessionId);
  assert.equal(a.client.getServerVersion().name, b.client.getServerVersion().name);
});
if (a === undefined || b === undefined) finish();

await step('each client is offered the tools of its own capabilities', async () => {
  const of_a = await conditionalTools(a), of_b = namesOf(await b.client.listTools());
  assert.ok(of_b.includes('echo') && of_a.includes('echo'));
  for (const name of kConditional) assert.ok(!of_b.includes(name), `bob is offered ${name}`);
});

await step('a call is answered', async () => {
  assert.equal(textOf(await b.call('echo', { message: 'grüße 🙂' })), 'Echo: grüße 🙂');
  const structured = await a.call('get-structured-content', { location: 'Chicago' });
  assert.ok(structured.structuredContent !== undefined);
});

await step('progress arrives complete and in order, before the result', async () => {
  const { seen, result } = await slowly(a, 40, 0.4);
  assert.deepEqual(seen, everyStep(40));
  assert.match(textOf(result), /Steps: 40/);
});

await step('progress of calls at the same time is kept apart', async () => {
  const runs = await Promise.all([slowly(a, 7, 0.5), slowly(a, 11, 0.5), slowly(b, 13, 0.5), slowly(b, 17, 0.5)]);
  assert.deepEqual(runs.map(({ seen }) => seen), [7, 11, 13, 17].map(everyStep));
});

await step('a call that its client cancels ends, and the session goes on', async () => {
  const abort = new AbortController();
  const seen = new Inbox();
  const call = a.call(kSlow, { duration: 3, steps: 30 }, { signal: abort.signal, onprogress: (p) => seen.push(p) });
  const ended = assert.rejects(call);
  await seen.wait();
  abort.abort('no longer wanted');
  await ended;
  assert.equal(textOf(await a.call('echo', { message: 'still here' })), 'Echo: still here');
});

await step('sampling reaches the client that called, and nobody else', async () => {
  const result = await a.call('trigger-sampling-request', { prompt: 'who are you?' });
  assert.match(textOf(result), /the model of alice/);
  const { params } = await a.asked.wait(({ method }) => method === 'sampling/createMessage');
  assert.match(params.messages[0].content.text, /who are you\?/);
  assert.deepEqual(b.asked.all, []);
});

await step('elicitation is accepted and declined', async () => {
  assert.match(textOf(await a.call('trigger-elicitation-request')), /the user of alice/);
  const accepting = a.answers['elicitation/create'];
  a.answers['elicitation/create'] = () => ({ action: 'decline' });
  assert.match(textOf(await a.call('trigger-elicitation-request')), /declined/);
  a.answers['elicitation/create'] = accepting;
});

await step('only the session that was asked can answer, and only the one that called can cancel', async () => {
  const intruder = await (await new RawSession(url).open()).initialized();
  const accepting = a.answers['elicitation/create'];
  a.answers['elicitation/create'] = async (params) => {
    const answer = { action: 'accept', content: { name: 'the intruder' } };
    assert.equal((await intruder.post({ jsonrpc: '2.0', id: a.askedId, result: answer })).status, 202);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: a.calledId } };
    assert.equal((await intruder.post(cancel)).status, 202);
    assert.equal((await intruder.request(a.calledId, 'ping')).result !== undefined, true);
    return accepting(params);
  };
  const text = textOf(await a.call('trigger-elicitation-request'));
  a.answers['elicitation/create'] = accepting;
  assert.match(text, /the user of alice/);
  assert.doesNotMatch(text, /intruder/);
});

await step('roots are asked for, and asked for again when they change', async () => {
  assert.match(textOf(await a.call('get-roots-list')), /file:\/\/\/home\/alice/);
  a.answers['roots/list'] = () => ({ roots: [{ uri: 'file:///moved', name: 'moved' }] });
  a.asked.all.length = 0;
  await a.client.sendRootsListChanged();
  await a.asked.wait(({ method }) => method === 'roots/list');
  for (let text = ''; !text.includes('file:///moved');) text = textOf(await a.call('get-roots-list'));
});

await step('log lines obey the level and reach only the session that they are of', async () => {
  await a.client.setLoggingLevel('error');
  await b.client.setLoggingLevel('debug');
  await a.client.subscribeResource({ uri: `${kWatched}0` });  // logged at info
  await a.client.setLoggingLevel('debug');
  await a.client.subscribeResource({ uri: `${kWatched}1` });
  await a.told.wait(says(`${kWatched}1`));
  assert.equal(a.told.all.filter(says(`${kWatched}0`)).length, 0, 'a line below the level');
  await b.client.subscribeResource({ uri: `${kWatched}2` });
  await b.told.wait(says(`${kWatched}2`));
  assert.equal(b.told.all.filter(logs).length, 1, "bob has lines of alice's session");
  assert.equal(a.told.all.filter(says(`${kWatched}2`)).length, 0, "alice has lines of bob's session");
  for (const [person, n] of [[a, 0], [a, 1], [b, 2]]) await person.client.unsubscribeResource({ uri: kWatched + n });
});

await step('updates of a resource reach its subscriber alone', async () => {
  const updated = ({ method, params }) => method === 'notifications/resources/updated' && params.uri === kWatched;
  await a.client.subscribeResource({ uri: kWatched });
  await a.call('toggle-subscriber-updates');
  await b.call('toggle-subscriber-updates');
  await a.told.wait(updated);
  await a.call('toggle-subscriber-updates');
  await b.call('toggle-subscriber-updates');
  await a.client.unsubscribeResource({ uri: kWatched });
  assert.equal(b.told.all.filter(updated).length, 0);
});

await step('completion, prompts, resources and templates', async () => {
  const ref = { type: 'ref/prompt', name: 'completable-prompt' };
  const { completion } = await a.client.complete({ ref, argument: { name: 'department', value: 'S' } });
  assert.deepEqual(completion.values, ['Sales', 'Support']);
  const prompt = await b.client.getPrompt({ name: ref.name, arguments: { department: 'Sales', name: 'Eve' } });
  assert.match(prompt.messages[0].content.text, /Eve/);
  assert.ok((await b.client.listResourceTemplates()).resourceTemplates.length > 0);
  const { resources } = await b.client.listResources();
  assert.ok((await b.client.readResource({ uri: resources[0].uri })).contents.length > 0);
  await assert.rejects(b.client.readResource({ uri: 'demo://nothing' }));
});

await step('200 calls at once are each answered with their own answer', async () => {
  const calls = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? a : b).call('echo', { message: `number ${i}` }));
  const texts = (await Promise.all(calls)).map(textOf);
  assert.deepEqual(texts, texts.map((_, i) => `Echo: number ${i}`));
});

await step('a stream that breaks off is resumed where it was, with the answer of its call', async () => {
  const session = await (await new RawSession(url).open()).initialized();
  const abort = new AbortController();
  const params = { name: kSlow, arguments: { duration: 1, steps: 10 }, _meta: { progressToken: 'p' } };
  const response = await session.post({ jsonrpc: '2.0', id: 77, method: 'tools/call', params }, { signal: abort.signal });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const before = [];
  for await (const event of events(response.body)) {
    before.push(event);
    if (before.filter(({ data }) => data.includes('progress')).length === 3) break;
  }
  abort.abort();
  assert.equal(before[0].data, '', 'no priming event');
  assert.ok(before[0].retry > 0, 'no time to come back');
  const messages = (list) => list.filter(({ data }) => data !== '').map(({ data }) => JSON.parse(data));
  const after = [];
  for await (const event of events((await session.get(before.at(-1).id)).body)) {
    after.push(event);
    if (messages(after).some(({ id }) => id === 77)) break;
  }
  // What the server says of itself meanwhile (that its tools have changed) may come here too.
  const all = messages([...before, ...after]).filter(({ method }) => !method?.endsWith('/list_changed'));
  assert.deepEqual(all.slice(0, -1).map((m) => m.params.progress), everyStep(10));
  assert.deepEqual(all.slice(0, -1).map((m) => m.params.progressToken), Array(10).fill('p'));
  assert.equal(all.at(-1).id, 77);
  const ids = [...before, ...after].map(({ id }) => id).filter((id) => id !== undefined);
  assert.equal(new Set(ids).size, ids.length, 'an event came twice');
});

await step('what happens while a GET stream is broken off comes when it is resumed', async () => {
  const session = await new RawSession(url).open({ roots: {} });
  const abort = new AbortController();
  const first = await session.get(undefined, { signal: abort.signal });
  assert.equal(first.status, 200);
  await session.initialized();
  let last;
  for await (const event of events(first.body)) {
    last = event;
    if (event.data.includes('list_changed')) break;
  }
  abort.abort();
  // The server asks for the roots a moment after `initialized`, when nobody listens.
  let question;
  for await (const event of events((await session.get(last.id)).body)) {
    if (event.data === '') continue;
    question = JSON.parse(event.data);
    if (question.method === 'roots/list') break;
  }
  assert.equal(question.method, 'roots/list');
  const result = { roots: [{ uri: 'file:///resumed', name: 'resumed' }] };
  assert.equal((await session.post({ jsonrpc: '2.0', id: question.id, result })).status, 202);
  const roots = await session.request(5, 'tools/call', { name: 'get-roots-list', arguments: {} });
  assert.match(textOf(roots.result), /file:\/\/\/resumed/);
  // Another session has nothing to resume there.
  const other = await (await new RawSession(url).open()).initialized();
  const foreign = await other.get(last.id);
  if (foreign.status === 200) {
    const late = new Promise((done) => setTimeout(done, 500, 'nothing'));
    const stream = events(foreign.body);
    const got = await Promise.race([stream.next().then(({ value }) => value?.data ?? ''), late]);
    assert.doesNotMatch(got, /roots\/list/);
  }
});

await step('a session that its client ends is gone', async () => {
  const c = await connectV1(url, 'carol', {});
  const session = new RawSession(url);
  Object.assign(session.headers, { 'mcp-session-id': c.transport.sessionId, 'mcp-protocol-version': '2025-11-25' });
  await c.transport.terminateSession();
  assert.equal((await session.post({ jsonrpc: '2.0', id: 1, method: 'ping' })).status, 404);
  assert.equal((await session.get()).status, 404);
  assert.equal((await fetch(url, { method: 'DELETE', headers: session.headers })).status, 404);
  await c.client.close();
  assert.equal(textOf(await a.call('echo', { message: 'mine goes on' })), 'Echo: mine goes on');
});

for (const [title, mode] of [['that negotiates', 'auto'], ['pinned to 2026-07-28', kPinned]]) {
  let d;
  await step(`a client of the 2.x SDK ${title} speaks 2026-07-28`, async () => {
    d = await connectV2(url, 'dave', kAllCapabilities, mode);
    assert.equal(d.client.getNegotiatedProtocolVersion(), '2026-07-28');
    assert.equal(d.transport.sessionId, undefined);
  });
  if (d === undefined) continue;
  await step(`… lists and calls (${title})`, async () => {
    const names = await conditionalTools(d);
    assert.ok(names.includes('echo'));
    assert.equal(textOf(await d.call('echo', { message: 'modern' })), 'Echo: modern');
    assert.ok((await d.client.listPrompts()).prompts.length > 0);
    const { resources } = await d.client.listResources();
    assert.ok((await d.client.readResource({ uri: resources[0].uri })).contents.length > 0);
  });
  await step(`… has progress complete and in order (${title})`, async () => {
    const { seen } = await slowly(d, 20, 0.4);
    assert.deepEqual(seen, everyStep(20));
  });
  await step(`… is asked by elicitation, sampling and for roots through input_required (${title})`, async () => {
    assert.match(textOf(await d.call('trigger-elicitation-request')), /the user of dave/);
    assert.match(textOf(await d.call('trigger-sampling-request', { prompt: 'x' })), /the model of dave/);
    assert.match(textOf(await d.call('get-roots-list')), /file:\/\/\/home\/dave/);
  });
  await step(`… does 50 calls at once (${title})`, async () => {
    const texts = await Promise.all(Array.from({ length: 50 }, (_, i) => d.call('echo', { message: `${i}` })));
    assert.deepEqual(texts.map(textOf), texts.map((_, i) => `Echo: ${i}`));
  });
  await step(`… cancels by leaving (${title})`, async () => {
    const abort = new AbortController();
    const seen = new Inbox();
    const call = d.call(kSlow, { duration: 3, steps: 30 }, { signal: abort.signal, onprogress: (p) => seen.push(p) });
    const ended = assert.rejects(call);
    await seen.wait();
    abort.abort('no longer wanted');
    await ended;
    assert.equal(textOf(await d.call('echo', { message: 'on' })), 'Echo: on');
  });
  await d.client.close();
}

await step('a client of the 2.x SDK that declares nothing is offered and asked nothing of the others', async () => {
  const e = await connectV2(url, 'erin', {}, kPinned);
  const names = namesOf(await e.client.listTools());
  for (const name of kConditional) assert.ok(!names.includes(name), `erin is offered ${name}`);
  await e.client.close();
});

await step('a client of the 2.x SDK without negotiation speaks 2025-11-25', async () => {
  const f = await connectV2(url, 'frank', {}, 'legacy');
  assert.equal(f.client.getNegotiatedProtocolVersion(), '2025-11-25');
  assert.equal(textOf(await f.call('echo', { message: 'legacy' })), 'Echo: legacy');
  await f.transport.terminateSession();
  await f.client.close();
});

await step('both first clients are still as they were', async () => {
  assert.match(textOf(await a.call('trigger-sampling-request', { prompt: 'again' })), /the model of alice/);
  assert.ok(!namesOf(await b.client.listTools()).includes('trigger-sampling-request'));
  assert.deepEqual(b.asked.all, []);
  for (const { client, transport } of [a, b]) {
    await transport.terminateSession();
    await client.close();
  }
});
finish();
