/** The transcript: steps in order, in a box that follows the end of a live run until the reader scrolls up. */

import { button, h, say, set, show } from "../dom";
import type { Waterfall } from "../phases";
import type { Dirty, Entry, Step } from "../store";
import { plural, time } from "../time";
import { answerable, asked } from "./answer";
import { failed } from "./call";
import type { Context } from "./context";
import { Near } from "./near";
import { Row } from "./row";
import { type Moment, StepView } from "./step";
import { Tail } from "./tail";

const MANY = 12;
const FIRST = 2;
const LAST = 4;
/** so many steps are drawn before anything is known of what the reader sees */
const AT_ONCE = 30;

/** px over a call that was brought into view */
const ABOVE = 30;

export class Transcript {
  readonly list = h("ol", "tx");
  private readonly tail: Tail;
  private readonly foot = h("li", "step tail");
  /** a step of which nothing arrived */
  private readonly silent = h("li", "step");
  readonly box = h("div", "box", this.list);
  readonly element: HTMLElement;
  private readonly follow: HTMLButtonElement;
  private readonly near: Near;
  private steps = new Map<number, StepView>();
  private alone = new Map<number, StepView>();
  private of = new Map<Element, StepView>();
  private hidden = new Set<number>();
  /** what stands for steps that are hidden, by the first of them */
  private gaps = new Map<number, { element: HTMLElement; to: number }>();
  private built = 0;
  private following = true;
  private top = 0;
  private seen = 0;
  private last: Entry | undefined;
  private answer: Entry | undefined;
  private live = false;
  private moment: number | null = null;
  private printed = false;
  private now: Moment | null = null;
  /** the call that a person was asked about */
  private asks = -1;

  constructor(
    private readonly ctx: Context,
    signal: AbortSignal,
  ) {
    this.follow = button("btn follow", "", () => this.toEnd());
    show(this.follow, false);
    this.tail = new Tail(ctx);
    show(this.foot, false);
    this.list.append(this.tail.element, this.foot);
    set(this.box, { role: "group", "aria-label": "Transcript", tabindex: "0" });
    this.element = h("div", "txw", this.box, this.follow);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.near = new Near((element, near) => this.came(element, near));
    // what is printed is seen whole
    window.addEventListener("beforeprint", () => this.whole(), { signal });
    window.addEventListener("afterprint", () => this.fold(), { signal });
    signal.addEventListener("abort", () => this.near.clear());
  }

  update(dirty: Dirty, waterfall: Waterfall, opened = false): void {
    const { store, ui } = this.ctx;
    this.moment = store.moment;
    this.hold();
    if (dirty.all) this.rebuild();
    this.append();
    const before = [this.last, this.answer, this.live] as const;
    this.last = store.entries.at(-1);
    this.answer = store.steps.at(-1)?.entries.findLast((entry) => entry.kind === "assistant");
    this.live = store.running;
    const everything = opened || dirty.all || before[2] !== this.live;
    const entries = new Set(dirty.entries);
    for (const entry of [before[0], before[1], this.last, this.answer]) if (entry) entries.add(entry.index);
    this.now = { last: this.last, answer: this.answer, live: this.live, over: !this.live && !store.paused };
    const touched = everything ? null : this.touched(entries, dirty);
    for (const view of this.views()) {
      if (!touched || touched.has(view)) view.update(this.now, everything ? null : entries);
    }
    this.figures(waterfall);
    this.box.classList.toggle("full", ui.full);
    this.box.classList.toggle("still", !this.live || !this.following);
    this.near.within(ui.full ? null : this.box);
    this.tail.update(this.live && this.moment === null);
    this.drawSilent(waterfall);
    this.drawFoot();
    this.settle();
    this.showAsked();
    this.resume(dirty.all || before[2] !== this.live);
  }

  /** What was drawn anew, and the saved view in place of the live one, is where the reader was: at the end, if there. */
  private resume(anew: boolean): void {
    const { top, full } = this.ctx.ui;
    if (anew && this.built && top && !full && !this.live) this.box.scrollTop = Math.min(top, this.box.scrollHeight);
  }

  /** At an earlier moment the box keeps the height that it had; it is read before anything is drawn. */
  private hold(): void {
    const { style } = this.box;
    if (this.moment === null) style.minHeight = "";
    else style.minHeight ||= `${this.box.offsetHeight}px`;
  }

  private drawSilent({ lanes }: Waterfall): void {
    const { store } = this.ctx;
    const lane = lanes.at(-1);
    const none = !this.live && !store.paused && this.moment === null && lane && !store.steps[lane.step];
    if (!none) {
      this.silent.remove();
      this.silent.replaceChildren();
      return;
    }
    if (!this.silent.parentNode) this.foot.before(this.silent);
    if (this.silent.firstChild) return;
    const row = new Row(this.ctx, "s", String(lane.step + 1));
    row.content.append(h("span", "dd", "Nothing arrived"));
    say(row.time, time(lane.end - lane.start));
    this.silent.append(row.element);
  }

  /** What comes after the moment that is shown. */
  private drawFoot(): void {
    const { foot, ctx } = this;
    const past = this.moment !== null;
    show(foot, past);
    if (!past) return;
    const { later } = ctx.store;
    const words = later
      ? `${plural(later, "step")} ${later === 1 ? "comes" : "come"} after this instant.  `
      : "The run goes on after this instant.  ";
    if (foot.dataset.words === words) return;
    foot.dataset.words = words;
    const back = button("lk", "", () => ctx.travel(null));
    say(back, "Back to the end");
    foot.replaceChildren(h("div", "r", h("span"), h("span", "c", words, back)));
  }

