// Validates rendered manifests (a JSON array on stdin) against the schemas of Kubernetes and the Prometheus Operator,
// unknown fields refused: validate.mjs NODE_MODULES
//
// The schemas of kubernetes-models are compiled functions that take no notice of unknown fields. But they ask for every
// field that they know, and go through all keys of a free map: so an object that records what it is asked for tells
// which of its fields nobody knows.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];
const require = createRequire(`${modules}/.`);
const GROUPS = { "": "Core", apps: "Apps", policy: "Policy", "networking.k8s.io": "Networking", "rbac.authorization.k8s.io": "Rbac", "scheduling.k8s.io": "Scheduling" };

// [package, schema] of an object.
function schemaOf({ apiVersion, kind }) {
  const [version, group = ""] = apiVersion.split("/").reverse();
  const name = version[0].toUpperCase() + version.slice(1) + kind;
  if (group === "monitoring.coreos.com") return ["@kubernetes-models/prometheus-operator", `ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoring${name}`];
  if (group === "apiextensions.k8s.io") return ["kubernetes-models", `IoK8sApiextensionsApiserverPkgApisApiextensions${name}`];
  if (!Object.hasOwn(GROUPS, group)) throw new Error(`the group "${group}" is not in validate.mjs`);
  return ["kubernetes-models", `IoK8sApi${GROUPS[group]}${name}`];
}

async function validatorOf(object) {
  const [name, schema] = schemaOf(object);
  const directory = require.resolve(`${name}/package.json`).replace(/package\.json$/, "");
  return (await import(pathToFileURL(`${directory}_schemas/${schema}.js`))).validate;
}

// Fields that are asked for by nobody though they are known: what a schema lets be anything, `description` and some that the
// package leaves out.
const FREE = /\.(default|example|enum|description|x-kubernetes-(validations|list-type|list-map-keys|map-type|int-or-string|preserve-unknown-fields|embedded-resource))(\.|\[|$)/;

// A view of `value` that notes in `asked` which fields of it were looked at.
function watched(value, path, asked) {
  if (value === null || typeof value !== "object") return value;
  const children = new Map();
  const known = new Set();
  asked.push({ value, path, known });
  const look = (key) => {
    if (typeof key !== "string" || !Object.hasOwn(value, key)) return value[key];
    known.add(key);
    const below = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    if (!children.has(key)) children.set(key, watched(value[key], below, asked));
    return children.get(key);
  };
  return new Proxy(value, {
    get: (_, key) => look(key),
    has: (_, key) => (known.add(key), key in value),
    ownKeys: () => (Object.keys(value).forEach((key) => known.add(key)), Reflect.ownKeys(value)),
  });
}

const problems = [];
let count = 0;
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const id = `${object.kind}/${object.metadata?.name}`;
  let validate;
  try {
    validate = await validatorOf(object);
  } catch (error) {
    problems.push(`${id}: no schema of ${object.apiVersion}: ${error.message.split("\n")[0]}`);
    continue;
  }
  ++count;
  const asked = [];
  if (!validate(watched(object, "", asked))) {
    for (const { instancePath, message, keyword, params } of validate.errors) problems.push(`${id}: ${instancePath || "/"}: ${message ?? `${keyword} ${JSON.stringify(params)}`}`);
  }
  for (const { value, path, known } of asked) {
    if (Array.isArray(value) || known.size === 0) continue; // of the latter nobody asked anything: it may be anything
    for (const key of Object.keys(value)) {
      if (!known.has(key) && !FREE.test(`${path}.${key}`)) problems.push(`${id}: ${path}.${key}: unknown field`);
    }
  }
}
for (const problem of [...new Set(problems)]) console.log(problem);
console.log(`${count} objects, ${problems.length} problems`);
process.exit(problems.length > 0 || count === 0 ? 1 : 0);
