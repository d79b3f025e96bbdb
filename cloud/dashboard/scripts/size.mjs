// What the first view costs: everything that the page loads before anybody clicks, gzipped, its font included. Fails above the budget.
import { readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 250_000;
const root = new URL("../../worker/public/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", root), "utf8"));
const files = new Set(["index.html"]);
const visit = (key) => {
  const chunk = manifest[key];
  if (files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) visit(next);
};
visit("index.html");
// The overview draws a chart as soon as it is there.
visit("src/ui/chart.tsx");
// Of the font's files a browser takes those whose letters it needs: for an English page the Latin one.
for (const file of manifest["index.html"].assets ?? []) if (/-latin-wght-/.test(file)) files.add(file);
if (![...files].some((file) => file.endsWith(".woff2"))) throw new Error("the font is not counted");
let sum = 0;
for (const file of files) sum += file.endsWith(".woff2") ? statSync(new URL(file, root)).size : gzipSync(readFileSync(new URL(file, root))).length;
console.log(`first view: ${(sum / 1000).toFixed(1)} kB gzip in ${files.size} files, budget ${BUDGET / 1000}`);
for (const file of files) {
  const text = readFileSync(new URL(file, root), "utf8");
  if (file.endsWith(".html") && /<script(?![^>]*\bsrc=)|<style|\son\w+=/i.test(text)) {
    console.error(`${file}: has an inline script, style or handler`);
    process.exit(1);
  }
}
process.exit(sum > BUDGET ? 1 : 0);
