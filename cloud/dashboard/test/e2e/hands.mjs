// What a person does on a page.
import assert from "node:assert/strict";
import { deadline } from "./fleet.mjs";

export const go = (page, name) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).click();

// Into the editor, instead of what stands there.
export async function write(page, text) {
  await page.locator(".cm-content").first().click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.evaluate((value) => navigator.clipboard.writeText(value), text);
  await page.keyboard.press("ControlOrMeta+v");
}

// Says yes to a question; `name`: what it wants typed first, and nothing without.
export async function confirm(page, button, name) {
  const dialog = page.getByRole("alertdialog");
  await dialog.waitFor();
  assert.equal(await dialog.getByRole("button", { name: button }).isDisabled(), name !== undefined, "it asks for the name, or it does not");
  if (name !== undefined) await dialog.getByRole("textbox").fill(name);
  await dialog.getByRole("button", { name: button }).click();
  await dialog.waitFor({ state: "detached", timeout: deadline });
}
