/** One view of one run: a shadow root in a child of its own, drawn once a frame. */

import { attended, button, h, keepKeys, say, set, show } from "../dom";
import type { Outside } from "../outside";
import { type Waterfall, waterfall } from "../phases";
import { clean, type Dirty, merge, type Store } from "../store";
import css from "../style.css";
import { liveSpan, moment as momentWords } from "../time";
import { Announcer } from "./announce";
import { forget } from "./answer";
import { Card } from "./card";
import { clockOf } from "./clock";
import type { Context, Finder, More, Shown } from "./context";
import { Header, STATUS, statusOf } from "./header";
import { Keys } from "./keys";
import { Lanes } from "./lanes";
import { Legend } from "./legend";
import { Reader } from "./reader";
import { LOST, SayLine } from "./says";
import { Scale } from "./scale";
import { Scrubber } from "./scrubber";
import { Tabs } from "./tabs";
import { followTheme } from "./theme";
import { Transcript } from "./transcript";
import { type Pane, uiOf } from "./ui";

const OTHERS = ["raw", "memory", "context"] as const;
const TICK_MS = 100;
const CALM_TICK_MS = 1000;
let views = 0;

export class View {
  readonly host = h("div", "lnb-host");
  private readonly root = h("div", "lnb");
  private readonly ctx: Context;
  private readonly header: Header;
  private readonly sayLine: SayLine;
  private readonly legend: Legend;
  private readonly lanes: Lanes;
  private readonly scrubber: Scrubber;
  private readonly zoomed = h("div", "zoom d");
  private readonly tabs: Tabs;
  /** comes when it is asked for */
  private find: Finder | null = null;
  private seeking = false;
  private readonly transcript: Transcript;
  private missing = false;
  private readonly bodies: Record<Pane, HTMLElement>;
  private panes: Partial<Record<Pane, Shown>> | null = null;
  private readonly announcer: Announcer;
  private readonly reader: Reader;
  private readonly card: Card;
  private dirty: Dirty = clean();
  private frame = 0;
  private opened = false;
  private timer = 0;
  private scale = new Scale(0, 1);
  /** of the whole run, whatever moment is shown */
  private fall: Waterfall = { end: 0, lanes: [], totals: new Map(), atMost: new Set() };
  /** of the moment that is shown */
  private now = this.fall;

  constructor(
    parent: HTMLElement,
    private readonly store: Store,
    outside: Outside,
    private readonly signal: AbortSignal,
    uid = store.last.uid ?? "",
  ) {
    const ctx = this.context(outside, uid);
    this.ctx = ctx;
    this.card = new Card(this.root);
    this.header = new Header(ctx, this.card);
    this.sayLine = new SayLine(ctx);
    this.legend = new Legend(ctx);
    this.lanes = new Lanes(ctx, this.card);
    this.scrubber = new Scrubber(ctx, signal);
    this.transcript = new Transcript(ctx, signal);
    const text = h("div", "", this.transcript.element);
    this.bodies = { transcript: text, raw: h("div"), memory: h("div"), context: h("div") };
    this.tabs = new Tabs(
      ctx,
      this.bodies,
      () => void ((ctx.ui.pane === "transcript" && this.find && this.closeFind()) || this.search()),
    );
    this.announcer = new Announcer(ctx);
    this.reader = new Reader(this.root, ctx.ui, () => this.rest(), signal);
    parent.append(this.host);
    // what is behind is looked up before there is anything of ours to lay out
    this.listen(signal);
    this.build();
    this.dirty.all = true;
    this.draw();
  }

  private context(outside: Outside, uid: string): Context {
    const { store } = this;
    const clock = clockOf(store);
    const { send } = outside;
    const still = window.matchMedia?.("(prefers-reduced-motion: reduce)");
    return {
      store,
      ui: uiOf(uid),
      id: `lnb${++views}-`,
      send,
      outside,
      now: () => store.moment ?? clock.now(send !== null),
      live: () => send !== null && store.moment === null && (store.running || store.paused),
      redraw: () => {
        this.opened = true;
        this.draw();
      },
      later: () => this.later(),
      calm: () => still?.matches ?? false,
      reveal: (entry) => this.reveal(entry),
      travel: (moment) => store.travel(moment),
      more: () => this.more(),
      missing: () => this.missing,
    };
  }

  private build(): void {
    // no landmark: a notebook may hold dozens of these
    set(this.root, { role: "group", dir: "ltr" });
    this.zoomed.append(
      h("span"),
      button("lk", "", () => this.zoom(null), "Whole run"),
    );
    const { legend, lanes, scrubber, zoomed } = this;
    const times = h("div", "wf", legend.element, lanes.element, scrubber.element, zoomed);
    this.root.append(this.header.element, this.sayLine.element, times, this.tabs.element);
    this.root.append(...Object.values(this.bodies));
    this.root.append(this.announcer.element, this.card.element, this.keys().help);
    this.host.attachShadow({ mode: "open" }).append(h("style", "", css), this.root);
  }

