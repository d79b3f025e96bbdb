// Where a key goes from a square of rows that differ in width. undefined: nowhere. Pure.
export function stepOf(key: string, row: number, column: number, rows: number, widthOf: (row: number) => number): readonly [number, number] | undefined {
  // Up and down skip rows without squares.
  const along = (by: number): readonly [number, number] | undefined => {
    for (let at = row + by; at >= 0 && at < rows; at += by) if (widthOf(at) > 0) return [at, Math.min(column, widthOf(at) - 1)];
    return undefined;
  };
  switch (key) {
    case "ArrowLeft":
      return column > 0 ? [row, column - 1] : undefined;
    case "ArrowRight":
      return column + 1 < widthOf(row) ? [row, column + 1] : undefined;
    case "Home":
      return [row, 0];
    case "End":
      return [row, widthOf(row) - 1];
    case "ArrowUp":
      return along(-1);
    case "ArrowDown":
      return along(1);
    default:
      return undefined;
  }
}
