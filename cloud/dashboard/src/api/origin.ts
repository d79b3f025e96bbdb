// Where the Worker is: at the origin of the page, or, for a page that is served elsewhere (docs/dashboard.md, "On Cloudflare Pages"), where it was told.
const told = document.querySelector<HTMLMetaElement>('meta[name="mcpfleet-worker"]')?.content ?? "";

export const workerIsElsewhere = told !== "";
export const workerOrigin = workerIsElsewhere ? told : location.origin;
// Of requests with the person's cookie.
export const withCookie: RequestCredentials = workerIsElsewhere ? "include" : "same-origin";