  private keys(): Keys {
    const { ctx, scrubber } = this;
    return new Keys(ctx, this.root, {
      toggleAll: () => this.tabs.toggleAll(),
      find: () => this.search(),
      tab: (number) => this.tabs.nth(number),
      event: (by) => scrubber.event(by),
      step: (by) => scrubber.step(by, this.fall),
      ends: (last) => scrubber.go(last ? this.fall.end : 0),
      play: () => void scrubber.toggle(),
      zoom: (step) => this.zoom(ctx.ui.zoom ? null : step),
      close: () => this.close(),
    });
  }

  /** Escape: the card, the menu, the search, the zoom, the earlier moment; then out of the view. */
  private close(): boolean {
    if (this.card.close() || this.tabs.closeMenu() || this.closeFind()) return true;
    if (this.ctx.ui.zoom) this.zoom(null);
    else if (this.store.moment !== null) this.ctx.travel(null);
    else return false;
    return true;
  }

  /** In the raw events, which have a box of their own, there; else in the transcript. */
  private search(): void {
    if (this.ctx.ui.pane === "raw") this.bodies.raw.querySelector("input")?.focus();
    else this.seek();
  }

  private seek(): void {
    const { ui } = this.ctx;
    ui.pane = "transcript";
    ui.sought.open = true;
    if (this.find) this.find.open();
    else void this.loadFind(true).finally(() => this.later());
  }

  /** The search bar comes when it is first asked for; `typed`: to be typed into. */
  private async loadFind(typed: boolean): Promise<void> {
    this.seeking = true;
    const more = await this.ctx.more();
    if (this.find || !more) return;
    const { ctx, transcript } = this;
    this.find = more.finder(ctx, transcript.list, this.signal);
    transcript.element.before(this.find.element);
    // who went elsewhere meanwhile stays there
    if (typed && ctx.ui.sought.open && attended(this.host)) this.find.open();
  }

  private closeFind(): boolean {
    const { sought } = this.ctx.ui;
    if (this.find || !sought.open) return this.find?.close() ?? false;
    // it is on its way
    sought.open = false;
    this.ctx.redraw();
    return true;
  }

  private drawFind(): void {
    const { open } = this.ctx.ui.sought;
    // a filter was set without it, or another view of this run has it open; asked for once each time
    if (open && !this.seeking) void this.loadFind(false).finally(() => this.later());
    if (!open) this.seeking = false;
    this.find?.update();
  }

  /** Show the time of a step only, null for all of it. */
  private zoom(step: number | null): void {
    const lanes = this.fall.lanes.filter((lane) => lane.step === step);
    const [from, to] = [Math.min(...lanes.map((lane) => lane.start)), Math.max(...lanes.map((lane) => lane.end))];
    this.ctx.ui.zoom = lanes.length && to > from ? [from, to] : null;
    this.ctx.redraw();
  }

  private listen(signal: AbortSignal): void {
    keepKeys(this.host, signal);
    // who has the focus is about to press a key: what it asks for is there by then
    this.host.addEventListener("focusin", () => this.ctx.outside.more().catch(() => {}), { once: true, signal });
    followTheme(this.host, this.root, () => this.later(), signal);
    const stop = this.store.listen((dirty) => {
      merge(this.dirty, dirty);
      this.later();
    });
    // a host may take an output away and put it back, or show another view and never say so
    let away = false;
    const seen =
      globalThis.IntersectionObserver &&
      new IntersectionObserver((entries) => {
        if (away) this.later();
        away = !entries.at(-1)?.isIntersecting;
      });
    seen?.observe(this.host);
    signal.addEventListener("abort", () => {
      stop();
      seen?.disconnect();
      clearTimeout(this.timer);
      cancelAnimationFrame(this.frame);
      this.host.remove();
    });
  }

