// Whether two machines use one node's credentials. Each connect hands out a number that the next connect must present;
// a node says when it has stored it. Whoever comes with a number that was replaced, or with none, runs on a copy. Pure.

export interface NonceState {
  issued: string; // handed out last; "" before the first
  confirmed: string; // stored by the node, as it said; "" before the first
}

export type NonceVerdict = "fresh" | "clone";

// `presented` is "" when the node sent none. A node that never confirmed one (an older mcplet) is not judged.
export function judgeNonce(state: NonceState, presented: string): NonceVerdict {
  if (state.confirmed === "") return "fresh";
  // The answer of the last connect may have been lost: then the one before is still the node's newest.
  if (presented === state.issued || presented === state.confirmed) return "fresh";
  return "clone";
}
