// Who is looking, and at what. Behind Cloudflare Access it is known; else a token is asked for, once, and kept in a cookie that no script reads.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import { api, ApiError, type Feature, result } from "../api/client";
import { workerOrigin } from "../api/origin";
import { host, whoami } from "../api/queries";
import { Logo } from "../ui/logo";
import { Failed, Loading } from "../ui/states";

export interface Person {
  name: string;
  role: "viewer" | "operator";
  via: string | undefined;
}

export function usePerson(): Person | undefined {
  const { data } = useQuery(whoami);
  return data?.kind === "person" && data.role ? { name: data.name ?? "", role: data.role, via: data.via } : undefined;
}
export const useMayAct = (): boolean => usePerson()?.role === "operator";
// Whether whoever serves this page can do that; what it can't is left out.
export const useCan = (feature: Feature): boolean => useQuery(host).data?.features.includes(feature) ?? false;
export const useOfNode = (): boolean => useQuery(host).data?.host === "node";

// Who is known by Access is known again with the next request: only Access signs him out.
export async function signOut(person: Person | undefined): Promise<void> {
  await api.DELETE("/v1/session");
  location.assign(person?.via === "access" ? `${workerOrigin}/cdn-cgi/access/logout` : "/-/");
}

function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const client = useQueryClient();
  const ofNode = useOfNode();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await result(api.POST("/v1/session", { headers: { Authorization: `Bearer ${token.trim()}` } }));
      setToken("");
      await client.resetQueries();
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 401 ? ofNode ? "This token was used, or it is too old: mcpctl dashboard makes a new one." : "This token is not known, or it has expired." : (error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <title>Sign in · mcpfleet</title>
      <form className="card sign-in-card" onSubmit={(event) => void submit(event)}>
        <Logo />
        <h1>Sign in to your fleet</h1>
        {ofNode ? (
          <p className="muted">
            Run <code>mcpctl dashboard</code> on this node and open the address that it prints. It is good once, for five minutes; or paste what stands behind its “#”.
          </p>
        ) : (
          <p className="muted">Paste an API token of this Worker. It is checked once and not kept in the page. Behind Cloudflare Access you never see this.</p>
        )}
        <label className="field">
          <span>{ofNode ? "Token" : "API token"}</span>
          <input type="password" value={token} onChange={(event) => setToken(event.target.value)} autoComplete="current-password" required aria-describedby="sign-in-problem" aria-invalid={problem !== ""} autoFocus />
        </label>
        <p id="sign-in-problem" className="problem" role="alert">
          {problem}
        </p>
        <button type="submit" className="button primary wide" disabled={busy || token.trim() === ""}>
          <KeyRound aria-hidden /> {busy ? "Checking…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

export function Gate({ children }: { children: ReactNode }) {
  const { data, error, isPending, refetch } = useQuery(whoami);
  const about = useQuery(host);
  if (isPending || about.isPending) return <Loading what="Asking who you are" whole />;
  if (error instanceof ApiError && error.status === 401) return <SignIn />;
  const failed = error ?? about.error;
  if (failed !== null) return <Failed error={failed} retry={() => void (error === null ? about.refetch() : refetch())} whole />;
  if (data === undefined) return <Loading what="Asking who you are" whole />;
  if (data.kind !== "person" || !data.role)
    return (
      <main className="sign-in">
      <title>Sign in · mcpfleet</title>
        <div className="card sign-in-card">
          <Logo />
          <h1>No role in this fleet</h1>
          <p className="muted">You are {data.name ?? "known"}, but nobody gave you a role. Ask for `viewers` or `operators` in the Worker’s settings (access).</p>
        </div>
      </main>
    );
  return children;
}
