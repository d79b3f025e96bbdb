// The dashboard's files (cloud/dashboard, built into public/). Below "/-", which no namespace can be named, so that no page is in the way
// of a routed server. The files are no secret; all that they show is asked for with the person's own credentials. Used by the Worker, and by
// Cloudflare Pages where the dashboard has an origin of its own (cloud/dashboard/pages/worker.ts).
const NONCE = "__CSP_NONCE__";
// Where the page finds the Worker; empty: at its own origin.
export const WORKER_META = '<meta name="mcpfleet-worker" content="" />';

export interface PageFiles {
  read(path: string): Promise<Response | undefined>;
  page: string; // what `read` knows the page as
  worker?: string; // the Worker's origin, where it is another one
}

// Scripts are files of this origin and nothing else; styles too, and those that CodeMirror makes, by a number that is good once.
function policyFor(connect: string, nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src 'self' ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

const plain = (text: string, status: number) => new Response(`${text}\n`, { status, headers: { "Content-Type": "text/plain; charset=utf-8" } });

export async function servePage(url: URL, files: PageFiles): Promise<Response> {
  const path = url.pathname.slice("/-".length);
  if (/^\/(assets\/|favicon\.svg$)/.test(path)) {
    const file = await files.read(path);
    if (file === undefined) return plain("no such file: the page is of another version, load it again", 404);
    const headers = new Headers({ "Content-Type": file.headers.get("Content-Type") ?? "application/octet-stream" });
    // Its name has the hash of its content.
    headers.set("Cache-Control", path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "public, max-age=86400");
    return new Response(file.body, { headers });
  }
  const page = await files.read(files.page);
  if (page === undefined) return plain("the dashboard is not built: npm run build in cloud/dashboard", 404);
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { worker } = files;
  const html = (await page.text()).replaceAll(NONCE, nonce);
  const connect = worker === undefined ? `ws://${url.host} wss://${url.host}` : `${worker} ${worker.replace(/^http/, "ws")}`;
  return new Response(worker === undefined ? html : html.replace(WORKER_META, WORKER_META.replace('""', `"${worker}"`)), {
    headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policyFor(connect, nonce) },
  });
}

// Of a binding of assets: the file, or undefined for any answer that is none.
export async function readAsset(assets: { fetch(request: Request): Promise<Response> } | undefined, url: URL): Promise<Response | undefined> {
  const response = await assets?.fetch(new Request(url, { redirect: "manual" }));
  if (response?.ok) return response;
  await response?.body?.cancel();
  return undefined;
}
