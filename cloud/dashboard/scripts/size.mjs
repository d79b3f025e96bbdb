// What the first view costs: everything that the page loads before anybody clicks, gzipped, its font included. Fails above the budget.
import { readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { built, firstView, unhashed } from "./first_view.mjs";

const BUDGET = 250_000;
const files = firstView();
let sum = 0;
for (const file of files) sum += file.endsWith(".woff2") ? statSync(new URL(file, built)).size : gzipSync(readFileSync(new URL(file, built))).length;
console.log(`first view: ${(sum / 1000).toFixed(1)} kB gzip in ${files.length} files, budget ${BUDGET / 1000}`);
const faults = sum > BUDGET ? ["the first view is above its budget"] : [];
for (const file of files.filter((each) => each.endsWith(".html")))
  if (/<script(?![^>]*\bsrc=)|<style|\son\w+=/i.test(readFileSync(new URL(file, built), "utf8"))) faults.push(`${file}: has an inline script, style or handler`);
// They are served to be kept for ever.
for (const file of unhashed()) faults.push(`${file}: has no hash of its content in its name`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
