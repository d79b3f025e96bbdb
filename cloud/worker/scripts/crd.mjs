// The schemas of the kinds that people write, from crd/*.yaml, as the Worker and the dashboard have them compiled in: src/manifest/crd.json.
//   node scripts/crd.mjs [--check]
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const place = fileURLToPath(new URL("../src/manifest/crd.json", import.meta.url));
const kinds = {};
for (const file of ["mcpserver", "mcpnode"]) {
  const { spec } = parse(readFileSync(new URL(`../../../crd/${file}.yaml`, import.meta.url), "utf8"));
  const { status: _, ...properties } = spec.versions[0].schema.openAPIV3Schema.properties;
  kinds[spec.names.kind] = {
    namespaced: spec.scope === "Namespaced",
    schema: { ...spec.versions[0].schema.openAPIV3Schema, properties },
  };
}
const text = `${JSON.stringify(kinds, null, 1)}\n`;
if (process.argv[2] !== "--check") writeFileSync(place, text);
else if (readFileSync(place, "utf8") !== text) {
  console.error("src/manifest/crd.json is not that of crd/*.yaml: run npm run generate in cloud/worker");
  process.exit(1);
}
