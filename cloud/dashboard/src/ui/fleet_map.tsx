// Nodes down, their servers across: a square each. Readable at 200 nodes of 50 servers: rows that are not seen are not in the page.
import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type MouseEvent, useMemo, useRef } from "react";
import type { NodeRow, ServerRow } from "../live/rows";
import { HEALTH_WORD } from "../live/rows";

const ROW_PX = 34;
const CELLS = 120; // of one node; the rest is a number

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
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: nodes.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 8 });
  const navigate = useNavigate();
  // One listener for all squares: ten thousand links would be ten thousand stops of the tab key.
  const open = (event: MouseEvent) => {
    const key = (event.target as HTMLElement).dataset.key?.split("/");
    if (key?.length === 2) void navigate({ to: "/servers/$namespace/$name", params: { namespace: key[0]!, name: key[1]! } });
  };
  return (
    <>
      <div className="map" ref={scroller} onClick={open} tabIndex={0} role="region" aria-label="Servers on each node">
        <div className="map-rows" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const node = nodes[item.index]!;
            const own = on.get(node.name) ?? [];
            return (
              <div key={node.name} className="map-row" style={{ transform: `translateY(${item.start}px)` }}>
                <Link to="/nodes/$node" params={{ node: node.name }} aria-label={`${node.name}: ${node.health === "offline" ? "offline, " : ""}${node.ready} of ${node.servers} servers ready`}>
                  <span className={`dot ${node.health}`} aria-hidden />
                  <span className="cut">{node.name}</span>
                </Link>
                <span className="map-cells" aria-hidden>
                  {own.slice(0, CELLS).map((row) => {
                    const health = row.on[node.name] ?? "pending";
                    return <span key={row.key} className={`cell ${health}`} data-key={row.key} title={`${row.key}: ${HEALTH_WORD[health]}`} />;
                  })}
                  {own.length > CELLS && <small className="muted">+{own.length - CELLS}</small>}
                </span>
                <small className="muted map-count">
                  {node.ready}/{node.servers}
                </small>
              </div>
            );
          })}
        </div>
      </div>
      <ul className="legend" aria-label="Colours">
        {(["ready", "failing", "pending", "offline", "off"] as const).map((health) => (
          <li key={health}>
            <span className={`cell ${health}`} aria-hidden /> {HEALTH_WORD[health]}
          </li>
        ))}
      </ul>
    </>
  );
}
