// A table of any length: only the rows that are seen are in the page. Columns by TanStack Table, rows by TanStack Virtual; a real table to
// who listens (ARIA), a list of cards on a phone (CSS).
import { type ColumnDef, flexRender, getCoreRowModel, type RowData, useReactTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { useMemo, useRef } from "react";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface ColumnMeta<TData extends RowData, TValue> {
    width: string; // of the grid: "minmax(12rem, 2fr)"
    sort?: string; // the name that `sortBy` is called with
    phone?: "hide" | "wide";
  }
}

export interface TableProps<T> {
  label: string;
  rows: readonly T[];
  columns: ColumnDef<T, unknown>[];
  keyOf(row: T): string;
  sort?: string;
  descending?: boolean;
  sortBy?(sort: string): void;
}

const rowPx = () => 45;

export function VirtualTable<T>({ label, rows, columns, keyOf, sort, descending = false, sortBy }: TableProps<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: rowPx, overscan: 12 });
  // The table is made of what is seen: a row of it costs, also one that nobody sees.
  const items = virtual.getVirtualItems().filter(({ index }) => index < rows.length);
  const from = items[0]?.index ?? 0;
  const until = from + items.length;
  const data = useMemo(() => rows.slice(from, until), [rows, from, until]);
  // Nothing of the table is a state of its own: with other data there is nothing to reset, and so to draw again.
  const table = useReactTable({ data, columns, getCoreRowModel: getCoreRowModel(), getRowId: keyOf, autoResetAll: false });
  const seen = table.getRowModel().rows;
  const grid = { gridTemplateColumns: columns.map((column) => column.meta?.width ?? "1fr").join(" ") };
  return (
    <div className="table-scroller" ref={scroller} tabIndex={0} role="region" aria-label={`${label}, scrolls`}>
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} className="table">
        <div role="rowgroup" className="table-head">
          <div role="row" aria-rowindex={1} className="table-row" style={grid}>
            {table.getFlatHeaders().map((header) => {
              const by = header.column.columnDef.meta?.sort;
              const active = by !== undefined && by === sort;
              return (
                <div key={header.id} role="columnheader" className={header.column.columnDef.meta?.phone ?? ""} {...(active ? { "aria-sort": descending ? ("descending" as const) : ("ascending" as const) } : {})}>
                  {by === undefined || sortBy === undefined ? (
                    flexRender(header.column.columnDef.header, header.getContext())
                  ) : (
                    <button type="button" className="sort" onClick={() => sortBy(by)}>
                      {flexRender(header.column.columnDef.header, header.getContext())}
                      {active && (descending ? <ArrowDown aria-hidden /> : <ArrowUp aria-hidden />)}
                    </button>
                  )}
                </div>
              );
            })}
          </div>
        </div>
        <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize() }}>
          {items.map((item, at) => {
            const row = seen[at]!;
            return (
              <div key={row.id} role="row" aria-rowindex={item.index + 2} className="table-row" style={{ ...grid, transform: `translateY(${item.start}px)`, height: item.size }}>
                {row.getVisibleCells().map((cell) => (
                  <div key={cell.id} role="cell" className={cell.column.columnDef.meta?.phone ?? ""}>
                    {flexRender(cell.column.columnDef.cell, cell.getContext())}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
