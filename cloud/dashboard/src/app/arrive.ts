// Coming by the address that `mcpctl dashboard` prints: what stands behind "#" signs in, once. It is taken out of the address before
// anything else reads that: not into the history, not into a bookmark.
import { api, result } from "../api/client";

async function signIn(): Promise<void> {
  const token = /^#([0-9a-f]{64})$/.exec(location.hash)?.[1];
  if (token === undefined) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await result(api.POST("/v1/session", { headers: { Authorization: `Bearer ${token}` } }));
  } catch {
    // Used before, or too old: whoever has no session yet is asked to sign in.
  }
}

// When that is over, however it ended.
export const arrived = signIn();
