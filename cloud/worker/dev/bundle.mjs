// The Worker as one module, the way wrangler makes it. Also of what Pages runs (src/pages.ts).
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

export async function bundle(entry = "src/index.ts", define = {}) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    define,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2024",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser", "import"],
    external: ["cloudflare:*", "node:*"],
    write: false,
    logLevel: "error",
  });
  return result.outputFiles[0].text;
}
