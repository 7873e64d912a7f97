/**
 * Matches, marked where they stand: by ranges, so that what is marked stays as it was drawn.
 *
 * The browser's registry of highlights is one for the page; each view adds its own ranges and takes them out again.
 */

import type { Marks } from "./context";
import { occurrences, plain } from "./matches";

const MATCH = "lnb-match";
const CURRENT = "lnb-current";
/** ranges in one row: more is of no use to the eye */
const MOST = 500;
const UNSEEN = "[hidden],.opened .first,.vh,.x,.t,.n,.answers,dt,.lk";
/** what is read as one text, in whatever pieces it was drawn; elsewhere each element is for itself */
const BLOCKS = "p,li,th,td,h4,h5,h6,blockquote,pre,.whole,.json div";
/** figures that change by themselves */
const FIGURES = ".t,.x,.n,.vh,.answers";

function registered(name: string): Highlight | null {
  const registry = globalThis.CSS?.highlights;
  if (!registry || typeof Highlight === "undefined") return null;
  const known = registry.get(name);
  if (known) return known;
  const made = new Highlight();
  registry.set(name, made);
  return made;
}

/** The text nodes of a row that are seen, block by block; a line break ends one too. */
function blocksOf(row: Element): Text[][] {
  const blocks: Text[][] = [];
  let last: Element | null = null;
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeName === "BR") last = null;
    const { parentElement } = node;
    if (node.nodeType !== Node.TEXT_NODE || !parentElement || parentElement.closest(UNSEEN)) continue;
    const block = parentElement.closest(BLOCKS) ?? parentElement;
    if (block === last) blocks.at(-1)?.push(node as Text);
    else blocks.push([node as Text]);
    last = block;
  }
  return blocks;
}

/** Leads from places in a block's text, taken in order, to the nodes that hold them. */
class Places {
  private at = 0;
  private before = 0;

  constructor(private readonly nodes: readonly Text[]) {}

  /** `ends`: between two nodes it is the end of the first that is meant. */
  place(offset: number, ends: boolean): [node: Text, offset: number] {
    for (;;) {
      const node = this.nodes[this.at] as Text;
      const left = offset - this.before;
      if (left < node.length || (ends && left === node.length)) return [node, left];
      this.before += node.length;
      this.at++;
    }
  }
}

/** The matches within one row, in order; what is not seen is left out. */
function rangesIn(row: Element, query: string): Range[] {
  const found: Range[] = [];
  for (const nodes of blocksOf(row)) {
    const places = new Places(nodes);
    for (const at of occurrences(plain(nodes.map((node) => node.data).join("")), query)) {
      if (found.length === MOST) return found;
      const range = document.createRange();
      range.setStart(...places.place(at, false));
      range.setEnd(...places.place(at + query.length, true));
      found.push(range);
    }
  }
  return found;
}

export class Highlights implements Marks {
  private ranges: Range[] = [];
  private current: Range | null = null;
  /** what draws the rest of a very long answer, in which the current match is */
  private rest: HTMLElement | null = null;
  private last: Parameters<Marks["mark"]> | null = null;
  private readonly drawn = new MutationObserver((changes) => this.changed(changes));

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => {
      this.drawn.disconnect();
      this.clear();
    });
  }

  private clear(): void {
    for (const name of [MATCH, CURRENT]) {
      const its = registered(name);
      for (const range of this.ranges) its?.delete(range);
    }
    this.ranges = [];
    this.current = this.rest = null;
  }

  /** Steps that woke, or what the reader unfolded: drawn without the view's knowing. */
  private changed(changes: readonly MutationRecord[]): void {
    if (this.last && changes.some(({ target }) => !(target as Element).closest(FIGURES))) this.mark(...this.last);
  }

  /** `at`: the entry of the current match, and its place within it. */
  mark(list: HTMLElement, query: string, at: [entry: number, nth: number] | null): void {
    this.clear();
    this.last = query ? [list, query, at] : null;
    if (!query) {
      this.drawn.disconnect();
      return;
    }
    this.drawn.observe(list, { childList: true, subtree: true });
    const match = registered(MATCH);
    for (const line of list.querySelectorAll<HTMLElement>(".r[data-key^=e]")) {
      const row = line.parentElement;
      if (!row || row.closest("[hidden]")) continue;
      const ranges = rangesIn(row, query);
      const isHere = at && line.dataset.key === `e${at[0]}`;
      // what is folded away within the row leaves fewer than were counted
      const current = isHere ? (ranges[Math.min(at[1], ranges.length - 1)] ?? null) : null;
      if (current) this.current = current;
      if (isHere && at[1] >= ranges.length) this.rest = row.querySelector(".part .clip+.lk:not([hidden])");
      for (const range of ranges) {
        (range === current ? registered(CURRENT) : match)?.add(range);
        this.ranges.push(range);
      }
    }
    // what was drawn up to here is marked
    this.drawn.takeRecords();
  }

  scrollToCurrent(): void {
    this.rest?.click();
    const from = this.current?.startContainer.parentElement;
    const clip = from?.closest<HTMLElement>(".clip");
    if (clip && this.current && this.current.getBoundingClientRect().top > clip.getBoundingClientRect().bottom - 8) {
      (clip.nextElementSibling as HTMLElement | null)?.click();
    }
    from?.scrollIntoView?.({ block: "nearest" });
  }
}
