// Until the fleet is known: what is looked for, or why it can't be read and what to do about it.
import type { ReactNode } from "react";
import { useFleet } from "../live";
import { CircleAlert } from "lucide-react";
import { namesOf } from "../lib/title";
import { PageHead } from "./parts";
import { Empty, Loading } from "./states";

// What to show instead of a view; undefined: all is there. `page`: instead of the whole of a page, its title too.
export function useWait(what: string, page = true): ReactNode {
  const { synced, desiredKnown, desiredError } = useFleet();
  if (synced && desiredKnown) return undefined;
  if (desiredKnown || desiredError === undefined) return <Loading what={what} />;
  return (
    <>
      {page && <PageHead title={namesOf(location.pathname.replace(/^\/-/, ""))[0]} />}
      <div role="alert">
        <Empty icon={CircleAlert} title="The desired state can’t be read now">
          <p className="break">The answer was: {desiredError.message}. It is tried again by itself every few seconds.</p>
        </Empty>
      </div>
    </>
  );
}

// Above what was known before the newest version could not be read.
export function OldVersion() {
  const { desiredKnown, desiredError } = useFleet();
  if (!desiredKnown || desiredError === undefined) return null;
  return (
    <div className="banner warn" role="alert">
      The newest version could not be read: {desiredError.message}. What you see is the one before it; it is tried again by itself.
    </div>
  );
}
