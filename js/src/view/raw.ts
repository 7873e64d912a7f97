/** Every event as received: read and sifted a little at a time, so that a long run does not hold up its reader. */

import { button, h, isChord, say, set, show } from "../dom";
import type { RawSource } from "../outside";
import type { Context } from "./context";
import { RawChips } from "./rawchips";
import { bodyOf, curlOf, type RawRow, received, rowOf, runOf, upTo } from "./rawlines";
import { RawList } from "./rawlist";
import { Sift, type Wanted } from "./rawsift";
import { copy } from "./text";
import { textView, valueView } from "./value";

/** ms of work before the page gets its turn */
const SLICE_MS = 8;
/** how often what has come so far is drawn meanwhile */
const DRAWN_MS = 100;
/** what is done between looks at the clock, in characters, of which each row counts as some more */
const SOME = 500_000;
const ROW = 1000;

export class RawPane {
  private readonly input = h("input", "box-in");
  private readonly chips: RawChips;
  private readonly fold = h("input");
  private readonly note = h("div", "none d");
  private readonly list: RawList;
  private readonly table: HTMLElement;
  readonly element: HTMLElement;
  private readonly rows: RawRow[] = [];
  private run: Record<string, unknown> = {};
  private read = 0;
  /** what is shown, and what will be as soon as it has seen as much */
  private sift: Sift;
  private next: Sift | null = null;
  private timer = 0;
  private drawn = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly ctx: Context,
    private readonly source: RawSource,
  ) {
    const { input, fold } = this;
    const { raw } = ctx.ui;
    this.chips = new RawChips(raw, () => this.work());
    this.list = new RawList(raw, (row) => this.body(row));
    set(input, { type: "search", placeholder: "Filter events", "aria-label": "Filter events", autocomplete: "off" });
    input.addEventListener("input", () => {
      raw.words = input.value;
      this.work();
    });
    input.addEventListener("keydown", (event) => this.clear(event));
    set(fold, { type: "checkbox" });
    fold.addEventListener("change", () => {
      raw.fold = fold.checked;
      this.work();
    });
    const curl = button("lk", "", () => void copy(this.curl(), curl), "Copy as curl");
    const json = button("lk", "", () => void copy(this.json(), json), "Copy JSON");
    const tools = h("span", "ends", curl, json);
    const bar = h("div", "find", input, this.chips.element, h("label", "chip", fold, "Fold deltas"), tools);
    const head = h("div", "rw head dd");
    this.list.box.addEventListener("keydown", (event) => this.copied(event));
    for (const word of ["", "#", "at, s", "gap", "type", "content"]) head.append(h("span", "", word));
    this.table = h("div", "", head, this.list.box);
    this.element = h("div", "", bar, this.table, this.note);
    // they come with the first lines, and do not go again
    for (const its of [bar, this.table]) show(its, false);
    this.sift = new Sift(this.wanted, source);
    source.upTo = (moment) => upTo(source.lines, moment);
  }

  update(): void {
    const { source, input, fold } = this;
    const { raw } = this.ctx.ui;
    // the view that was here before may have been typed into
    if (input.value !== raw.words) input.value = raw.words;
    fold.checked = raw.fold;
    source.ask();
    const some = source.lines.length > 0;
    show(this.table, some);
    show(this.element.firstElementChild as HTMLElement, some);
    this.work();
  }

  private get wanted(): Wanted {
    const { raw } = this.ctx.ui;
    const words = raw.words.toLowerCase();
    const { fold } = raw;
    const { passes, key } = this.chips;
    return { words, fold, passes, key: JSON.stringify([words, fold, key]) };
  }

  /** True: what is being worked out is what the reader wants by now; else that begins. */
  private turn(): boolean {
    const { wanted } = this;
    if (wanted.key === (this.next ?? this.sift).wanted.key) return true;
    this.next = wanted.key === this.sift.wanted.key ? null : new Sift(wanted, this.source);
    return false;
  }

  private work(): void {
    clearTimeout(this.timer);
    this.turn();
    const now = performance.now();
    let more = true;
    while (more && performance.now() < now + SLICE_MS) more = this.some();
    this.chips.update();
    // which types are "other" may have changed with what was read
    if (!this.turn()) more = true;
    if (more) this.timer = window.setTimeout(() => this.work());
    else {
      this.sift = this.next ?? this.sift;
      this.next = null;
    }
    if (more && now - this.drawn < DRAWN_MS) return;
    this.drawn = now;
    this.list.show(this.sift.shown, !more && this.source.complete);
    this.drawNote(more);
    if (!more) this.showFailure();
  }

  /** Looks at a few rows, and reads on where there are none left; false: that was all. */
  private some(): boolean {
    const { rows, source } = this;
    const sift = this.next ?? this.sift;
    for (let left = SOME; left > 0; left -= ROW) {
      const row = rows[sift.taken];
      const line = source.lines[row ? row.line : this.read];
      if (row) sift.take(row);
      else if (line !== undefined) this.readLine(line);
      else return false;
      left -= line?.length ?? 0;
    }
    return true;
  }

  private readLine(line: string): void {
    if (this.read === 0) this.run = runOf(line);
    this.run.run_id = this.ctx.store.last.run_id;
    const row = rowOf(line, this.read, this.rows.at(-1), this.run);
    this.read++;
    if (!row) return;
    this.rows.push(row);
    this.chips.count(row);
  }

  /** The last event that told of an error, as soon as all are there. */
  private showFailure(): void {
    const { ui } = this.ctx;
    if (!ui.failure || !this.source.complete) return;
    ui.failure = false;
    const row = this.rows.findLast(({ type }) => type.includes("error"));
    if (row) this.list.reveal(row);
  }

  private drawNote(more: boolean): void {
    const { source, input } = this;
    const waits = !source.lines.length && !source.complete;
    const none = !more && this.read > 0 && !this.list.shown.length;
    say(this.note, source.problem ?? (waits ? "One moment" : none ? `No match for "${input.value}".` : ""));
    show(this.note, this.note.textContent !== "");
  }

  /** Each line that a row stands for, as it was received. */
  private texts(row: RawRow): string[] {
    const lines = this.source.lines.slice(row.line, row.last + 1);
    return row.request ? lines : lines.map(received);
  }

  private body(row: RawRow): HTMLElement {
    const texts = this.texts(row);
    const [text = ""] = texts;
    if (texts.length > 1) return textView(texts.join("\n"));
    if (!row.request) return valueView(text, true);
    // what was asked first, then the line of the run file that tells of it
    return h("div", "", valueView(bodyOf(text), true), h("p", "dd s", "in the run file"), valueView(text, true));
  }

  /** `c`: the row that one is at. */
  private copied(event: KeyboardEvent): void {
    const { row } = this.list;
    const line = (event.target as Element).closest("[role=listitem]")?.querySelector(".rw");
    if (event.key !== "c" || event.ctrlKey || event.metaKey || event.altKey || !row || !line) return;
    event.preventDefault();
    event.stopPropagation();
    // said where the time stands, which is seen at any width
    void copy(this.texts(row).join("\n"), line.children[2] as HTMLElement);
  }

  /** Escape empties the box; an empty one is left for the list. */
  private clear(event: KeyboardEvent): void {
    if (event.key !== "Escape" || isChord(event) || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.input.value) this.list.focus();
    this.input.value = this.ctx.ui.raw.words = "";
    this.work();
  }

  /** The request that the row one is at belongs to. */
  private curl(): string {
    const upTo = this.list.row?.line ?? 0;
    const request = this.rows.findLast((row) => row.request && row.line <= upTo);
    return curlOf(this.source.lines[request?.line ?? 0] ?? "", this.run);
  }

  /** What is shown, as JSON Lines. */
  private json(): string {
    const lines = this.list.shown.flatMap((row) => this.source.lines.slice(row.line, row.last + 1));
    return `${lines.join("\n")}\n`;
  }
}
