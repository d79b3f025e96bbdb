// Makes what the Worker needs in your own Cloudflare account and writes an environment for it. Says first what it will
// do and does nothing without --yes. What is there already is used; a second run changes nothing but the deployment.
//
//   npm run provision -- --env NAME [--account ID] [--route fleet.example.com] [--settings FILE] [--yes]
//
// Before: `npx wrangler login`, or CLOUDFLARE_API_TOKEN in the environment.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BINDINGS, environmentFor, plan, withEnvironment } from "./provision/plan.mjs";
import { wrangler } from "./provision/wrangler.mjs";

const { values } = parseArgs({
  options: {
    env: { type: "string" },
    account: { type: "string" },
    route: { type: "string" },
    settings: { type: "string" },
    config: { type: "string", default: fileURLToPath(new URL("../wrangler.jsonc", import.meta.url)) },
    yes: { type: "boolean", default: false },
  },
});
if (!values.env || !/^[a-z][a-z0-9-]{0,30}$/.test(values.env)) {
  console.error(
    "usage: npm run provision -- --env NAME [--account ID] [--route fleet.example.com] [--settings FILE] [--yes]",
  );
  process.exit(2);
}
const environment = values.env;
if (environment === "production") {
  console.error(
    'the environment "production" is the owner\'s and complete: deploy it with `npm run deploy -- --env production`; choose another name for yours',
  );
  process.exit(2);
}
if (values.account) process.env.CLOUDFLARE_ACCOUNT_ID = values.account;
const settings = values.settings ? JSON.parse(readFileSync(values.settings, "utf8")) : {};

// A list that can't be had because there is no such Worker yet is an empty one.
function secrets() {
  try {
    return JSON.parse(wrangler(["secret", "list", "--name", `mcpfleet-${environment}`, "--format", "json"])).map(
      (secret) => secret.name,
    );
  } catch {
    return [];
  }
}

const has = {
  namespaces: JSON.parse(wrangler(["kv", "namespace", "list"])),
  buckets: [...wrangler(["r2", "bucket", "list"]).matchAll(/^name:\s*(\S+)$/gm)].map((match) => match[1]),
  secrets: secrets(),
};
const steps = plan(environment, has, settings);
console.log(`In ${values.account ? `the account ${values.account}` : "the account that wrangler is logged in to"}:`);
for (const step of steps)
  console.log(`  ${step.done ? "there   " : step.kind === "environment" ? "write   " : "make    "}${step.says}`);

if (!values.yes) {
  if (!process.stdin.isTTY) {
    console.log("Nothing was done. Run it again with --yes.");
    process.exit(0);
  }
  const asked = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await asked.question("Do it? [y/N] ");
  asked.close();
  if (!/^y(es)?$/i.test(answer)) {
    console.log("Nothing was done.");
    process.exit(0);
  }
}

const ids = {};
let token;
for (const step of steps) {
  if (step.kind === "namespace") {
    if (!step.done) wrangler(["kv", "namespace", "create", step.title]);
    const all = step.done ? has.namespaces : JSON.parse(wrangler(["kv", "namespace", "list"]));
    ids[step.binding] = all.find((namespace) => namespace.title === step.title)?.id;
    if (!ids[step.binding]) throw new Error(`the KV namespace ${step.title} was made but is not listed`);
  } else if (step.kind === "bucket") {
    if (!step.done) wrangler(["r2", "bucket", "create", step.name]);
  } else if (step.kind === "lifecycle") {
    const there = wrangler(["r2", "bucket", "lifecycle", "list", step.bucket]);
    if (/^name:\s*mcpfleet-logs$/m.test(there))
      wrangler(["r2", "bucket", "lifecycle", "remove", step.bucket, "--name", "mcpfleet-logs"]);
    wrangler([
      "r2",
      "bucket",
      "lifecycle",
      "add",
      step.bucket,
      "mcpfleet-logs",
      "logs/",
      "--expire-days",
      String(step.days),
      "--force",
    ]);
  } else if (step.kind === "environment") {
    const text = readFileSync(values.config, "utf8");
    const base = JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, ""));
    const made = environmentFor(environment, ids, base, { account: values.account, route: values.route, settings });
    if (BINDINGS.some((binding) => !ids[binding])) throw new Error("an id is missing");
    writeFileSync(values.config, withEnvironment(text, environment, made));
  } else if (step.kind === "deploy") {
    wrangler(["deploy", "--env", environment]);
  } else if (step.done) {
    // A secret that is there stays: a new one would end sessions and tokens.
  } else if (step.kind === "secret") {
    wrangler(["secret", "put", step.name, "--env", environment], randomBytes(32).toString("hex"));
  } else if (step.kind === "operator") {
    token = randomBytes(32).toString("hex");
    const sha256 = createHash("sha256").update(token).digest("hex");
    wrangler(
      ["secret", "put", step.name, "--env", environment],
      JSON.stringify([{ name: "operator", sha256, role: "operator" }]),
    );
  }
  console.log(`done    ${step.says}`);
}
if (token) console.log(`\nThe operator token, shown only this once:\n${token}`);
