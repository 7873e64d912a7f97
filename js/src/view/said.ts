/** What is said in a step: reasoning and answers, as rows that grow. */

import { h, say, show } from "../dom";
import { Markdown } from "../markdown";
import type { Entry } from "../store";
import { compacted } from "./compacted";
import type { Context } from "./context";
import { bar, Row } from "./row";
import { Clip, Growing } from "./text";

/** Reasoning, a prompt, a system message or a summary: one line, opened all of it. */
export class FoldedText {
  readonly row: Row;
  private readonly short = h("span", "first");
  private readonly text = h("div", "whole");
  private readonly growing = new Growing(this.text);
  private readonly caret = h("span", "car");
  private readonly clip: Clip;
  private checked = -1;

  constructor(
    private readonly ctx: Context,
    readonly entry: Entry,
    kind: string,
    number: string | null = null,
    label = "",
  ) {
    this.row = new Row(ctx, `e${entry.index}`, number, () => this.toggle());
    this.row.content.classList.add("one");
    if (label) this.row.content.append(h("span", "dd lab", label));
    else this.row.content.append(bar(kind));
    this.row.content.append(this.short);
    this.row.element.classList.add(label ? kind : "d");
    this.clip = new Clip(this.text, 12, () => entry.text);
    this.row.body.append(this.clip.element);
    this.row.body.classList.add("said");
    // its text stands over the row, so it folds as the row does
    this.text.addEventListener("click", () => this.row.clicked());
  }

  private toggle(): void {
    this.ctx.ui.open.set(this.row.key, !this.row.open);
    this.ctx.redraw();
  }

  update(growing: boolean, openByItself: boolean): void {
    const { ctx, entry, row } = this;
    const text = entry.text.trimStart();
    const first = text.slice(0, 400).split("\n", 1)[0] ?? "";
    // all of it is on the line already: nothing to open
    const single = text.trimEnd() === first && first.length < 90;
    const open = !single && (ctx.ui.open.get(row.key) ?? ctx.ui.all ?? openByItself);
    row.setFoldable(!single);
    row.element.classList.toggle("flat", single);
    row.setOpen(open);
    say(this.short, first);
    row.content.classList.toggle("opened", open);
    if (!growing) this.caret.remove();
    else if (!open && this.caret.parentNode !== row.content) row.content.append(this.caret);
    if (!open) return;
    this.growing.update(text, growing ? this.caret : null);
    if (!growing && this.checked !== entry.text.length) {
      this.checked = entry.text.length;
      this.clip.later();
    }
  }
}

/** characters of an answer of which only what is seen is laid out, and of which only so much is drawn unasked */
const LONG = 8_000;
const MOST = 30_000;

/** An answer: markdown, whole; the last one larger. */
export class AnswerRow {
  readonly row: Row;
  private readonly markdown = new Markdown();
  private readonly clip: Clip;
  private readonly note = h("div", "d s", "Cut off here.");
  private done = false;
  private frame = 0;

  constructor(
    private readonly ctx: Context,
    readonly entry: Entry,
    number: string | null = null,
  ) {
    this.row = new Row(ctx, `e${entry.index}`, number);
    this.clip = new Clip(
      this.markdown.element,
      40,
      () => entry.text,
      () => ctx.redraw(),
    );
    this.row.content.append(bar("answer"), this.clip.element, this.note);
    this.row.content.classList.add("answer");
  }

  update(growing: boolean, last: boolean): void {
    this.row.content.classList.toggle("ans", last);
    this.row.content.classList.toggle("grows", growing);
    // of a short one the exact height matters, and laying it out costs nothing
    this.row.content.classList.toggle("long", this.entry.whole.length > LONG);
    show(this.note, !!this.entry.facts.cut);
    const { text } = this.entry;
    const end = growing || this.clip.whole ? 0 : text.indexOf("\n", MOST) + 1;
    this.clip.cut = end > 0;
    this.row.content.classList.toggle("part", end > 0);
    cancelAnimationFrame(this.frame);
    if (!this.markdown.update(text.slice(0, end || undefined), !growing)) {
      this.frame = requestAnimationFrame(() => {
        this.update(growing, last);
        this.ctx.later();
      });
    } else {
      if (!growing && !this.done) this.clip.later();
      this.done = !growing;
    }
  }
}

const HIDDEN = "Reasoning hidden by the provider";

/** Rows that only state a fact. */
export class NoteRow {
  readonly row: Row;
  private readonly words = h("span", "d s");

  constructor(
    ctx: Context,
    readonly entry: Entry,
    number: string | null = null,
  ) {
    this.row = new Row(ctx, `e${entry.index}`, number);
    const { content } = this.row;
    if (entry.kind === "hidden_reasoning") content.append(bar("reason"), h("span", "d", HIDDEN));
    else if (entry.kind === "compaction") content.append(this.words);
    else {
      const type = h("span", "m", entry.messageType || entry.kind);
      content.append(type, h("span", "d", "  not known to this version; see Raw"));
    }
  }

  update(): void {
    if (this.entry.kind === "compaction") say(this.words, compacted(this.entry));
  }
}
