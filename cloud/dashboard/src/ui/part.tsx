// A part of a page that is loaded when it is looked at. Where it can't be, the rest of the page stays as it is: what was typed there, too.
import { CatchBoundary } from "@tanstack/react-router";
import { type ReactNode, Suspense } from "react";
import { Failed, Loading } from "./states";

export function Part({ what, children }: { what: string; children: ReactNode }) {
  return (
    <CatchBoundary getResetKey={() => what} errorComponent={({ error }) => <Failed error={error} />}>
      <Suspense fallback={<Loading what={what} />}>{children}</Suspense>
    </CatchBoundary>
  );
}
