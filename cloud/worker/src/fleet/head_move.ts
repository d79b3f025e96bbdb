// Whether the head may move: a decision without a clock, a store or a socket.
//
// On top of the embedded store's rules (If-Match or If-None-Match, only forward) the Worker asks that the snapshot is
// there and that it was made on top of the current one, so that no writer can undo another's work by mistake. Three
// moves have no such parent: the first head, the same snapshot signed again (`mcpctl head renew`), and a restored or
// re-founded store, which raises the epoch or the trust version.
//
// A counter rises by one, so a move that raises one by much is refused: after a head with the greatest numbers there are, no other
// would be forward. In a signed fleet the head's signatures are judged as well (trust_book.ts).
import { HEAD_FIRST, HEAD_STEP } from "../limits.js";
import { compareHeads, type Head, type Snapshot } from "../schema/desired.js";

export interface Condition {
  ifMatch?: string; // an etag without quotes
  ifNoneMatch: boolean;
}

export interface Refused {
  move: false;
  status: 400 | 403 | 412 | 428 | 503;
  message: string;
}
export type Verdict = { move: true } | Refused;

export const BEING_DELETED = "a value is being deleted right now: write it again";

const refused = (status: 400 | 412 | 428, message: string): Verdict => ({ move: false, status, message });

// What can be said before the snapshot is looked at.
export function checkCondition(current: { head: Head; etag: string } | undefined, next: Head, on: Condition): Verdict {
  if (on.ifMatch === undefined && !on.ifNoneMatch) {
    return refused(428, "the head moves only with If-Match or If-None-Match");
  }
  if (on.ifNoneMatch ? current !== undefined : current?.etag !== on.ifMatch) return refused(412, "the head has moved");
  if (current === undefined) {
    const near = next.epoch <= HEAD_FIRST && next.revision <= HEAD_FIRST;
    return near ? { move: true } : refused(400, "the head's counters begin too high");
  }
  if (compareHeads(current.head, next) >= 0) return refused(400, "the head only moves forward");
  if (current.head.fleet !== next.fleet && current.head.epoch === next.epoch && current.head.trust === next.trust) {
    return refused(400, "the head belongs to another fleet");
  }
  if (!isStep(current.head, next)) return refused(400, `the head's counters rise by more than ${HEAD_STEP}`);
  return { move: true };
}

// Revisions begin anew with an epoch. How far the trust version rises is the chain's matter.
function isStep(before: Head, next: Head): boolean {
  const anew = next.trust > before.trust || next.epoch > before.epoch;
  return next.epoch - before.epoch <= HEAD_STEP && next.revision - (anew ? 0 : before.revision) <= HEAD_STEP;
}

export function checkSnapshot(current: Head | undefined, next: Head, snapshot: Snapshot | undefined): Verdict {
  if (snapshot === undefined) return refused(412, "the head's snapshot is not there");
  const founded = current === undefined || next.epoch > current.epoch || next.trust > current.trust;
  if (founded || next.snapshot === current.snapshot || snapshot.parent === current.snapshot) return { move: true };
  return refused(412, "the snapshot was not made from the current one");
}
