/** Raw events as a list of which only what is near to the reader is in the page; one of them may be open. */

import { attended, button, h, set } from "../dom";
import { icon } from "../icons";
import { count, fine } from "../time";
import type { RawRow } from "./rawlines";
import type { Looked } from "./ui";

const ROW = 22;
/** px of what is opened under a row, at most: seven lines, then it scrolls */
const OPENED = 140;
const PADDING = 12;
const AROUND = 8;
const LONG_S = 1;

/** A row that stands in the page. */
interface Item {
  readonly element: HTMLElement;
  readonly line: HTMLButtonElement;
  readonly last: number;
  details: HTMLElement | null;
}

export class RawList {
  private readonly list = h("div", "rows");
  readonly box = h("div", "box rawbox", this.list);
  shown: readonly RawRow[] = [];
  private readonly items = new Map<number, Item>();
  /** px of what stands under the row that is open */
  private room = 0;
  /** how far the list is to be scrolled as soon as its rows are there, px */
  private back: number;
  /** the place of the row that one is at */
  private at = 0;

  /** `body`: what stands under a row that is open. */
  constructor(
    private readonly looked: Looked,
    private readonly body: (row: RawRow) => HTMLElement,
  ) {
    this.back = looked.top;
    set(this.list, { role: "list", "aria-label": "Events" });
    this.box.tabIndex = -1;
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.move(event));
  }

  /** `all`: no more will come, of what was asked for. */
  show(rows: readonly RawRow[], all: boolean): void {
    this.shown = rows;
    const at = this.place(this.looked.at);
    this.at = at < 0 ? Math.min(this.at, Math.max(rows.length - 1, 0)) : at;
    this.draw();
    const { box, back } = this;
    if (!back) return;
    box.scrollTop = back;
    if (all || box.scrollTop >= back) this.back = 0;
    this.draw();
  }

  /** Where the row stands that this line is in, -1 if it is not shown. */
  private place(line: number): number {
    return line < 0 ? -1 : this.shown.findIndex((row) => row.line <= line && line <= row.last);
  }

  private go(at: number): void {
    this.at = at;
    this.looked.at = this.row?.line ?? 0;
  }

  private scrolled(): void {
    const { box } = this;
    // a box that was taken away tells once more, of nothing
    if (!box.isConnected) return;
    if (!this.back) this.looked.top = box.scrollTop;
    this.draw();
  }

  /** The row that one is at. */
  get row(): RawRow | undefined {
    return this.shown[this.at];
  }

  /** Where there is no row to go to, the list itself. */
  focus(): void {
    (this.items.get(this.row?.line ?? -1)?.line ?? this.box).focus({ preventScroll: true });
  }

  private get openedAt(): number {
    return this.place(this.looked.open);
  }

  private top(n: number, openedAt: number): number {
    return n * ROW + (openedAt >= 0 && n > openedAt ? this.room : 0);
  }

  /** The rows near to what is seen; at most one is open, so that the height of all is known. */
  private draw(): void {
    const { box, list, shown, items, openedAt, at } = this;
    const { scrollTop, clientHeight } = box;
    const first = Math.max(0, Math.floor((scrollTop - (openedAt >= 0 ? this.room : 0)) / ROW) - AROUND);
    const last = Math.min(shown.length, Math.ceil((scrollTop + (clientHeight || 420)) / ROW) + AROUND);
    const near: number[] = [];
    // the row one is at stays, wherever it is: it holds the focus
    if (at < first && at < shown.length) near.push(at);
    for (let n = first; n < last; n++) near.push(n);
    if (at >= last && at < shown.length) near.push(at);
    const wanted = new Map(near.map((n) => [shown[n]?.line, shown[n]?.last]));
    for (const [line, item] of items) {
      if (wanted.get(line) === item.last) continue;
      item.element.remove();
      items.delete(line);
    }
    near.forEach((n, place) => {
      const element = this.item(n, openedAt);
      if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
    });
    this.measure(openedAt);
    for (const n of near) this.item(n, openedAt).style.top = `${this.top(n, openedAt)}px`;
    list.style.height = `${this.top(shown.length, openedAt)}px`;
  }

  private item(n: number, openedAt: number): HTMLElement {
    const row = this.shown[n] as RawRow;
    let item = this.items.get(row.line);
    if (!item) {
      const line = this.line(row);
      item = { element: set(h("div", "", line), { role: "listitem" }), line, last: row.last, details: null };
      this.items.set(row.line, item);
    }
    const open = n === openedAt;
    const { line, element } = item;
    if (String(open) !== line.getAttribute("aria-expanded")) {
      line.firstElementChild?.replaceChildren(icon(open ? "down" : "right"));
      item.details?.remove();
      item.details = open ? this.details(row) : null;
      if (item.details) element.append(item.details);
    }
    set(line, { "aria-expanded": String(open), tabindex: n === this.at ? "0" : "-1" });
    return set(element, { "aria-posinset": String(n + 1), "aria-setsize": String(this.shown.length) });
  }

  private details(row: RawRow): HTMLElement {
    const label = { tabindex: "0", role: "group", "aria-label": "As received" };
    return set(h("div", "rwx", this.body(row)), label);
  }

  /** What is open takes the height of what it holds, as it was at first. */
  private measure(openedAt: number): void {
    const details = openedAt < 0 ? null : this.items.get(this.shown[openedAt]?.line ?? -1)?.details;
    if (!details || details.style.height) return;
    const { offsetHeight } = details.firstElementChild as HTMLElement;
    this.room = Math.min((offsetHeight || OPENED) + PADDING, OPENED);
    details.style.height = `${this.room}px`;
  }

  private line(row: RawRow): HTMLButtonElement {
    const times = row.last - row.line;
    const numbers = times ? `${row.number}–${row.number + times}` : `${row.number}`;
    const gap = row.gap === null ? "" : `+${fine(row.gap * 1000)}`;
    return button(
      "rw",
      "",
      () => this.toggle(row.line),
      h("span", "chev"),
      h("span", "dd", !row.request ? numbers : row.line ? "" : "0"),
      h("span", "", row.at === null ? "" : row.at.toFixed(3)),
      h("span", row.gap !== null && row.gap >= LONG_S ? "b" : "dd", gap),
      h("span", "m d", h("span", "", row.type), times > 0 && h("span", "dd", ` ×${count(times + 1)}`)),
      h("bdi", "m", row.tool && `${row.tool} `, row.content),
    );
  }

  /** Opens a row, and puts the focus on it if the view has it. */
  reveal(row: RawRow): void {
    const { box } = this;
    const at = this.place(row.line);
    if (at < 0) return;
    this.go(at);
    this.looked.open = row.line;
    box.scrollTop = Math.max(this.top(this.at, -1) - 3 * ROW, 0);
    this.draw();
    if (attended((box.getRootNode() as ShadowRoot).host ?? box)) this.focus();
  }

  private toggle(line: number): void {
    this.go(this.place(line));
    const open = this.openedAt === this.at;
    this.looked.open = open ? -1 : line;
    this.draw();
  }

  private move(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, e: 0 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    // what is open scrolls by itself
    if ((event.target as HTMLElement).closest(".rwx")) return;
    event.preventDefault();
    event.stopPropagation();
    if (by === 0) {
      this.toggle(this.row?.line ?? -1);
      return;
    }
    this.go(Math.max(0, Math.min(this.at + by, this.shown.length - 1)));
    const { box } = this;
    const top = this.top(this.at, this.openedAt);
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
    this.draw();
    this.focus();
  }
}
