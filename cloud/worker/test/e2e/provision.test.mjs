// npm run provision with a wrangler that only remembers: what it says, what it asks for, what it leaves.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { environmentFor, withEnvironment } from "../../scripts/provision/plan.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
let dir;
beforeEach(() => {
  if (dir) rmSync(dir, { recursive: true });
  dir = mkdtempSync(join(tmpdir(), "mcpfleet-provision-"));
  copyFileSync(join(root, "wrangler.jsonc"), join(dir, "wrangler.jsonc"));
  writeFileSync(
    join(dir, "account.json"),
    JSON.stringify({ namespaces: [], buckets: ["other"], secrets: [], lifecycle: [], calls: [] }),
  );
  // Stands in for wrangler: an account in a file, with wrangler's own output formats.
  writeFileSync(
    join(dir, "wrangler.mjs"),
    `import { readFileSync, writeFileSync } from "node:fs";
const path = ${JSON.stringify(join(dir, "account.json"))};
const account = JSON.parse(readFileSync(path, "utf8"));
const args = process.argv.slice(2);
const is = (...words) => words.every((word, i) => args[i] === word);
account.calls.push(args.slice(0, 4).join(" "));
if (is("kv", "namespace", "list")) console.log(JSON.stringify(account.namespaces));
else if (is("kv", "namespace", "create")) account.namespaces.push({ id: "id" + account.namespaces.length, title: args[3] });
else if (is("r2", "bucket", "list")) console.log(account.buckets.map((name) => "name:           " + name + "\\ncreation_date:  x\\n").join("\\n"));
else if (is("r2", "bucket", "create")) account.buckets.push(args[3]);
else if (is("r2", "bucket", "lifecycle", "list")) console.log(account.lifecycle.map((rule) => "name:    " + rule).join("\\n"));
else if (is("r2", "bucket", "lifecycle", "remove")) account.lifecycle = [];
else if (is("r2", "bucket", "lifecycle", "add")) account.lifecycle.push(args[5]);
else if (is("secret", "list")) { if (account.secrets.length === 0) { console.error("no such Worker"); process.exitCode = 1; } else console.log(JSON.stringify(account.secrets.map(({ name }) => ({ name })))); }
else if (is("secret", "put")) account.secrets.push({ name: args[2], value: readFileSync(0, "utf8") });
else if (!is("deploy")) process.exit(3);
writeFileSync(path, JSON.stringify(account));
`,
  );
});
after(() => rmSync(dir, { recursive: true }));

const account = () => JSON.parse(readFileSync(join(dir, "account.json"), "utf8"));
function provision(...args) {
  const run = spawnSync(
    process.execPath,
    [join(root, "scripts/provision.mjs"), "--config", join(dir, "wrangler.jsonc"), ...args],
    {
      encoding: "utf8",
      env: { PATH: process.env.PATH, MCPFLEET_WRANGLER: join(dir, "wrangler.mjs") },
    },
  );
  return { code: run.status, out: run.stdout, err: run.stderr };
}

test("it says what it will do, and does nothing without --yes", () => {
  const { code, out } = provision("--env", "mine");
  assert.equal(code, 0);
  for (const said of [
    "KV namespace mcpfleet-mine-config for CONFIG",
    "R2 bucket mcp-logs-mine",
    "end after 30 days",
    "deploy the Worker",
    "secret SESSION_KEY",
    "Nothing was done",
  ])
    assert.match(out, new RegExp(said));
  assert.deepEqual(account().namespaces, []);
  assert.deepEqual(account().calls, ["kv namespace list", "r2 bucket list", "secret list --name mcpfleet-mine"]);
  assert.equal(readFileSync(join(dir, "wrangler.jsonc"), "utf8"), readFileSync(join(root, "wrangler.jsonc"), "utf8"));
});

