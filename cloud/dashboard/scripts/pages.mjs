// The build as Cloudflare Pages takes it, for a dashboard at an origin of its own: dist/ with the files and what serves them.
//   MCPFLEET_WORKER=https://fleet.example.com npm run build && npx wrangler pages deploy dist
// Without the variable there is none, and an old dist/ goes: it would be of another build.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "../../worker/dev/bundle.mjs";

const built = fileURLToPath(new URL("../../worker/public", import.meta.url));
const META = '<meta name="mcpfleet-worker" content="" />';

export async function makePages(worker, dist) {
  const url = URL.canParse(worker) ? new URL(worker) : undefined;
  const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(url?.hostname);
  if (url?.origin !== worker || !(url.protocol === "https:" || (url.protocol === "http:" && loopback)))
    throw new Error(`MCPFLEET_WORKER: "${worker}" is no origin; it must be as https://fleet.example.com, without a path (http on loopback only)`);
  // Where the page is told, by src/pages.ts of the Worker.
  if (readFileSync(join(built, "index.html"), "utf8").split(META).length !== 2) throw new Error(`index.html must have ${META} once`);
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  cpSync(built, join(dist, "-"), { recursive: true, filter: (path) => !path.slice(built.length).startsWith("/.") });
  writeFileSync(join(dist, "_worker.js"), await bundle("src/pages.ts", { WORKER_ORIGIN: JSON.stringify(worker) }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const worker = process.env.MCPFLEET_WORKER ?? "";
  rmSync(dist, { recursive: true, force: true });
  if (worker !== "") {
    await makePages(worker, dist);
    console.log(`dist/ is for Cloudflare Pages, with the Worker at ${worker}`);
  }
}
