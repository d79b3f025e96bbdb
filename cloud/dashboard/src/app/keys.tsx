// The keyboard: "g" and a letter goes to a page, "/" to the search of the page, "?" shows this.
import { useEffect, useRef } from "react";
import { Modal } from "../ui/dialog";

export interface Shortcut {
  key: string;
  go(): void;
}

const WAIT_MS = 1200;
const types = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function useKeys(shortcuts: readonly Shortcut[], help: () => void): void {
  const latest = useRef({ shortcuts, help });
  latest.current = { shortcuts, help };
  useEffect(() => {
    let armed = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || types(event.target) || document.querySelector('[role="dialog"],[role="alertdialog"]')) return;
      if (event.key === "?") latest.current.help();
      else if (event.key === "/") {
        const search = document.querySelector<HTMLInputElement>('main input[type="search"]');
        if (search === null) return;
        event.preventDefault();
        search.focus();
      } else if (event.key === "g") armed = Date.now();
      else if (Date.now() - armed < WAIT_MS) {
        armed = 0;
        latest.current.shortcuts.find(({ key }) => key === event.key)?.go();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

export function Keys({ open, close, places }: { open: boolean; close(): void; places: readonly { label: string; key: string }[] }) {
  return (
    <Modal open={open} close={close} title="Keys">
      <dl className="keys">
        {places.map(({ label, key }) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>Search on this page</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>These keys</dd>
        </div>
      </dl>
    </Modal>
  );
}
