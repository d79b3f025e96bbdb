// How a page is judged by its looks: accessible, in one theme or in both.
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";

export async function axe(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary ?? ""}`).slice(0, 3).join(" | ")}`), [], where);
}

// As it stands, in both themes; the page follows the system's. `shoot` gets the theme's name. Whatever faded in is there by then.
export async function axeInBoth(page, where, shoot = () => undefined) {
  for (const theme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.waitForFunction((wanted) => matchMedia(`(prefers-color-scheme: ${wanted})`).matches && document.getAnimations().every(({ playState, effect }) => playState !== "running" || effect.getComputedTiming().endTime > 1000), theme);
    await axe(page, `${where}, ${theme}`);
    await shoot(theme);
  }
}
