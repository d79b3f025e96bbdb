// Acting on the fleet: one way for every button. It says what happened, and in a signed fleet what is to be done next.
import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import type { ChangeResult } from "../api/client";
import { useToast } from "../ui/toast";
import { plural } from "./format";

export function Outcome({ result }: { result: ChangeResult }) {
  const done = result.changes.filter(({ change }) => change !== "unchanged" && change !== "not found");
  if (result.proposal !== null)
    return (
      <>
        Stored as a proposal. Somebody with a head key signs it: <code>mcpctl proposals sign {result.proposal.slice(0, 12)}</code>
      </>
    );
  if (done.length === 0) return <>Nothing had to change.</>;
  const [first] = done;
  return <>{done.length === 1 ? `${first!.name} ${first!.change}.` : `${plural(done.length, "object")} changed.`}</>;
}

export function useAct(): (act: () => Promise<ChangeResult>) => Promise<void> {
  const say = useToast();
  const client = useQueryClient();
  return useCallback(
    async (act) => {
      const result = await act();
      say("good", <Outcome result={result} />);
      void client.invalidateQueries({ predicate: ({ queryKey }) => ["history", "audit", "proposals", "desired"].includes(String(queryKey[0])) });
    },
    [say, client],
  );
}
