// Types and schemas from where they are said: the Worker's OpenAPI description and crd/*.yaml.
//   node scripts/generate.mjs [--check]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";
import openapiTS, { astToString } from "openapi-typescript";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "mcpfleet-generate-"));
const made = {};
try {
  const description = join(dir, "openapi.json");
  execFileSync(at("../../worker/dev/node"), [at("../../worker/scripts/openapi.mjs"), description], { stdio: "inherit" });
  made["../src/api/schema.d.ts"] = `// Made by npm run generate from the Worker's OpenAPI description.\n${astToString(await openapiTS(JSON.parse(readFileSync(description, "utf8"))))}`;
} finally {
  rmSync(dir, { recursive: true });
}

// What an editor needs of the schemas: names, descriptions, values. Rules and bounds are checked by the Worker.
function forEditor(schema) {
  const kept = {};
  for (const key of ["type", "description", "enum", "default", "format", "example", "required"]) if (schema[key] !== undefined) kept[key] = schema[key];
  if (schema.properties) kept.properties = Object.fromEntries(Object.entries(schema.properties).map(([name, member]) => [name, forEditor(member)]));
  if (schema.items) kept.items = forEditor(schema.items);
  if (typeof schema.additionalProperties === "object") kept.additionalProperties = forEditor(schema.additionalProperties);
  return kept;
}
const crd = JSON.parse(readFileSync(at("../../worker/src/manifest/crd.json"), "utf8"));
made["../src/api/crd.json"] = `${JSON.stringify(Object.fromEntries(Object.entries(crd).map(([kind, { schema }]) => [kind, forEditor(schema)])), null, 1)}\n`;

const plain = (schema) =>
  schema === null || typeof schema !== "object"
    ? schema
    : Array.isArray(schema)
      ? schema.map(plain)
      : Object.fromEntries(Object.entries(schema).filter(([key]) => !key.startsWith("x-") && key !== "format").map(([key, value]) => [key, plain(value)]));
let types = "";
for (const [kind, { schema }] of Object.entries(crd))
  types += await compile({ ...plain(schema), additionalProperties: false }, kind, { bannerComment: "", additionalProperties: false, format: false });
made["../src/api/crd.d.ts"] = `// Made by npm run generate from crd/*.yaml.\n${types}`;

let stale = 0;
for (const [path, text] of Object.entries(made)) {
  if (process.argv[2] !== "--check") writeFileSync(at(path), text);
  else if (readFileSync(at(path), "utf8") !== text) {
    console.error(`${path.slice(3)} is out of date: npm run generate in cloud/dashboard`);
    stale = 1;
  }
}
process.exit(stale);
