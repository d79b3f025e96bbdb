// How far each entry of the browser's history was scrolled: of the last `MOST_ENTRIES` that were left, a page may be open for weeks. Pure.
export type Scrolled = readonly [left: number, top: number];
export type Marks = Readonly<Record<string, Scrolled>>; // by selector; "": the window

// As many as a browser goes back through.
export const MOST_ENTRIES = 50;
export const MOST_MARKS = 20; // of one entry

export class ScrollBook {
  private readonly entries = new Map<string, Marks>(); // the one that was left last is the last

  put(key: string, marks: Marks): void {
    this.entries.delete(key);
    const some = Object.entries(marks).slice(0, MOST_MARKS);
    if (some.length > 0) this.entries.set(key, Object.fromEntries(some));
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MOST_ENTRIES) break;
      this.entries.delete(oldest);
    }
  }

  of(key: string): Marks {
    return this.entries.get(key) ?? {};
  }

  get size(): number {
    return this.entries.size;
  }
}
