import { CircleAlert, CircleCheck, X } from "lucide-react";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";

interface Toast {
  id: number;
  kind: "good" | "bad";
  text: ReactNode;
}
const SHOWN = 4;
const MS = 7000;
type Say = (kind: Toast["kind"], text: ReactNode) => void;
const Context = createContext<Say>(() => {});
export const useToast = (): Say => useContext(Context);
let next = 1;

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const say = useCallback<Say>(
    (kind, text) => {
      const id = next++;
      setToasts((all) => [...all.slice(1 - SHOWN), { id, kind, text }]);
      setTimeout(() => drop(id), MS);
    },
    [drop],
  );
  const list = useMemo(
    () => (
      <div className="toasts" role="region" aria-label="Messages" aria-live="polite">
        {toasts.map(({ id, kind, text }) => (
          <div key={id} className={`toast ${kind}`}>
            {kind === "good" ? <CircleCheck aria-hidden /> : <CircleAlert aria-hidden />}
            <div>{text}</div>
            <button type="button" className="button icon ghost small" aria-label="Dismiss" onClick={() => drop(id)}>
              <X aria-hidden />
            </button>
          </div>
        ))}
      </div>
    ),
    [toasts, drop],
  );
  return (
    <Context.Provider value={say}>
      {children}
      {list}
    </Context.Provider>
  );
}
