/**
 * Matches, marked where they stand: by ranges, so that what is marked stays as it was drawn.
 *
 * The browser's registry of highlights is one for the page; each view adds its own ranges and takes them out again.
 */

import type { Marks } from "./context";
import { occurrences, plain } from "./sought";

const MATCH = "lnb-match";
const CURRENT = "lnb-current";
/** ranges in one row: more is of no use to the eye */
const MOST = 500;

function registered(name: string): Highlight | null {
  const registry = globalThis.CSS?.highlights;
  if (!registry || typeof Highlight === "undefined") return null;
  const known = registry.get(name);
  if (known) return known;
  const made = new Highlight();
  registry.set(name, made);
  return made;
}

/** The matches within one row, in order; what is not seen is left out. */
function rangesIn(row: Element, query: string): Range[] {
  const found: Range[] = [];
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node && found.length < MOST; node = walker.nextNode()) {
    const text = node.nodeValue ?? "";
    if (!text || node.parentElement?.closest("[hidden],.opened .first,.vh,.x,.t,.n,.answers,dt,.lk")) continue;
    for (const at of occurrences(plain(text), query)) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + query.length);
      found.push(range);
    }
  }
  return found;
}

export class Highlights implements Marks {
  private ranges: Range[] = [];
  private current: Range | null = null;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.clear());
  }

  private clear(): void {
    for (const name of [MATCH, CURRENT]) {
      const its = registered(name);
      for (const range of this.ranges) its?.delete(range);
    }
    this.ranges = [];
    this.current = null;
  }

  /** `at`: the entry of the current match, and its place within it. */
  mark(list: HTMLElement, query: string, at: [entry: number, nth: number] | null): void {
    if (this.ranges.length) this.clear();
    if (!query) return;
    const match = registered(MATCH);
    for (const line of list.querySelectorAll<HTMLElement>(".r[data-key^=e]")) {
      const row = line.parentElement;
      if (!row || row.closest("[hidden]")) continue;
      const ranges = rangesIn(row, query);
      const isHere = at && line.dataset.key === `e${at[0]}`;
      // what is folded away within the row leaves fewer than were counted
      const current = isHere ? (ranges[Math.min(at[1], ranges.length - 1)] ?? null) : null;
      if (current) this.current = current;
      for (const range of ranges) {
        (range === current ? registered(CURRENT) : match)?.add(range);
        this.ranges.push(range);
      }
    }
  }

  scrollToCurrent(): void {
    const from = this.current?.startContainer.parentElement;
    const clip = from?.closest<HTMLElement>(".clip");
    if (clip && this.current && this.current.getBoundingClientRect().top > clip.getBoundingClientRect().bottom - 8) {
      (clip.nextElementSibling as HTMLElement | null)?.click();
    }
    from?.scrollIntoView?.({ block: "nearest" });
  }
}
