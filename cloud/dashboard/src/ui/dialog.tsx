import { AlertDialog, Dialog } from "radix-ui";
import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";

// These open without a trigger of their own, so what had the focus is remembered here, and has it again; what is gone by then leaves it to the page.
function useFocusBack(open: boolean): (event: Event) => void {
  const before = useRef<Element>(null);
  const was = useRef(false);
  if (open && !was.current) before.current = document.activeElement;
  was.current = open;
  return (event) => {
    event.preventDefault();
    const back = before.current?.isConnected ? before.current : document.getElementById("main");
    if (back instanceof HTMLElement) back.focus({ preventScroll: true });
  };
}

export function Modal({ open, close, title, description, children, wide = false }: { open: boolean; close(): void; title: string; description?: ReactNode; children: ReactNode; wide?: boolean }) {
  const focusBack = useFocusBack(open);
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && close()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className={wide ? "dialog wide" : "dialog"} onCloseAutoFocus={focusBack} {...(description === undefined ? { "aria-describedby": undefined } : {})}>
          <Dialog.Title>{title}</Dialog.Title>
          {description !== undefined && <Dialog.Description className="muted">{description}</Dialog.Description>}
          {children}
          <Dialog.Close className="button icon ghost dialog-close" aria-label="Close">
            <X aria-hidden />
          </Dialog.Close>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

export interface Question {
  title: string;
  description: ReactNode;
  action: string; // the word on the button
  not?: string; // what is said where it failed: "Not restarted"
  name?: string; // must be typed: for what can't be taken back
  dangerous?: boolean;
  body?: ReactNode; // what it would do, to be looked at; makes it wide
  blocked?: boolean; // that is not known yet, or nothing is to be done
  run(): Promise<void>;
}

// Asks before it is done. Stays open until it is, or says why it failed.
export function Confirm({ question, close }: { question: Question | undefined; close(): void }) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  // A question whose answer means something else now is another one.
  const { title, name, blocked = false } = question ?? {};
  useEffect(() => {
    setTyped("");
    setProblem("");
    setBusy(false);
  }, [question === undefined, title, name, blocked]);
  const focusBack = useFocusBack(question !== undefined);
  if (question === undefined) return null;
  const ready = !blocked && (name === undefined || typed === name);
  const act = async () => {
    setBusy(true);
    setProblem("");
    try {
      await question.run();
      close();
    } catch (error) {
      setProblem(`${question.not ?? "Not done"}: ${(error as Error).message}`);
      setBusy(false);
    }
  };
  return (
    <AlertDialog.Root open onOpenChange={(next) => !next && close()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="overlay" />
        <AlertDialog.Content className={question.body === undefined ? "dialog" : "dialog wide"} onCloseAutoFocus={focusBack}>
          <AlertDialog.Title>{question.title}</AlertDialog.Title>
          <AlertDialog.Description asChild>
            <div className="muted">{question.description}</div>
          </AlertDialog.Description>
          {question.body}
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (ready && !busy) void act();
            }}
          >
            {question.name !== undefined && (
              <label className="field">
                <span>
                  Type <code>{question.name}</code> to go on
                </span>
                <input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} autoFocus />
              </label>
            )}
            <p className="problem" role="alert">
              {problem}
            </p>
            <div className="dialog-end">
              <AlertDialog.Cancel className="button" type="button">
                Cancel
              </AlertDialog.Cancel>
              <button type="submit" className={question.dangerous ? "button danger" : "button primary"} disabled={!ready || busy}>
                {busy ? "Working…" : question.action}
              </button>
            </div>
          </form>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
