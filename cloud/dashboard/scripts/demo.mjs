// The dashboard with a played fleet, to look at: npm run demo. Prints the URL and a token.
import { PlayedNode, server } from "../test/e2e/played.mjs";
import { remove, startWorker, temporary } from "../test/e2e/fleet.mjs";

const dir = temporary();
const worker = await startWorker(dir);
const nodes = [];
for (let index = 0; index < 12; ++index) nodes.push(await new PlayedNode(worker, `edge-${String(index + 1).padStart(2, "0")}`).connect());
const bad = { conditions: [{ type: "Ready", status: "False", reason: "CrashLoopBackOff", message: "exit code 1; started again in 40 s" }] };
for (const node of nodes) node.say(Array.from({ length: 18 }, (_, index) => server(`tool-${index}`, (index + node.name.length) % 17 === 0 && node.name === "edge-03" ? bad : {})));
console.log(`${worker.url}/-/  token ${worker.operator}`);
process.on("SIGINT", () => {
  for (const node of nodes) node.close();
  void worker.end().then(() => {
    remove(dir);
    process.exit(0);
  });
});
