/** The transcript: steps in order, in a box that follows the end of a live run until the reader scrolls up. */

import { button, h, say, set, show } from "../dom";
import type { Waterfall } from "../phases";
import type { Dirty, Entry } from "../store";
import { answerable, asked } from "./answer";
import { failed } from "./call";
import type { Context } from "./context";
import { type Moment, StepView } from "./step";
import { Tail } from "./tail";

const MANY = 12;
const FIRST = 2;
const LAST = 4;
/** a live run keeps so many steps before the newest in the page, and tidies when there are so many more */
const LIVE_LAST = 30;
const LIVE_MORE = 50;

/** px over a call that was brought into view */
const ABOVE = 30;

export class Transcript {
  readonly list = h("ol", "tx");
  private readonly tail: Tail;
  readonly box = h("div", "box", this.list);
  readonly element: HTMLElement;
  private readonly follow: HTMLButtonElement;
  private steps = new Map<number, StepView>();
  private alone = new Map<number, StepView>();
  private hidden = new Set<number>();
  private built = 0;
  private tidied = 0;
  private following = true;
  private top = 0;
  private seen = 0;
  private last: Entry | undefined;
  private answer: Entry | undefined;
  private live = false;
  /** the call that a person was asked about */
  private asks = -1;

  constructor(private readonly ctx: Context) {
    this.follow = button("btn follow", "", () => this.toEnd());
    show(this.follow, false);
    this.tail = new Tail(ctx);
    this.list.append(this.tail.element);
    set(this.box, { role: "group", "aria-label": "Transcript", tabindex: "0" });
    this.element = h("div", "txw", this.box, this.follow);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  update(dirty: Dirty, waterfall: Waterfall, opened = false): void {
    const long = this.tooLong();
    if (dirty.all || long) this.rebuild();
    this.append();
    const { store } = this.ctx;
    const before = [this.last, this.answer, this.live] as const;
    this.last = store.entries.at(-1);
    this.answer = store.steps.at(-1)?.entries.findLast((entry) => entry.kind === "assistant");
    this.live = store.running;
    const everything = opened || dirty.all || long || before[2] !== this.live;
    const entries = new Set(dirty.entries);
    for (const entry of [before[0], before[1], this.last, this.answer]) if (entry) entries.add(entry.index);
    const moment: Moment = { last: this.last, answer: this.answer, live: this.live, over: !this.live && !store.paused };
    const touched = everything ? null : this.touched(entries, dirty);
    for (const view of this.views()) {
      if (!touched || touched.has(view)) view.update(moment, everything ? null : entries);
    }
    this.figures(waterfall);
    this.box.classList.toggle("full", this.ctx.ui.full);
    this.list.classList.toggle("many", store.steps.length > MANY);
    this.tail.update(this.live);
    this.settle();
    this.showAsked();
  }

  /** A call that waits for a person comes into view, once; in the box, not in the page. */
  private showAsked(): void {
    const first = answerable(this.ctx) === "live" ? asked(this.ctx.store.steps.at(-1) ?? null)[0] : undefined;
    const { asks } = this;
    this.asks = first?.index ?? -1;
    if (!first || asks >= 0 || this.ctx.ui.full) return;
    const row = this.list.querySelector(`[data-key=e${first.index}]`);
    if (!row) return;
    const above = row.getBoundingClientRect().top - this.box.getBoundingClientRect().top - ABOVE;
    this.box.scrollTop = Math.min(this.box.scrollTop + above, this.box.scrollHeight);
    // its own scrolling is not the reader's
    this.top = this.box.scrollTop;
  }

  /** Show an entry's row, and put the focus on it. */
  reveal(index: number): void {
    const step = this.ctx.store.entries[index]?.step ?? null;
    if (step !== null && this.hidden.has(step)) this.showAll();
    const row = this.list.querySelector<HTMLElement>(`[data-key=e${index}]`);
    this.following = false;
    row?.scrollIntoView({ block: "nearest" });
    row?.focus({ preventScroll: true });
    this.settle();
  }

  /** The steps that this frame is about; the newest two always: what is open in them changes as the run goes on. */
  private touched(entries: ReadonlySet<number>, dirty: Dirty): Set<StepView> {
    const { store } = this.ctx;
    const touched = new Set<StepView>();
    const put = (view: StepView | undefined): void => void (view && touched.add(view));
    for (const index of entries) {
      const step = store.entries[index]?.step ?? null;
      put(step === null ? this.alone.get(index) : this.steps.get(step));
    }
    for (const index of dirty.steps) put(this.steps.get(index));
    for (const step of store.steps.slice(-2)) put(this.steps.get(step.index));
    return touched;
  }

  private views(): StepView[] {
    return [...this.alone.values(), ...this.steps.values()];
  }

  /** Steps far above a reader who follows the end leave the page. */
  private tooLong(): boolean {
    const more = this.ctx.store.steps.length - this.tidied;
    return this.live && this.following && !this.ctx.ui.middle && more > LIVE_LAST + LIVE_MORE;
  }

  private rebuild(): void {
    this.list.replaceChildren(this.tail.element);
    this.steps = new Map();
    this.alone = new Map();
    this.built = 0;
    this.hidden = this.middle();
    this.tidied = this.ctx.store.steps.length - LIVE_LAST;
  }

  /** The steps in the middle of a long run, which wait behind one button. */
  private middle(): Set<number> {
    const { steps } = this.ctx.store;
    if (steps.length <= MANY || this.ctx.ui.middle) return new Set();
    const middle = steps.slice(FIRST, this.live ? -LIVE_LAST : -LAST).filter((step) => !step.entries.some(failed));
    return new Set(middle.map((step) => step.index));
  }

  private append(): void {
    const { entries, steps } = this.ctx.store;
    for (; this.built < entries.length; this.built++) {
      const entry = entries[this.built] as Entry;
      if (entry.step === null) {
        const view = new StepView(this.ctx, null, entry);
        this.alone.set(entry.index, view);
        this.tail.element.before(view.element);
      } else if (this.hidden.has(entry.step)) {
        if (!this.hidden.has(entry.step - 1)) this.gap(entry.step);
      } else if (!this.steps.has(entry.step)) {
        const step = steps[entry.step];
        if (!step) continue;
        const view = new StepView(this.ctx, step);
        this.steps.set(entry.step, view);
        this.tail.element.before(view.element);
      }
    }
  }

  private gap(from: number): void {
    if (this.tail.element.previousElementSibling?.classList.contains("middle")) return;
    let to = from;
    while (this.hidden.has(to + 1)) to++;
    const more = button("lk", "", () => this.showAll());
    say(more, to === from ? `Show step ${from + 1}` : `Show steps ${from + 1} to ${to + 1}`);
    this.tail.element.before(h("li", "step middle", more));
  }

  showAll(): void {
    this.ctx.ui.middle = true;
    this.update({ all: true, head: false, entries: new Set(), steps: new Set() }, this.waterfall);
  }

  private waterfall: Waterfall = { end: 0, lanes: [], totals: new Map(), atMost: new Set() };

  private figures(waterfall: Waterfall): void {
    this.waterfall = waterfall;
    const times = new Map(
      waterfall.lanes.filter((lane) => lane.first).map((lane) => [lane.step, lane.end - lane.start]),
    );
    for (const [index, view] of this.steps) view.figures(times.get(index) ?? null);
  }

  tick(waterfall: Waterfall): void {
    this.figures(waterfall);
    this.tail.update(this.live);
    for (const view of [...this.steps.values()].slice(-2)) view.tick();
  }

  // -- following the end ----------------------------------------------------------------------------------------------

  private scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const atEnd = scrollHeight - scrollTop - clientHeight < 24;
    if (atEnd) this.following = true;
    else if (scrollTop < this.top - 1) this.following = false;
    this.top = scrollTop;
    if (atEnd) this.settle();
  }

  private settle(): void {
    const total = this.ctx.store.entries.length;
    if (this.live && this.following && !this.ctx.ui.full) {
      this.box.scrollTop = this.box.scrollHeight;
      this.top = this.box.scrollTop;
    }
    if (this.following || !this.live) this.seen = total;
    const unseen = total - this.seen;
    say(this.follow, unseen ? `Follow, ${unseen} new` : "Follow");
    show(this.follow, this.live && !this.following && !this.ctx.ui.full);
  }

  private toEnd(): void {
    this.following = true;
    this.settle();
    this.box.scrollTop = this.box.scrollHeight;
  }
}
