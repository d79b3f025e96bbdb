// Budgets in milliseconds are those of a machine that does nothing else. In tier 1, where other tests run beside, they are stretched by how
// much slower a fixed loop runs there, before or after; with MCPFLEET_BENCH=1 (scripts/test --full: nothing else runs) they are as they stand.
import { slowness } from "./fleet.mjs";

export const bench = process.env.MCPFLEET_BENCH === "1";

// Before what is measured; the function that it gives is called after it: `slower` as measured, `factor` for the budgets.
export async function beginMeasure(page, most) {
  const before = await slowness(page, most);
  return async () => {
    const slower = Math.max(before, await slowness(page, most));
    return { slower, factor: bench ? 1 : slower };
  };
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
export const whole = (values) => values.map((value) => value.toFixed(0)).join(", ");

const LOADS = 5;
const USEFUL_MS = 1000;
const BLOCKED_MS = 200;

// Until the overview shows its figures and the first row of its map; and what of that was blocked by long tasks.
async function load(page, address, most) {
  await page.addInitScript(() => {
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
    new MutationObserver((_, observer) => {
      if (document.querySelector(".tile-value") === null || document.querySelector(".map-row") === null) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => (window.useful = performance.now()), 0));
    }).observe(document, { childList: true, subtree: true });
  });
  const measured = await beginMeasure(page, most);
  await page.goto(address);
  await page.waitForFunction(() => window.useful !== undefined);
  await page.waitForTimeout(300);
  const seen = await page.evaluate(() => ({
    useful: window.useful,
    blocked: window.long.reduce((sum, each) => sum + each - 50, 0),
    longest: Math.max(0, ...window.long),
    files: performance.getEntriesByType("resource").map(({ name, transferSize }) => ({ path: new URL(name).pathname, fetched: transferSize > 0 })).filter(({ path }) => path.startsWith("/-/assets/")),
  }));
  return { ...seen, ...(await measured()) };
}

// Cold: nothing is kept from earlier (a context of its own for each load, with the cookie of `context`). Warm: each but the first.
export async function loadsOf(browser, context, address, { most }) {
  const storageState = await context.storageState();
  const cold = [];
  const warm = [];
  for (let at = 0; at < LOADS; ++at) {
    const own = await browser.newContext({ storageState, viewport: { width: 1360, height: 900 }, reducedMotion: "reduce" });
    own.setDefaultTimeout(90_000);
    own.setDefaultNavigationTimeout(90_000);
    cold.push(await load(await own.newPage(), address, most));
    warm.push(await load(await own.newPage(), address, most));
    await own.close();
  }
  return { cold, warm };
}

// One line for both; the faults: what of it is above the budget.
export function judgeLoads({ cold, warm }, what) {
  const tell = (loads) => `${median(loads.map(({ useful }) => useful)).toFixed(0)} ms (${whole(loads.map(({ useful }) => useful))}; blocked ${whole(loads.map(({ blocked }) => blocked))})`;
  console.log(`# ${what}: useful cold after ${tell(cold)}, warm after ${tell(warm)}; machine ${Math.max(...cold.map(({ slower }) => slower)).toFixed(1)} times slower than an idle one`);
  const typical = (loads, figure) => median(loads.map((each) => each[figure] / each.factor));
  return [
    ...[["cold", cold], ["warm", warm]].filter(([, loads]) => typical(loads, "useful") > USEFUL_MS).map(([how, loads]) => `${what}: the first useful paint, ${how}, takes ${typical(loads, "useful").toFixed(0)} ms of ${USEFUL_MS}`),
    ...(typical(cold, "blocked") > BLOCKED_MS ? [`${what}: long tasks block it for ${typical(cold, "blocked").toFixed(0)} ms of ${BLOCKED_MS}`] : []),
  ];
}
