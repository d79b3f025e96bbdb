// The official SDK's client and Node's own fetch against an https endpoint: tls_client.mjs URL. Whom to trust is told
// by NODE_EXTRA_CA_CERTS alone, as a user would. The SDK is looked for from $NPM_PACKAGES, a directory with node_modules.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NPM_PACKAGES}/package.json`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

const url = process.argv[2];
const health = await fetch(url.replace(/mcp$/, 'healthz'));
assert.equal(health.status, 200);

const client = new Client({ name: 'tls', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const message = 'x'.repeat(300_000);
const echoed = await client.callTool({ name: 'echo', arguments: { message } });
assert.equal(echoed.content[0].text, message);
let progress = 0;
await client.callTool({ name: 'progress', arguments: { count: 3 } }, undefined, { onprogress: () => ++progress });
assert.equal(progress, 3);
await client.close();
console.log('ok');
