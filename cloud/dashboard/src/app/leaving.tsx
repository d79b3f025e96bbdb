// Whoever would lose something by leaving a view is asked first: by a link, by back, and (in the browser's own words) when the page is closed or loaded anew.
import { useBlocker } from "@tanstack/react-router";
import { useMemo } from "react";
import { Confirm, type Question } from "../ui/dialog";

interface Place {
  pathname: string;
  search: object;
}
// Another page, or another object of the same one; what else stands in the address loses nothing.
export const leaves = (current: Place, next: Place): boolean =>
  current.pathname !== next.pathname || (current.search as { object?: unknown }).object !== (next.search as { object?: unknown }).object;

export function Leaving({ loses, title, description, action, before }: { loses(): boolean; title: string; description: string; action: string; before?(): Promise<unknown> }) {
  const blocker = useBlocker({ shouldBlockFn: ({ current, next }) => leaves(current, next) && loses(), enableBeforeUnload: loses, withResolver: true });
  const question = useMemo<Question | undefined>(
    () =>
      blocker.status !== "blocked"
        ? undefined
        : {
            title,
            description,
            action,
            dangerous: true,
            run: async () => {
              await before?.();
              blocker.proceed();
            },
          },
    [blocker, title, description, action, before],
  );
  return <Confirm question={question} close={() => blocker.reset?.()} />;
}
