// The dashboard at an origin of its own: what Cloudflare Pages runs in front of the files (its "advanced mode": _worker.js). The same page as the
// Worker serves, told where the Worker is. Made by cloud/dashboard/scripts/pages.mjs, which sets WORKER_ORIGIN.
import { harden } from "./http/harden.js";
import { readAsset, servePage } from "./http/page.js";

declare const WORKER_ORIGIN: string;

interface PagesEnv {
  ASSETS: { fetch(request: Request): Promise<Response> };
}

async function answerTo(request: Request, env: PagesEnv): Promise<Response> {
  const url = new URL(request.url);
  if (request.method !== "GET" && request.method !== "HEAD") return new Response("files only\n", { status: 405, headers: { Allow: "GET, HEAD" } });
  if (url.pathname === "/") return new Response(null, { status: 302, headers: { Location: "/-/" } });
  if (!url.pathname.startsWith("/-/")) return new Response(`not here: requests of clients go to ${WORKER_ORIGIN}\n`, { status: 404, headers: { "Content-Type": "text/plain; charset=utf-8" } });
  // Pages knows index.html as its folder, and redirects from the name.
  return servePage(url, { page: "/", worker: WORKER_ORIGIN, read: (path) => readAsset(env.ASSETS, new URL(`/-${path}`, url)) });
}

export default {
  async fetch(request: Request, env: PagesEnv): Promise<Response> {
    const answer = await answerTo(request, env);
    const headers = new Headers(answer.headers);
    harden(headers);
    return new Response(answer.body, { status: answer.status, headers });
  },
};
