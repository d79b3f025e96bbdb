// wrangler as a child, without a shell. Its own login is used; no credential passes through here.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

// The output; throws with what wrangler said when it fails.
export function wrangler(args, input) {
  const path = process.env.MCPFLEET_WRANGLER ?? `${root}node_modules/wrangler/bin/wrangler.js`;
  const run = spawnSync(process.execPath, [path, ...args], {
    cwd: root,
    encoding: "utf8",
    input: input ?? "",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1" },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Error(`wrangler ${args.join(" ")}: ${(run.stderr || run.stdout).trim()}`);
  return run.stdout;
}
