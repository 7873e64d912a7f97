/** One step of the transcript, or one entry outside any step: its rows, kept and updated. */

import { h, say, show } from "../dom";
import { waits } from "../phases";
import type { Entry, Step } from "../store";
import { count, time, waiting } from "../time";
import { AnswerAll, asked } from "./answer";
import { failed } from "./call";
import type { Context } from "./context";
import { Row } from "./row";
import { AnswerRow, FoldedText, NoteRow } from "./said";
import { passes } from "./sought";
import { ToolRow } from "./tool";

type EntryRow = FoldedText | AnswerRow | NoteRow | ToolRow;

export interface Moment {
  /** the transcript's last entry, and its last answer */
  last: Entry | undefined;
  answer: Entry | undefined;
  live: boolean;
  /** nothing more will come, an answer of the reader's neither */
  over: boolean;
}

export class StepView {
  readonly element = h("li", "step");
  private readonly rows = new Map<number, EntryRow>();
  private head: Row | null = null;
  private all: AnswerAll | null = null;
  /** false: far from what the reader sees, and empty */
  awake = true;
  private newest = false;

  constructor(
    private readonly ctx: Context,
    readonly step: Step | null,
    private readonly alone: Entry | null = null,
  ) {}

  private get entries(): readonly Entry[] {
    return this.step?.entries ?? (this.alone ? [this.alone] : []);
  }

  private get number(): string {
    return this.step ? String(this.step.index + 1) : "";
  }

  /** Out of the page, but for its height. */
  sleep(): void {
    if (this.element.contains(this.focused)) return;
    const height = this.rows.size ? this.element.offsetHeight : 0;
    if (height) this.element.style.height = `${height}px`;
    this.awake = false;
    this.rows.clear();
    this.head = this.all = null;
    this.element.classList.add("asleep");
    this.element.replaceChildren();
  }

  wake(): void {
    this.awake = true;
    this.element.classList.remove("asleep");
    this.element.style.height = "";
  }

  private get focused(): Node | null {
    return (this.element.getRootNode() as ShadowRoot).activeElement;
  }

  /** What the moment does not know yet, and what is filtered out, keeps out of sight. */
  private sift(): void {
    const { store, ui } = this.ctx;
    const { step, alone } = this;
    const there = step ? store.steps[step.index] === step : alone !== null && store.entries[alone.index] === alone;
    const passed = there ? this.entries.filter((entry) => !ui.sought.open || passes(ui.sought, entry)) : [];
    for (const { entry, row } of this.rows.values()) show(row.element, passed.includes(entry));
    show(this.element, passed.length > 0);
  }

  update(moment: Moment, dirty: ReadonlySet<number> | null): void {
    this.sift();
    if (!this.awake || this.element.hidden) return;
    const { store } = this.ctx;
    const newest = (moment.live || store.paused) && this.step !== null && this.step === store.steps.at(-1);
    // what stood open of the newest step folds when there is a newer one
    const all = !dirty || newest !== this.newest;
    this.newest = newest;
    for (const entry of this.entries) {
      const known = this.rows.get(entry.index);
      const row = known ?? this.add(entry);
      if (!known || all || dirty?.has(entry.index) || this.touchy(row)) this.updateRow(row, moment, newest);
    }
    const calls = this.entries.filter((entry) => entry.kind === "tool_call");
    this.element.classList.toggle("bad", calls.some(failed));
    this.element.classList.toggle("ask", calls.some(waits));
    this.updateAll();
    this.sift();
  }

  private updateAll(): void {
    if (!this.step || !asked(this.step).length) {
      this.all?.remove();
      this.all = null;
      return;
    }
    this.all ??= new AnswerAll(this.ctx, this.step, () => this.head?.line ?? null);
    if (this.element.lastChild !== this.all.element) this.element.append(this.all.element);
    this.all.update();
  }

  /** Calls change with the run around them, not only with their own words. */
  private touchy(row: EntryRow): boolean {
    return row instanceof ToolRow && !row.entry.returned;
  }

  private updateRow(row: EntryRow, moment: Moment, newest: boolean): void {
    const grows = moment.live && row.entry === moment.last && row.entry.step !== null;
    if (row instanceof ToolRow) row.update(newest);
    else if (row instanceof AnswerRow) row.update(grows, row.entry === moment.answer && (grows || moment.over));
    else if (row instanceof FoldedText) row.update(grows, newest && row.entry.kind === "reasoning");
    else row.update();
  }

  private add(entry: Entry): EntryRow {
    let number: string | null = null;
    if (!this.head && this.step === null) number = "";
    else if (!this.head && entry.kind !== "tool_call") number = this.number;
    else if (!this.head) this.addHead();
    const row = this.make(entry, number);
    this.head ??= row.row;
    this.rows.set(entry.index, row);
    this.element.append(row.row.element);
    return row;
  }

  private addHead(): void {
    this.head = new Row(this.ctx, `s${this.step?.index}`, this.number);
    this.head.element.classList.add("head");
    this.head.content.append(h("span", "dd", "No reasoning"));
    this.element.append(this.head.element);
  }

  private make(entry: Entry, number: string | null): EntryRow {
    const { ctx } = this;
    if (entry.kind === "tool_call") return new ToolRow(ctx, entry);
    if (entry.kind === "assistant") return new AnswerRow(ctx, entry, number);
    if (entry.kind === "reasoning") return new FoldedText(ctx, entry, "reason", number);
    if (entry.kind === "user") return new FoldedText(ctx, entry, "you", number, "You");
    if (entry.kind === "system") return new FoldedText(ctx, entry, "sys", number, "System");
    if (entry.kind === "summary") return new FoldedText(ctx, entry, "sumy", number, "Summary");
    return new NoteRow(ctx, entry, number);
  }

  /** The step line's right side: tokens and time. */
  figures(ms: number | null): void {
    if (!this.head || !this.step) return;
    const { input_tokens: input, output_tokens: output } = this.step.facts;
    const tokens = [
      typeof input === "number" ? `${count(input)} in` : "",
      typeof output === "number" ? `${count(output)} out` : "",
    ];
    say(this.head.note, tokens.filter(Boolean).join("  "));
    const { store } = this.ctx;
    const asks = this.ctx.live() && store.status === "requires_approval" && this.step === store.steps.at(-1);
    say(this.head.time, ms === null ? "" : asks ? waiting(ms) : time(ms));
  }

  tick(): void {
    for (const row of this.rows.values()) if (row instanceof ToolRow && !row.entry.returned) row.tick();
    this.all?.update();
  }
}
