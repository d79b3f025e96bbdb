// Writes the OpenAPI description of the Worker to stdout, or to the file that is named. It is what /v1/openapi.json
// serves, made from the same schemas.
import { writeFileSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../test/e2e/server.mjs";

const dir = mkdtempSync(join(tmpdir(), "mcpfleet-openapi-"));
const server = await start(dir);
try {
  const document = await (await fetch(`${server.url}/v1/openapi.json`)).json();
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (process.argv[2]) writeFileSync(process.argv[2], text);
  else process.stdout.write(text);
} finally {
  await server.end();
  rmSync(dir, { recursive: true });
}
