// The pictures of README.md, of a played fleet: npm run pictures. Their past is played too: the Worker of this run is a minute old.
import { createRequire } from "node:module";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBrowser, openPage, remove, startWorker, temporary, until } from "../test/e2e/fleet.mjs";
import { playFleet } from "./played_fleet.mjs";

const sharp = createRequire(new URL("../../worker/package.json", import.meta.url))("sharp");
const images = fileURLToPath(new URL("../../../docs/images/", import.meta.url));
const COLOURS = 256; // so many are enough, and a picture in a repository is there for ever

const dir = temporary();
const worker = await startWorker(dir);
const browser = await openBrowser();
const nodes = await playFleet(worker);

// A time in which little happened, and one thing did, as the Worker would have counted it. All servers together are never all up.
const past = ({ result, ...envelope }, mean) => ({
  ...envelope,
  result: result.map((row) => {
    const bars = (row.bars ?? []).map((_, bar, all) => (bar < all.length / 12 ? null : 1 - (mean ? 0.02 * Math.sin(bar / 5) ** 4 : 0) - (Math.abs(bar / all.length - 0.62) < 0.025 ? 0.16 : 0)));
    const known = bars.filter((bar) => bar !== null);
    const ratio = known.reduce((sum, bar) => sum + bar, 0) / known.length;
    return { ...row, bars, uptime: { ...row.uptime, ratio, knownSeconds: 1e5, upSeconds: 1e5 * ratio } };
  }),
});
async function shoot(name, path, options, settled) {
  const { page, context } = await openPage(browser, worker, { token: worker.operator, width: 1360, height: 860, ...options });
  await page.route("**/v1/uptime*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: past(await response.json(), route.request().url().includes("mean=true")) });
  });
  await page.goto(`${worker.url}/-/${path}`);
  await settled(page);
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(500);
  await sharp(await page.screenshot()).png({ palette: true, colours: COLOURS, dither: 0, effort: 10, compressionLevel: 9 }).toFile(`${images}${name}.png`);
  console.log(`docs/images/${name}.png: ${(statSync(`${images}${name}.png`).size / 1000).toFixed(0)} kB`);
  await context.close();
}

try {
  await until("a node is away", async () => (await worker.call("GET", "/v1/nodes")).filter(({ connected }) => !connected).length === 1);
  await until("what is wrong is told", async () => (await worker.call("GET", "/v1/alerts")).length > 0);
  await shoot("dashboard-overview", "", {}, (page) => page.locator(".chart canvas").waitFor());
  await shoot("dashboard-servers-dark", "servers", { theme: "dark" }, (page) => page.getByRole("link", { name: "weather" }).waitFor());
  await shoot("dashboard-usage", "servers/default/github?tab=usage", {}, (page) => page.getByRole("img", { name: /^CPU over the last hour/ }).waitFor());
} finally {
  for (const node of nodes) node.close();
  await browser.close();
  await worker.end();
  remove(dir);
}
