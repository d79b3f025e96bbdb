// Who goes back finds a page as far down as it was. The router's own way (scrollRestoration) keeps a record of every page that was ever
// gone to, so this is done here, with a book that has an end. The router still brings a page that is new to its beginning, before this.
import type { AnyRouter, ParsedLocation } from "@tanstack/react-router";
import { MOST_MARKS, type Scrolled, ScrollBook } from "../lib/scroll";

// The way from the root; an id of a component may be another one the next time.
function selectorOf(element: Element): string {
  const steps: string[] = [];
  for (let at = element; at.parentElement !== null; at = at.parentElement) steps.unshift(`${at.localName}:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
  return steps.join(" > ");
}

export function keepScroll(router: AnyRouter): void {
  const book = new ScrollBook();
  const moved = new Set<Document | Element>(); // since the page was gone to
  const keyOf = (location: ParsedLocation): string => location.state.__TSR_key ?? location.href;
  const note = (location: ParsedLocation): void => {
    const marks: Record<string, Scrolled> = {};
    for (const target of moved) {
      if (target instanceof Document) marks[""] = [scrollX, scrollY];
      else if (target.isConnected) marks[selectorOf(target)] = [target.scrollLeft, target.scrollTop];
    }
    if (moved.size > 0) book.put(keyOf(location), marks);
  };

  history.scrollRestoration = "manual";
  const scrolled = ({ target }: Event): void => {
    if (moved.size >= MOST_MARKS) for (const each of moved) if (!each.isConnected) moved.delete(each);
    moved.add(target as Document | Element);
  };
  document.addEventListener("scroll", scrolled, { capture: true, passive: true });
  router.subscribe("onBeforeLoad", ({ fromLocation }) => {
    if (fromLocation !== undefined) note(fromLocation);
    moved.clear();
  });
  router.subscribe("onRendered", ({ toLocation }) => {
    moved.clear();
    for (const [selector, [left, top]] of Object.entries(book.of(keyOf(toLocation)))) {
      if (selector === "") window.scrollTo(left, top);
      else document.querySelector(selector)?.scrollTo(left, top);
    }
  });
  // A page that is read anew is the browser's matter.
  window.addEventListener("pagehide", () => (history.scrollRestoration = "auto"));
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) history.scrollRestoration = "manual";
  });
}