  /** Draw in the next frame; not at all while out of the page. */
  later(): void {
    if (this.frame || !this.host.isConnected) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.host.isConnected) this.draw();
    });
  }

  private draw(): void {
    const { store, dirty, ctx } = this;
    this.dirty = clean();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    forget(ctx);
    const live = ctx.live();
    this.header.update();
    this.sayLine.update();
    this.drawFind();
    // who opens a row of a run that is over does not change its times
    const fall = this.drawTimes(live, live || dirty.all || dirty.head || dirty.entries.size + dirty.steps.size > 0);
    this.tabs.update();
    this.drawPane(dirty, fall);
    if (store.moment === null) this.announcer.look();
    this.opened = false;
    this.reader.keep();
    const status = statusOf(ctx);
    const prompt = store.entries.find((entry) => entry.kind === "user")?.text.slice(0, 60) ?? "";
    set(this.root, { "aria-label": `Letta run, ${STATUS[status].toLowerCase()}${prompt && `: ${prompt}`}` });
    this.root.classList.toggle("running", live);
    this.beat(live);
  }

  private drawPane(dirty: Dirty, fall: Waterfall): void {
    const { pane } = this.ctx.ui;
    for (const [name, body] of Object.entries(this.bodies)) show(body, name === pane);
    if (pane !== "raw") this.ctx.ui.failure = false;
    // it is kept up to date unseen: what it would have to catch up with is the same work
    this.transcript.update(dirty, fall, this.opened);
    this.find?.mark();
    if (pane === "transcript") return;
    if (this.panes) this.panes[pane]?.update();
    else void this.load();
  }

  /** What can have the focus whatever is drawn. */
  private rest(): HTMLElement | null {
    const { pane } = this.ctx.ui;
    return pane === "transcript" ? this.transcript.box : this.tabs.tab(pane);
  }

  private async more(): Promise<More | null> {
    const before = this.missing;
    const more = await this.ctx.outside.more().catch((problem) => console.error("letta_nb", problem));
    this.missing = !more;
    if (before !== this.missing) {
      say(this.announcer.element, more ? "" : LOST);
      this.later();
    }
    if (!more) return null;
    // a sheet of its own: what is drawn already keeps its style
    if (!this.card.place) this.root.before(h("style", "", more.css));
    this.card.place = more.place;
    return more;
  }

  /** The other panes come when one of them is asked for. */
  private async load(): Promise<void> {
    const said = h("div", "none d", "One moment");
    this.panes = {};
    for (const pane of OTHERS) this.bodies[pane].replaceChildren(said.cloneNode(true));
    const more = await this.ctx.more();
    try {
      if (more) this.panes = more.panes(this.ctx);
    } catch (problem) {
      console.error("letta_nb", problem);
    }
    for (const pane of OTHERS) this.bodies[pane].replaceChildren(this.panes[pane]?.element ?? this.again());
    this.later();
  }

  /** What stands in the place of panes that could not be had. */
  private again(): HTMLElement {
    const again = button("lk", "", () => void this.load(), "Try again");
    return h("div", "none", again);
  }

  /** Draws the times, and returns the waterfall of the moment that is shown. */
  private drawTimes(live: boolean, changed = true): Waterfall {
    const { store, ctx } = this;
    if (changed) this.now = waterfall(store, ctx.now());
    const fall = this.now;
    if (store.moment === null) this.fall = fall;
    const whole = this.fall;
    const [from, to] = (!live && ctx.ui.zoom) || [0, live ? liveSpan(whole.end) : whole.end || 1];
    if (from !== this.scale.from || to !== this.scale.to) {
      if (live) this.rescale();
      this.scale = new Scale(from, to);
    }
    this.legend.update(fall, whole);
    this.lanes.update(whole, this.scale, live, store.moment);
    this.scrubber.update(whole, this.scale, live, this.find?.times ?? []);
    this.drawZoom();
    show(this.legend.element, this.legend.element.childElementCount > 0 || live);
    this.root.classList.toggle("no-wf", whole.lanes.length === 0);
    return fall;
  }

  /** `7.1 to 7.3 s  Whole run`, or that a long wait is shown in short. */
  private drawZoom(): void {
    const { zoom } = this.ctx.ui;
    const hurry = this.scrubber.hurry();
    show(this.zoomed, !!zoom || hurry !== "");
    say(this.zoomed.firstChild as Node, hurry || (zoom ? `${momentWords(zoom[0])} to ${momentWords(zoom[1])}  ` : ""));
    show(this.zoomed.lastChild as HTMLElement, !!zoom && !hurry);
  }

  private rescale(): void {
    this.root.classList.add("moves");
    setTimeout(() => this.root.classList.remove("moves"), 250);
  }

  /** One timer for all that runs. */
  private beat(live: boolean): void {
    clearTimeout(this.timer);
    // who waits for a person counts in whole seconds, maybe for hours
    const calm = this.ctx.calm() || this.store.status === "requires_approval";
    if (live) this.timer = window.setTimeout(() => this.tick(), calm ? CALM_TICK_MS : TICK_MS);
  }

  private tick(): void {
    if (!this.host.isConnected) return;
    this.header.tick();
    this.sayLine.update();
    this.transcript.tick(this.drawTimes(true));
    this.announcer.tick();
    this.beat(true);
  }

  private reveal(index: number): void {
    const { ui, store } = this.ctx;
    this.card.close();
    ui.pane = "transcript";
    // who wants to see what is not there yet goes to the end
    if (!store.entries[index]) store.travel(null);
    ui.open.set(`e${index}`, true);
    this.ctx.redraw();
    this.transcript.reveal(index);
    // in rows that were not there before
    this.find?.mark();
  }
}
