// Small words beside a name.
import type { NodeRow, ServerRow } from "../live/rows";

export function NodeFlags({ row }: { row: NodeRow }) {
  return (
    <>
      {row.unschedulable && <span className="chip warn">{row.drained ? "drained" : "cordoned"}</span>}
      {row.cloned && <span className="chip bad">copied?</span>}
    </>
  );
}

export function PinFlag({ row }: { row: ServerRow }) {
  return row.pins === "" ? null : (
    <span className="chip bad" title={row.pins}>
      pins violated
    </span>
  );
}
