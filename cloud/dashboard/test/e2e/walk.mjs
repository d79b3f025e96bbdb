// Every page, and what is asked of each wherever it is walked through: axe finds nothing, it is no wider than the window, a picture is kept.
import assert from "node:assert/strict";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { shots } from "./fleet.mjs";

// A fleet that is walked through has these servers and nodes.
export const PAGES = ["", "servers", "servers/default/weather", "servers/default/weather?tab=usage", "servers/default/maps?tab=tools", "servers/default/weather?tab=logs", "servers/default/weather?tab=yaml", "servers/default/weather?tab=history", "servers/default/github", "nodes", "nodes/edge-02", "nodes/edge-03", "alerts", "alerts?tab=seen", "alerts?tab=past", "alerts?tab=uptime", "logs", "apply", "history", "audit", "nowhere"];
export const nameOf = (path) => path.replaceAll(/[/?=]+/g, "-") || "overview";

export async function settled(page) {
  await page.waitForLoadState("networkidle");
  await page.locator(".spinner").first().waitFor({ state: "detached" }).catch(() => undefined);
}
export async function axe(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id, nodes: found }) => `${id}: ${found.map((node) => `${node.target} ${node.failureSummary ?? ""}`).slice(0, 3).join(" | ")}`), [], where);
}
// As it stands, in both themes; the page follows the system's. `shoot` gets the theme's name. Whatever faded in is there by then.
export async function axeInBoth(page, where, shoot = () => undefined) {
  for (const theme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.waitForFunction((wanted) => document.documentElement.dataset.theme === wanted, theme);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))); // what the change of colours begins has begun
    await page.waitForFunction(() => document.getAnimations().every(({ playState, effect }) => playState !== "running" || effect.getComputedTiming().endTime > 1000));
    await axe(page, `${where}, ${theme}`);
    await shoot(theme);
  }
}
export const shoot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
// Nothing is wider than the window, and no square of the map is behind an edge.
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth && [...document.querySelectorAll(".map-cells")].every((cells) => cells.scrollWidth <= cells.clientWidth));
