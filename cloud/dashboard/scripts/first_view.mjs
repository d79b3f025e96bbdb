// The files that the page loads before anybody clicks, by vite's manifest: what the entry imports, what the overview asks for as soon as it
// is drawn, the font. test/e2e/views.test.mjs holds the list to what a browser really asks for.
import { readdirSync, readFileSync } from "node:fs";

export const built = new URL("../../worker/public/", import.meta.url);
const OVERVIEW = "src/pages/overview.tsx";
// Vite's: so much of a file's content hash, after its name.
const HASHED = /^(.+)-[\w-]{8}\.\w+$/;

export const readManifest = () => JSON.parse(readFileSync(new URL(".vite/manifest.json", built), "utf8"));

// Modules that the overview loads by itself: each import("…") in it.
function loadedBy(module, manifest) {
  const source = readFileSync(new URL(`../${module}`, import.meta.url), "utf8");
  return [...source.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, path]) => {
    const { pathname } = new URL(path, `file:///${module}`);
    const key = [".tsx", ".ts"].map((end) => `${pathname.slice(1)}${end}`).find((each) => each in manifest);
    if (key === undefined) throw new Error(`${module} loads ${path}, which is no file of its own in the manifest`);
    return key;
  });
}

export function firstView(manifest = readManifest()) {
  const files = new Set(["index.html"]);
  const visit = (key) => {
    const chunk = manifest[key];
    if (files.has(chunk.file)) return;
    files.add(chunk.file);
    for (const css of chunk.css ?? []) files.add(css);
    for (const next of chunk.imports ?? []) visit(next);
  };
  visit("index.html");
  for (const key of loadedBy(OVERVIEW, manifest)) visit(key);
  // Of the font's files a browser takes those whose letters it needs: for an English page the Latin one.
  const latin = (manifest["index.html"].assets ?? []).filter((file) => /-latin-wght-/.test(file));
  if (latin.length === 0) throw new Error("the font is not counted");
  return [...files, ...latin];
}

// Files that may be kept for ever (cloud/worker/src/routes/dashboard.ts) and have no hash of their content in their name.
export function unhashed(manifest = readManifest()) {
  const entries = Object.values(manifest);
  const nameOf = new Map(entries.map(({ file, name, src }) => [file, name ?? src?.replace(/^.*\//, "").replace(/\.\w+$/, "")]));
  const known = new Set(entries.flatMap(({ file, css = [], assets = [] }) => [file, ...css, ...assets]));
  return readdirSync(new URL("assets/", built))
    .map((name) => `assets/${name}`)
    .filter((file) => {
      const stem = HASHED.exec(file.slice("assets/".length))?.[1];
      const name = nameOf.get(file);
      // A style's key in the manifest has its hash already.
      return stem === undefined || !known.has(file) || (name !== undefined && name !== stem && !name.includes(`${stem}-`));
    });
}
