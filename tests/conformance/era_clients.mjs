// Clients of one protocol era with servers of the other, through the gateway; both servers are our fixtures.
// usage: NPM_PACKAGES=DIR node era_clients.mjs LEGACY_URL MODERN_URL
import {
  assert,
  connectV1,
  connectV2,
  finish,
  kAllCapabilities,
  kPinned,
  namesOf,
  progressOf,
  step,
  textOf,
} from './client_kit.mjs';

const [, , legacy_url, modern_url] = process.argv;
const kWatched = 'test://watched-resource';

async function hasProgress(person) {
  const { seen } = await progressOf(person, 'test_tool_with_progress', {});
  assert.deepEqual(seen, [0, 50, 100]);
}
// What comes after the answer belongs to the call as much as what came before.
async function hasProgressAroundInput(person) {
  const { seen, result } = await progressOf(person, 'test_progress_around_input', {});
  assert.deepEqual(seen, [10, 60, 100]);
  assert.match(textOf(result), /accept/);
}

let old;
await step('a client of 2025-11-25 connects to a server of 2026-07-28', async () => {
  old = await connectV1(modern_url, 'alice', kAllCapabilities);
  assert.equal(old.client.getServerVersion().name, 'mcpfleet-modern-fixture');
  assert.match(old.client.getInstructions(), /fixture/);
});
if (old !== undefined) {
  await step('… lists, calls, reads and completes', async () => {
    assert.ok(namesOf(await old.client.listTools()).includes('test_simple_text'));
    assert.match(textOf(await old.call('test_simple_text')), /simple text/);
    assert.equal((await old.call('test_error_handling')).isError, true);
    assert.equal((await old.client.readResource({ uri: 'test://template/7/data' })).contents[0].uri, 'test://template/7/data');
    assert.ok((await old.client.listPrompts()).prompts.length >= 5);
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
    const { completion } = await old.client.complete({ ref, argument: { name: 'arg1', value: 'par' } });
    assert.deepEqual(completion.values, ['paris', 'park', 'party']);
    await assert.rejects(old.client.readResource({ uri: 'test://nothing' }));
    await old.client.ping();
  });
  await step('… has progress', () => hasProgress(old));
  await step('… has progress before and after it is asked', () => hasProgressAroundInput(old));
  await step('… answers what an input_required result asks, as requests', async () => {
    assert.equal(textOf(await old.call('test_input_required_result_elicitation')), 'Hello, the user of alice!');
    assert.equal(textOf(await old.call('test_input_required_result_sampling')), 'the model of alice');
    assert.equal(textOf(await old.call('test_input_required_result_list_roots')), 'file:///home/alice');
    assert.match(textOf(await old.call('test_input_required_result_multiple_inputs')), /^the model of alice the user/);
    old.answers['elicitation/create'] = ({ message }) => ({
      action: 'accept',
      content: message.startsWith('Step 2') ? { color: 'blue' } : { name: 'Alice', ok: true, context: 'tests' },
    });
    assert.equal(textOf(await old.call('test_input_required_result_request_state')), 'state-ok accept');
    assert.equal(textOf(await old.call('test_input_required_result_multi_round')), 'you like blue');
    const { messages } = await old.client.getPrompt({ name: 'test_input_required_result_prompt' });
    assert.match(messages[0].content.text, /tests/);
  });
  await step('… sets the log level and has lines from then on', async () => {
    await old.call('test_logging_tool');
    await old.client.setLoggingLevel('info');
    await old.call('test_tool_with_logging');
    await old.told.wait(({ method, params }) => method === 'notifications/message' && /completed/.test(params.data));
    const lines = old.told.all.filter(({ method }) => method === 'notifications/message').map(({ params }) => params.data);
    assert.deepEqual(lines, ['Tool execution started', 'Tool processing data', 'Tool execution completed']);
  });
  await step('… subscribes to a resource and to changes of lists', async () => {
    await old.client.subscribeResource({ uri: kWatched });
    await old.call('test_trigger_resource_update');
    await old.told.wait(({ method, params }) => method === 'notifications/resources/updated' && params.uri === kWatched);
    await old.client.unsubscribeResource({ uri: kWatched });
    await old.call('test_trigger_tool_change');
    await old.told.wait(({ method }) => method === 'notifications/tools/list_changed');
    await old.call('test_trigger_tool_change');
  });
  await step('… is asked only what it can do', async () => {
    const plain = await connectV1(modern_url, 'bob', {});
    assert.equal(textOf(await plain.call('test_input_required_result_capabilities')), 'nothing to ask');
    const result = await plain.call('test_input_required_result_elicitation').then(
      (answer) => answer.isError === true,
      () => true,
    );
    assert.ok(result, 'bob can not be asked for a name');
    assert.match(textOf(await plain.call('test_simple_text')), /simple text/);
    await plain.transport.terminateSession();
    await plain.client.close();
  });
  await old.transport.terminateSession();
  await old.client.close();
}

for (const [kind, url] of [['2025-11-25', legacy_url], ['2026-07-28', modern_url]]) {
  let person;
  await step(`a client of 2026-07-28 connects to a server of ${kind}`, async () => {
    person = await connectV2(url, 'carol', kAllCapabilities, kPinned);
    assert.equal(person.client.getNegotiatedProtocolVersion(), '2026-07-28');
  });
  if (person === undefined) continue;
  await step(`… lists, calls, reads and completes (${kind})`, async () => {
    assert.ok(namesOf(await person.client.listTools()).includes('test_simple_text'));
    assert.match(textOf(await person.call('test_simple_text')), /simple text/);
    assert.equal((await person.call('test_error_handling')).isError, true);
    assert.ok((await person.client.listPrompts()).prompts.length >= 5);
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
    const { completion } = await person.client.complete({ ref, argument: { name: 'arg1', value: 'par' } });
    assert.deepEqual(completion.values, ['paris', 'park', 'party']);
    await assert.rejects(person.client.readResource({ uri: 'test://nothing' }), (error) => error.code === -32602);
  });
  await step(`… has progress (${kind})`, () => hasProgress(person));
  await step(`… has progress before and after it is asked (${kind})`, () => hasProgressAroundInput(person));
  await step(`… is asked by input_required (${kind})`, async () => {
    assert.equal(textOf(await person.call('test_input_required_result_elicitation')), 'Hello, the user of carol!');
    assert.equal(textOf(await person.call('test_input_required_result_sampling')), 'the model of carol');
    assert.equal(textOf(await person.call('test_input_required_result_list_roots')), 'file:///home/carol');
    assert.match(textOf(await person.call('test_input_required_result_multiple_inputs')), /^the model of carol the user/);
  });
  await step(`… listens for changes and updates (${kind})`, async () => {
    const heard = [];
    const all = ['notifications/tools/list_changed', 'notifications/resources/updated'];
    const both = new Promise((done) => {
      for (const method of all) {
        person.client.setNotificationHandler(method, () => {
          if (!heard.includes(method)) heard.push(method);
          if (heard.length === all.length) done();
        });
      }
    });
    const subscription = await person.client.listen({ toolsListChanged: true, resourceSubscriptions: [kWatched] });
    await person.call('test_trigger_tool_change');
    await person.call('test_trigger_resource_update');
    await both;
    await subscription.close();
    await person.call('test_trigger_tool_change');
  });
  await person.client.close();
}
finish();