test("it makes all of it, shows the operator's token once, and a second run makes nothing twice", () => {
  writeFileSync(join(dir, "settings.json"), JSON.stringify({ logRetentionDays: 7 }));
  const given = [
    "--env",
    "mine",
    "--account",
    "acc",
    "--route",
    "fleet.example.com",
    "--settings",
    join(dir, "settings.json"),
    "--yes",
  ];
  const { code, out, err } = provision(...given);
  assert.equal(code, 0, err);
  const token = /shown only this once:\n([0-9a-f]{64})\n/.exec(out)[1];
  const made = account();
  assert.deepEqual(
    made.namespaces.map(({ title }) => title),
    ["mcpfleet-mine-config", "mcpfleet-mine-device-tokens", "mcpfleet-mine-server-state"],
  );
  assert.deepEqual(made.buckets, ["other", "mcp-logs-mine"]);
  assert.deepEqual(made.lifecycle, ["mcpfleet-logs"]);
  assert.deepEqual(
    made.secrets.map(({ name }) => name),
    ["SESSION_KEY", "WEBHOOK_KEY", "API_TOKENS"],
  );
  assert.ok(!JSON.stringify(made).includes(token), "only the token's hash is stored");
  const text = readFileSync(join(dir, "wrangler.jsonc"), "utf8");
  assert.match(text, /\/\/ The Worker\. The top level is for local development/);
  const config = JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, ""));
  assert.equal(config.env.mine.account_id, "acc");
  assert.deepEqual(
    config.env.mine.kv_namespaces.map(({ id }) => id),
    ["id0", "id1", "id2"],
  );
  assert.equal(config.env.production.account_id, "523d80131d8cba13f765b80d6bb9e096");
  const again = provision(...given);
  assert.equal(again.code, 0, again.err);
  assert.ok(!again.out.includes("shown only this once"));
  assert.equal(readFileSync(join(dir, "wrangler.jsonc"), "utf8"), text);
  assert.deepEqual({ ...account(), calls: [] }, { ...made, calls: [] });
});

test("it leaves the owner's environment alone", () => {
  assert.equal(provision("--env", "production", "--yes").code, 2);
  assert.equal(provision("--env", "Bad Name").code, 2);
  assert.ok(existsSync(join(dir, "wrangler.jsonc")));
});

test("an environment replaces its own text and nothing else", () => {
  const text = '{\n  // note\n  "name": "x",\n  "env": {\n    "production": {\n      "a": 1\n    }\n  }\n}\n';
  const once = withEnvironment(text, "mine", { b: { c: 1 } });
  const twice = withEnvironment(once, "mine", { b: { c: 2 } });
  assert.deepEqual(JSON.parse(twice.replace("// note", "")).env, { mine: { b: { c: 2 } }, production: { a: 1 } });
  assert.match(twice, /\/\/ note/);
  const made = environmentFor(
    "mine",
    { CONFIG: "1", DEVICE_TOKENS: "2", SERVER_STATE: "3" },
    { durable_objects: {}, ratelimits: [] },
    { settings: {} },
  );
  assert.deepEqual(
    made.kv_namespaces.map(({ binding }) => binding),
    ["CONFIG", "DEVICE_TOKENS", "SERVER_STATE"],
  );
});

test("the owner's environment deploys as it stands, as far as that can be seen without an account", () => {
  const out = join(dir, "out");
  const run = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/wrangler/bin/wrangler.js"),
      "deploy",
      "--dry-run",
      "--env",
      "production",
      "--outdir",
      out,
    ],
    {
      cwd: root,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: dir, WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1" },
    },
  );
  assert.equal(run.status, 0, run.stderr);
  for (const binding of [
    "env.FLEET (Fleet)",
    "env.HUB (Hub)",
    "env.CONFIG (da1294711f1942749a6996bf3f35fe90)",
    "env.DEVICE_TOKENS (accf88bbd2b24eaba87de3722e4c1588)",
    "env.SERVER_STATE (c59b2dff9bcb46978f3b552885d7bf8a)",
    "env.LOGS (mcp-logs)",
  ]) {
    assert.ok(run.stdout.includes(binding), `${binding}: ${run.stdout}`);
  }
  assert.ok(existsSync(join(out, "index.js")));
});
