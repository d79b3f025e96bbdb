// Real MCP servers from npm behind the gateway: each is listed and called by a client of either era.
// usage: NPM_PACKAGES=DIR node npm_servers.mjs '[{"url": …, "tools": …, "call": …, "arguments": {…}, "says": …}, …]'
// `tools` is how many there are at least, `says` a part of the answer; without `call` the tools are only listed.
import { assert, connectV1, connectV2, finish, kPinned, step, textOf } from './client_kit.mjs';

for (const server of JSON.parse(process.argv[2])) {
  const name = server.url.split('/').at(-2);
  const use = async ({ client, call }) => {
    const { tools } = await client.listTools();
    assert.ok(tools.length >= server.tools, `${tools.length} tools`);
    if (server.call === undefined) return;
    const result = await call(server.call, server.arguments);
    assert.notEqual(result.isError, true, textOf(result));
    assert.ok(`${textOf(result)}${JSON.stringify(result.structuredContent ?? '')}`.includes(server.says), textOf(result));
  };
  await step(`${name}, by a client of 2025-11-25`, async () => {
    const person = await connectV1(server.url, 'alice', {});
    await use(person);
    await person.transport.terminateSession();
    await person.client.close();
  });
  await step(`${name}, by a client of 2026-07-28`, async () => {
    const person = await connectV2(server.url, 'carol', {}, kPinned);
    await use(person);
    await person.client.close();
  });
}
finish();
