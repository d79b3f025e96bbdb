// Small words beside a name.
import { PinOff } from "lucide-react";
import type { NodeRow, ServerRow } from "../live/rows";

export function NodeFlags({ row }: { row: NodeRow }) {
  return (
    <>
      {row.unschedulable && <span className="chip warn">{row.drained ? "drained" : "cordoned"}</span>}
      {row.cloned && <span className="chip bad">copied?</span>}
    </>
  );
}

// `brief`: where a name needs the room.
export function PinFlag({ row, brief = false }: { row: ServerRow; brief?: boolean }) {
  if (row.pins === "") return null;
  return brief ? (
    <span className="flag bad-text" role="img" aria-label="pins violated" title={`pins violated: ${row.pins}`}>
      <PinOff aria-hidden />
    </span>
  ) : (
    <span className="chip bad" title={row.pins}>
      pins violated
    </span>
  );
}
