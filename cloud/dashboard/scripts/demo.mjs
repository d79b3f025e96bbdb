// The dashboard with a played fleet, to look at: npm run demo. Prints the URL and a token.
import { remove, startWorker, temporary } from "../test/e2e/fleet.mjs";
import { playFleet } from "./played_fleet.mjs";

const dir = temporary();
const worker = await startWorker(dir);
const nodes = await playFleet(worker);
console.log(`${worker.url}/-/  token ${worker.operator}`);
process.on("SIGINT", () => {
  for (const node of nodes) node.close();
  void worker.end().then(() => {
    remove(dir);
    process.exit(0);
  });
});
