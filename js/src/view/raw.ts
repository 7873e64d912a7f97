/** Every event as received: a list of which only what is near to the reader is in the page. */

import { button, h, say, set, show } from "../dom";
import { icon } from "../icons";
import type { RawSource } from "../outside";
import { count, fine } from "../time";
import type { Context } from "./context";
import { RawChips } from "./rawchips";
import { curlOf, folded, type RawRow, received, rowOf, runOf } from "./rawlines";
import { copy } from "./text";
import { textView, valueView } from "./value";

const ROW = 22;
/** px of what is opened under a row, at most: seven lines, then it scrolls */
const OPENED = 140;
const PADDING = 12;
const AROUND = 8;
/** lines are read for so long at once, ms: a long run must not hold up the page */
const SLICE_MS = 8;
const LONG_S = 1;

/** A row that stands in the page. */
interface Item {
  readonly element: HTMLElement;
  readonly line: HTMLButtonElement;
  readonly last: number;
  details: HTMLElement | null;
}

export class RawPane {
  private readonly input = h("input", "box-in");
  private readonly chips = new RawChips(() => this.sift());
  private readonly fold = h("input");
  private readonly note = h("div", "none d");
  private readonly list = h("div", "rows");
  private readonly box = h("div", "box rawbox", this.list);
  private readonly table: HTMLElement;
  readonly element: HTMLElement;
  private rows: RawRow[] = [];
  private shown: RawRow[] = [];
  private readonly items = new Map<number, Item>();
  private run: Record<string, unknown> = {};
  private read = 0;
  /** line of the row that is open, and px of what stands under it */
  private opened = -1;
  private room = 0;
  /** the place of the row that one is at */
  private at = 0;
  private timer = 0;

  constructor(
    private readonly ctx: Context,
    private readonly source: RawSource,
  ) {
    const { input, fold, box, list } = this;
    set(input, { type: "search", placeholder: "Filter events", "aria-label": "Filter events", autocomplete: "off" });
    input.addEventListener("input", () => this.sift());
    input.addEventListener("keydown", (event) => this.clear(event));
    set(fold, { type: "checkbox" });
    fold.checked = true;
    fold.addEventListener("change", () => this.sift());
    const curl = button("lk", "", () => void copy(this.curl(), curl), "Copy as curl");
    const json = button("lk", "", () => void copy(this.json(), json), "Copy JSON");
    const tools = h("span", "ends", curl, json);
    const bar = h("div", "find", input, this.chips.element, h("label", "chip", fold, "Fold deltas"), tools);
    const head = h("div", "rw head dd");
    for (const word of ["", "#", "at, s", "gap", "type", "content"]) head.append(h("span", "", word));
    this.table = h("div", "", head, box);
    set(list, { role: "list", "aria-label": "Events" });
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.move(event));
    this.element = h("div", "", bar, this.table, this.note);
  }

  update(): void {
    const { source } = this;
    source.ask();
    const some = source.lines.length > 0;
    show(this.table, some);
    show(this.element.firstElementChild as HTMLElement, some);
    if (this.read < source.lines.length) this.more();
    else this.draw();
  }

  /** Reads on where it stopped, as far as there is time. */
  private more(): void {
    clearTimeout(this.timer);
    const { lines } = this.source;
    const until = performance.now() + SLICE_MS;
    if (this.read === 0) this.run = runOf(lines[0] ?? "");
    this.run.run_id = this.ctx.store.last.run_id;
    do {
      const row = rowOf(lines[this.read] as string, this.read, this.rows.at(-1), this.run);
      if (row) this.rows.push(row);
      this.read++;
    } while (this.read < lines.length && performance.now() < until);
    const rest = this.read < lines.length;
    if (rest) this.timer = window.setTimeout(() => this.more());
    // sifting looks at all rows: at once for what comes first, then when all is read
    if (!rest || !this.shown.length) this.sift();
  }

  /** What is shown of what was read. */
  private sift(): void {
    const words = this.input.value.toLowerCase();
    const { lines } = this.source;
    this.chips.update(this.rows);
    const chosen = this.rows.filter((row) => this.chips.passes(row));
    const rows = this.fold.checked ? folded(chosen) : chosen;
    const fits = (row: RawRow): boolean => {
      if (row.content.toLowerCase().includes(words)) return true;
      for (let n = row.line; n <= row.last; n++) if (lines[n]?.toLowerCase().includes(words)) return true;
      return false;
    };
    this.shown = words ? rows.filter(fits) : rows;
    this.at = Math.min(this.at, Math.max(this.shown.length - 1, 0));
    this.draw();
  }

  private drawNote(): void {
    const { source, shown, input } = this;
    const waits = !source.lines.length && !source.complete;
    const none = this.read > 0 && !shown.length;
    say(this.note, source.problem ?? (waits ? "One moment" : none ? `No match for "${input.value}".` : ""));
    show(this.note, this.note.textContent !== "");
  }

  private get openedAt(): number {
    return this.opened < 0 ? -1 : this.shown.findIndex((row) => row.line <= this.opened && this.opened <= row.last);
  }

  private top(n: number, openedAt: number): number {
    return n * ROW + (openedAt >= 0 && n > openedAt ? this.room : 0);
  }

  /** The rows near to what is seen; at most one is open, so that the height of all is known. */
  private draw(): void {
    this.drawNote();
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
      h("span", "m d", row.type, times > 0 && h("span", "dd", ` ×${count(times + 1)}`)),
      h("span", "m", row.tool && `${row.tool} `, row.content),
    );
  }

  private details(row: RawRow): HTMLElement {
    const lines = this.source.lines.slice(row.line, row.last + 1);
    const texts = row.request ? lines : lines.map(received);
    const body = texts.length === 1 ? valueView(texts[0] ?? "") : textView(texts.join("\n"));
    return set(h("div", "rwx", body), { tabindex: "0", role: "group", "aria-label": "As received" });
  }

  private toggle(line: number): void {
    this.at = this.shown.findIndex((row) => row.line === line);
    const open = this.openedAt === this.at;
    this.opened = open ? -1 : line;
    this.draw();
  }

  private clear(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !this.input.value) return;
    event.stopPropagation();
    this.input.value = "";
    this.sift();
  }

  private move(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, e: 0 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    // what is open scrolls by itself
    if ((event.target as HTMLElement).closest(".rwx")) return;
    event.preventDefault();
    event.stopPropagation();
    if (by === 0) {
      this.toggle(this.shown[this.at]?.line ?? -1);
      return;
    }
    this.at = Math.max(0, Math.min(this.at + by, this.shown.length - 1));
    const { box } = this;
    const top = this.top(this.at, this.openedAt);
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
    this.draw();
    this.items.get(this.shown[this.at]?.line ?? -1)?.line.focus({ preventScroll: true });
  }

  /** The request that the row one is at belongs to. */
  private curl(): string {
    const upTo = this.shown[this.at]?.line ?? 0;
    const request = this.rows.findLast((row) => row.request && row.line <= upTo);
    return curlOf(this.source.lines[request?.line ?? 0] ?? "", this.run);
  }

  /** What is shown, as JSON Lines. */
  private json(): string {
    const lines = this.shown.flatMap((row) => this.source.lines.slice(row.line, row.last + 1));
    return `${lines.join("\n")}\n`;
  }
}
