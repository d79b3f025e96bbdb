// What an account needs for the Worker, and what of it is there already. Pure: the caller asks and acts.

export const BINDINGS = ["CONFIG", "DEVICE_TOKENS", "SERVER_STATE"];
export const BUCKET = "mcp-logs";
// Secrets that the Worker can make up itself; the others are the operator's to give.
export const GENERATED_SECRETS = ["SESSION_KEY", "WEBHOOK_KEY"];

export const titleOf = (environment, binding) =>
  `mcpfleet-${environment}-${binding.toLowerCase().replaceAll("_", "-")}`;
export const bucketOf = (environment) => (environment === "production" ? BUCKET : `${BUCKET}-${environment}`);

// `has` is what the account holds now: namespaces [{id, title}], buckets [name], secrets [name].
// The steps in their order; each says what it does and whether that is done already.
export function plan(environment, has, settings) {
  const steps = [];
  for (const binding of BINDINGS) {
    const title = titleOf(environment, binding);
    const found = has.namespaces.find((namespace) => namespace.title === title);
    steps.push({
      kind: "namespace",
      binding,
      title,
      id: found?.id,
      done: found !== undefined,
      says: `KV namespace ${title} for ${binding}`,
    });
  }
  const bucket = bucketOf(environment);
  steps.push({
    kind: "bucket",
    name: bucket,
    done: has.buckets.includes(bucket),
    says: `R2 bucket ${bucket} for logs`,
  });
  const days = settings.logRetentionDays ?? 30;
  steps.push({
    kind: "lifecycle",
    bucket,
    days,
    done: false,
    says: `lifecycle rule: objects below logs/ of ${bucket} end after ${days} days`,
  });
  steps.push({
    kind: "environment",
    name: environment,
    done: false,
    says: `environment "${environment}" in wrangler.jsonc`,
  });
  steps.push({ kind: "deploy", name: environment, done: false, says: `deploy the Worker mcpfleet-${environment}` });
  for (const name of GENERATED_SECRETS) {
    steps.push({
      kind: "secret",
      name,
      done: has.secrets.includes(name),
      says: `secret ${name} (random, seen by nobody)`,
    });
  }
  steps.push({
    kind: "operator",
    name: "API_TOKENS",
    done: has.secrets.includes("API_TOKENS"),
    says: "secret API_TOKENS with the hash of a new operator token, which is shown once",
  });
  return steps;
}

// The environment as wrangler.jsonc takes it. Bindings are not inherited by environments, so all are there.
export function environmentFor(environment, ids, base, { account, route, settings }) {
  return {
    ...(account ? { account_id: account } : {}),
    ...(route ? { routes: [{ pattern: route, custom_domain: true }] } : {}),
    kv_namespaces: BINDINGS.map((binding) => ({ binding, id: ids[binding] })),
    r2_buckets: [{ binding: "LOGS", bucket_name: bucketOf(environment) }],
    durable_objects: base.durable_objects,
    ratelimits: base.ratelimits,
    vars: { SETTINGS: JSON.stringify(settings) },
  };
}

// Puts `value` as member `name` of "env" into the text of a wrangler.jsonc, whose comments stay.
export function withEnvironment(text, name, value) {
  const body = JSON.stringify(value, null, 2).replaceAll("\n", "\n    ");
  const start = text.search(/^ {2}"env": \{$/m);
  if (start < 0) throw new Error('wrangler.jsonc: has no line `  "env": {`');
  const own = new RegExp(`^ {4}"${name}": \\{$`, "m");
  const from = text.search(own);
  if (from < 0) {
    const at = text.indexOf("{", start) + 1;
    return `${text.slice(0, at)}\n    "${name}": ${body},${text.slice(at)}`;
  }
  const end = /^ {4}\}/m.exec(text.slice(from));
  if (end === null) throw new Error(`wrangler.jsonc: the environment "${name}" does not end`);
  return `${text.slice(0, from)}    "${name}": ${body}${text.slice(from + end.index + end[0].length)}`;
}
