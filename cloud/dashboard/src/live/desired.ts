// Keeps the store's desired state at the newest head: what a hash names is read once, so a change costs the shards that changed.
import { isRead, queryClient, snapshotOf } from "../api/queries";
import { rowsOf } from "../lib/changes";
import type { FleetStore } from "./store";

const RETRY_MS = 3000;
const UNREAD_MS = 10_000;

export function keepDesired(store: FleetStore): { end(): void } {
  let wanted = "";
  let shown: string | undefined;
  let busy = false;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const load = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      while (wanted !== shown) {
        const hash = wanted;
        const { shards, time } = await queryClient.fetchQuery(snapshotOf(hash));
        const rows = await rowsOf(shards);
        store.setDesired(rows, Date.parse(time) || 0);
        shown = hash;
        // The store had not got all of them yet: what such a row lacks is asked for again.
        clearTimeout(retry);
        if (rows.some((row) => !isRead(row))) retry = setTimeout(() => ((shown = undefined), void load()), UNREAD_MS);
      }
    } catch (error) {
      store.setDesiredError(error as Error);
      clearTimeout(retry);
      retry = setTimeout(() => void load(), RETRY_MS);
    } finally {
      busy = false;
    }
  };
  const look = (): void => {
    const { head, synced } = store.current();
    if (head === undefined) {
      // Nothing was ever applied: that is known, too.
      if (synced && shown === undefined) {
        shown = "";
        store.setDesired([]);
      }
      return;
    }
    if (head.snapshot === wanted) return;
    wanted = head.snapshot;
    void load();
  };
  const end = store.subscribe(look);
  look();
  return {
    end: () => {
      clearTimeout(retry);
      end();
    },
  };
}