  private came(element: Element, near: boolean): void {
    const view = this.of.get(element);
    if (!view || !this.now || near === view.awake) return;
    if (!near) view.sleep();
    else {
      view.wake();
      view.update(this.now, null);
      this.figures(this.waterfall);
    }
  }

  private whole(): void {
    this.printed = this.gaps.size > 0;
    for (const from of [...this.gaps.keys()]) this.fill(from, false);
    for (const view of this.of.values()) {
      view.wake();
      if (this.now) view.update(this.now, null);
    }
  }

  /** What was shown for the printer alone. */
  private fold(): void {
    if (!this.printed) return;
    this.printed = false;
    this.update({ all: true, head: false, entries: new Set(), steps: new Set() }, this.waterfall);
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
    for (const [from, { to }] of this.gaps) if (step !== null && from <= step && step <= to) this.fill(from);
    const view = step === null ? undefined : this.steps.get(step);
    if (view && !view.awake) this.came(view.element, true);
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

  private rebuild(): void {
    this.near.clear();
    this.list.replaceChildren(this.tail.element, this.foot);
    this.steps = new Map();
    this.alone = new Map();
    this.of = new Map();
    this.gaps = new Map();
    this.silent.replaceChildren();
    this.built = 0;
    this.hidden = this.middle();
  }

  /** The steps in the middle of a long run, which wait behind one button. */
  private middle(): Set<number> {
    const { store, ui } = this.ctx;
    const { steps } = store;
    if (steps.length <= MANY || store.running) return new Set();
    const asked = ({ index, entries }: Step): boolean => ui.middle.has(index) || entries.some(failed);
    const middle = steps.slice(FIRST, -LAST).filter((step) => !asked(step));
    return new Set(middle.map((step) => step.index));
  }

  private append(): void {
    const { entries, steps } = this.ctx.store;
    for (; this.built < entries.length; this.built++) {
      const entry = entries[this.built] as Entry;
      if (entry.step === null) {
        this.alone.set(entry.index, this.put(new StepView(this.ctx, null, entry)));
      } else if (this.hidden.has(entry.step)) {
        if (!this.hidden.has(entry.step - 1) && !this.gaps.has(entry.step)) this.gap(entry.step);
      } else if (!this.steps.has(entry.step)) {
        const step = steps[entry.step];
        if (!step) continue;
        this.steps.set(entry.step, this.put(new StepView(this.ctx, step)));
      }
    }
  }

  private put(view: StepView, before: Element = this.tail.element): StepView {
    before.before(view.element);
    this.of.set(view.element, view);
    // the newest of a live run is where the reader is; else it is drawn when it comes near
    if (this.of.size > AT_ONCE && !this.ctx.store.running && globalThis.IntersectionObserver) view.sleep();
    this.near.watch(view.element);
    return view;
  }

  private gap(from: number): void {
    let to = from;
    while (this.hidden.has(to + 1)) to++;
    const more = button("lk", "", () =>
      this.fill(from)?.querySelector<HTMLElement>(".r")?.focus({ preventScroll: true }),
    );
    say(more, to === from ? `Show step ${from + 1}` : `Show steps ${from + 1} to ${to + 1}`);
    const element = h("li", "step middle", more);
    this.tail.element.before(element);
    this.gaps.set(from, { element, to });
  }

  /** Shows the steps of a gap in its place, and returns the first; `kept`: for good. */
  private fill(from: number, kept = true): HTMLElement | null {
    const { steps } = this.ctx.store;
    const gap = this.gaps.get(from);
    if (!gap) return null;
    for (const step of steps.slice(from, gap.to + 1)) {
      this.hidden.delete(step.index);
      if (kept) this.ctx.ui.middle.add(step.index);
      const view = this.put(new StepView(this.ctx, step), gap.element);
      this.steps.set(step.index, view);
      // the first are seen at once
      if (step.index < from + FIRST) view.wake();
      if (this.now) view.update(this.now, null);
    }
    gap.element.remove();
    this.gaps.delete(from);
    this.figures(this.waterfall);
    this.ctx.later();
    return this.steps.get(from)?.element ?? null;
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
    for (const step of this.ctx.store.steps.slice(-2)) this.steps.get(step.index)?.tick();
  }

  // -- following the end ----------------------------------------------------------------------------------------------

  private scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    // a box that was taken away tells once more, of nothing
    if (!this.box.isConnected) return;
    const atEnd = scrollHeight - scrollTop - clientHeight < 32;
    if (this.moment === null) this.ctx.ui.top = atEnd && scrollTop ? Number.POSITIVE_INFINITY : scrollTop;
    if (atEnd) this.following = true;
    else if (scrollTop < this.top - 1) this.following = false;
    this.top = scrollTop;
    if (atEnd) this.settle();
  }

  private settle(): void {
    const total = this.ctx.store.entries.length;
    if (this.live && this.following && !this.ctx.ui.full && this.moment === null) {
      this.box.scrollTop = this.box.scrollHeight;
      this.top = this.box.scrollTop;
    }
    if (this.following || !this.live) this.seen = total;
    const unseen = total - this.seen;
    say(this.follow, unseen ? `Follow, ${unseen} new` : "Follow");
    show(this.follow, this.live && !this.following && !this.ctx.ui.full && this.moment === null);
  }

  private toEnd(): void {
    this.following = true;
    this.settle();
    this.box.scrollTop = this.box.scrollHeight;
  }
}
