// Nodes down, their servers across: a square each, in more lines than one where there is no room. Readable at 200 nodes of 50 servers: rows that are not seen are not in the page.
import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import { HEALTH_WORD, type NodeRow, readyText, readyWords, type ServerRow } from "../live/rows";
import { stepOf } from "../lib/grid";

const ROW_PX = 34;
const CELLS = 120; // of one node; the rest is a number
// Few servers have large squares: a small fleet is no row of dots.
const sizeFor = (most: number): "large" | "middle" | "" => (most <= 16 ? "large" : most <= 32 ? "middle" : "");

export function FleetMap({ nodes, servers }: { nodes: readonly NodeRow[]; servers: readonly ServerRow[] }) {
  const on = useMemo(() => {
    const map = new Map<string, ServerRow[]>();
    for (const row of servers) for (const node of row.nodes) {
      const own = map.get(node);
      if (own === undefined) map.set(node, [row]);
      else own.push(row);
    }
    return map;
  }, [servers]);
  const most = useMemo(() => Math.max(0, ...[...on.values()].map((own) => own.length)), [on]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: nodes.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 8 });
  const navigate = useNavigate();
  // Ten thousand links would be ten thousand stops of the tab key: one square of the map is a stop, arrows go to the others.
  const [[row, column], setAt] = useState<readonly [number, number]>([0, 0]);
  const moved = useRef(false);
  const items = virtual.getVirtualItems();
  const stop = items.some(({ index }) => index === row) ? row : items[0]?.index;
  const widthOf = (index: number) => Math.min(CELLS, on.get(nodes[index]?.name ?? "")?.length ?? 0);
  useEffect(() => {
    if (!moved.current) return;
    const square = scroller.current?.querySelector<HTMLElement>(`[data-at="${row},${column}"]`);
    if (square === null || square === undefined) return;
    moved.current = false;
    square.focus();
  });
  const press = (event: KeyboardEvent) => {
    const at = (event.target as HTMLElement).dataset.at?.split(",").map(Number);
    const next = at?.length === 2 ? stepOf(event.key, at[0]!, at[1]!, nodes.length, widthOf) : undefined;
    if (next === undefined) return;
    event.preventDefault();
    moved.current = true;
    setAt(next);
    virtual.scrollToIndex(next[0]);
  };
  // They are plain links, which cost little: one listener opens them all without a reload.
  const open = (event: MouseEvent) => {
    const key = (event.target as HTMLElement).dataset.key?.split("/");
    if (key?.length !== 2 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void navigate({ to: "/servers/$namespace/$name", params: { namespace: key[0]!, name: key[1]! } });
  };
  return (
    <>
      <div className={`map ${sizeFor(most)}`} ref={scroller} onClick={open} onKeyDown={press} tabIndex={0} role="region" aria-label="Servers on each node; arrow keys go from one to the next">
        <div className="map-rows" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const node = nodes[item.index]!;
            const own = on.get(node.name) ?? [];
            const tabbed = item.index === row ? Math.min(column, widthOf(row) - 1) : 0;
            return (
              <div key={node.name} data-index={item.index} ref={virtual.measureElement} className="map-row" style={{ transform: `translateY(${item.start}px)` }}>
                <Link to="/nodes/$node" params={{ node: node.name }} aria-label={`${node.name}: ${HEALTH_WORD[node.health].toLowerCase()}, servers ready: ${readyWords(node)}`}>
                  <span className={`cell ${node.health}`} aria-hidden />
                  <span className="cut">{node.name}</span>
                </Link>
                <span className="map-cells" role="group" aria-label={`Servers on ${node.name}`}>
                  {own.slice(0, CELLS).map((each, index) => {
                    const health = each.on[node.name] ?? "pending";
                    const name = `${each.key}: ${HEALTH_WORD[health]}`;
                    return <a key={each.key} href={`/-/servers/${each.key}`} tabIndex={item.index === stop && index === tabbed ? 0 : -1} className={`cell ${health}`} data-key={each.key} data-at={`${item.index},${index}`} title={name} aria-label={name} />;
                  })}
                  {own.length > CELLS && <small className="muted">+{own.length - CELLS}</small>}
                </span>
                <small className="muted map-count">
                  {readyText(node)}
                </small>
              </div>
            );
          })}
        </div>
      </div>
      <ul className="legend" aria-label="Marks">
        {(["ready", "degraded", "failing", "pending", "offline", "off"] as const).map((health) => (
          <li key={health}>
            <span className={`cell ${health}`} aria-hidden /> {HEALTH_WORD[health]}
          </li>
        ))}
      </ul>
    </>
  );
}
