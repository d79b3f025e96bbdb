// What the first view costs: everything that the page loads before anybody clicks, gzipped. Fails above the budget.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 250 * 1024;
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
let sum = 0;
for (const file of files) sum += gzipSync(readFileSync(new URL(file, root))).length;
console.log(`first view: ${(sum / 1024).toFixed(0)} KiB gzip in ${files.size} files, budget ${BUDGET / 1024}`);
for (const file of files) {
  const text = readFileSync(new URL(file, root), "utf8");
  if (file.endsWith(".html") && /<script(?![^>]*\bsrc=)|<style|\son\w+=/i.test(text)) {
    console.error(`${file}: has an inline script, style or handler`);
    process.exit(1);
  }
}
process.exit(sum > BUDGET ? 1 : 0);
