// Acting on the fleet: one way for every button. It says what happened, and in a signed fleet what is to be done next.
import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import type { ChangeResult } from "../api/client";
import { useToast } from "../ui/toast";
import { saidOf } from "./change_words";

interface Told {
  deed?: string; // what was done then, "weather is restarting"; else it is said what changed
  proposed?: boolean; // a proposal is told where it was made
}

export function useAct(): (act: () => Promise<ChangeResult>, told?: Told) => Promise<void> {
  const say = useToast();
  const client = useQueryClient();
  return useCallback(
    async (act, { deed, proposed = false } = {}) => {
      const { changes, proposal } = await act();
      if (proposal === null) say("good", saidOf(changes, deed) || "Nothing had to change.");
      else if (!proposed)
        say(
          "good",
          <>
            Stored as a proposal. Somebody with a head key signs it: <code>mcpctl proposals sign {proposal.slice(0, 12)}</code>
          </>,
        );
      void client.invalidateQueries({ predicate: ({ queryKey }) => ["history", "audit", "proposals", "desired"].includes(String(queryKey[0])) });
    },
    [say, client],
  );
}
