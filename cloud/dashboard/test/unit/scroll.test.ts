import { describe, expect, it } from "vitest";
import { MOST_ENTRIES, ScrollBook } from "../../src/lib/scroll";

describe("a book of scrolled pages", () => {
  it("says how far each was scrolled", () => {
    const book = new ScrollBook();
    book.put("a", { "": [0, 120], "main > div:nth-child(2)": [7, 900] });
    expect(book.of("a")).toEqual({ "": [0, 120], "main > div:nth-child(2)": [7, 900] });
    expect(book.of("b")).toEqual({});
  });
  it("does not grow with the pages that somebody goes to", () => {
    const book = new ScrollBook();
    for (let page = 0; page < 10_000; ++page) {
      book.put(`p${page}`, { "": [0, page] });
      expect(book.size).toBeLessThanOrEqual(MOST_ENTRIES);
    }
    expect(book.of("p9999")).toEqual({ "": [0, 9999] });
    expect(book.of("p9000")).toEqual({});
  });
  it("keeps what was left last, however old its entry is", () => {
    const book = new ScrollBook();
    book.put("first", { "": [0, 1] });
    for (let page = 1; page < MOST_ENTRIES; ++page) book.put(`p${page}`, { "": [0, page] });
    book.put("first", { "": [0, 2] });
    book.put("one more", { "": [0, 3] });
    expect(book.of("first")).toEqual({ "": [0, 2] });
    expect(book.of("p1")).toEqual({});
  });
  it("is bounded within one page", () => {
    const book = new ScrollBook();
    book.put("a", Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`div:nth-child(${at + 1})`, [0, at]])));
    expect(Object.keys(book.of("a")).length).toBeLessThan(100);
  });
});
