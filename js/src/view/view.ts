/** One view of one run: a shadow root in a child of its own, drawn once a frame. */

import { h, set, show } from "../dom";
import type { ToKernel } from "../page.gen";
import { type Waterfall, waterfall } from "../phases";
import { clean, type Dirty, merge, type Store } from "../store";
import css from "../style.css";
import { liveSpan, ticks } from "../time";
import { Announcer } from "./announce";
import { forget } from "./answer";
import { Axis } from "./axis";
import { Card } from "./card";
import { clockOf } from "./clock";
import { type Context, uiOf } from "./context";
import { Header, STATUS, statusOf } from "./header";
import { Keys } from "./keys";
import { Lanes } from "./lanes";
import { Legend } from "./legend";
import { SayLine } from "./says";
import { followTheme } from "./theme";
import { Toolbar } from "./toolbar";
import { Transcript } from "./transcript";

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
  private readonly axis = new Axis();
  private readonly toolbar: Toolbar;
  private readonly transcript: Transcript;
  private readonly announcer: Announcer;
  private readonly card: Card;
  private dirty: Dirty = clean();
  private frame = 0;
  private opened = false;
  private timer = 0;
  private span = 0;

  constructor(
    parent: HTMLElement,
    private readonly store: Store,
    send: ((words: ToKernel) => void) | null,
    signal: AbortSignal,
    uid = store.head.uid ?? "",
  ) {
    this.ctx = this.context(send, uid);
    this.card = new Card(this.root);
    this.header = new Header(this.ctx, this.card);
    this.sayLine = new SayLine(this.ctx);
    this.legend = new Legend(this.ctx);
    this.lanes = new Lanes(this.ctx, this.card);
    this.toolbar = new Toolbar(this.ctx);
    this.transcript = new Transcript(this.ctx);
    this.announcer = new Announcer(this.ctx);
    this.build(parent);
    this.listen(signal);
    this.dirty.all = true;
    this.draw();
  }

  private context(send: Context["send"], uid: string): Context {
    const clock = clockOf(this.store);
    const still = window.matchMedia?.("(prefers-reduced-motion: reduce)");
    return {
      store: this.store,
      ui: uiOf(uid),
      id: `lnb${++views}-`,
      send,
      now: () => clock.now(send !== null),
      live: () => send !== null && (this.store.running || this.store.paused),
      redraw: () => {
        this.opened = true;
        this.draw();
      },
      calm: () => still?.matches ?? false,
      reveal: (entry) => this.reveal(entry),
    };
  }

  private build(parent: HTMLElement): void {
    set(this.host, { "data-lm-suppress-shortcuts": "true" });
    set(this.root, { role: "region" });
    const keys = new Keys(this.ctx, this.root, {
      toggleAll: () => this.toolbar.toggleAll(),
      closeCard: () => this.card.close(),
    });
    const style = h("style");
    style.textContent = css;
    const waterfall = h("div", "wf", this.legend.element, this.lanes.element, this.axis.element);
    this.root.append(this.header.element, this.sayLine.element, waterfall, this.toolbar.element);
    this.root.append(this.transcript.element, this.announcer.element, this.card.element, keys.help);
    this.host.attachShadow({ mode: "open" }).append(style, this.root);
    parent.append(this.host);
  }

  private listen(signal: AbortSignal): void {
    followTheme(this.host, this.root, () => this.later(), signal);
    const stop = this.store.listen((dirty) => {
      merge(this.dirty, dirty);
      this.later();
    });
    // a host may take an output away and put it back, or show another view and never say so
    const seen = globalThis.IntersectionObserver && new IntersectionObserver(() => this.later());
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
  private later(): void {
    if (this.frame || !this.host.isConnected) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.host.isConnected) this.draw();
    });
  }

  private draw(): void {
    const { store, dirty } = this;
    this.dirty = clean();
    forget(this.ctx);
    const live = this.ctx.live();
    const fall = waterfall(store, this.ctx.now());
    this.header.update();
    this.sayLine.update();
    this.drawTimes(fall, live);
    this.toolbar.update();
    this.transcript.update(dirty, fall, this.opened);
    this.announcer.look();
    this.opened = false;
    const status = statusOf(this.ctx);
    const prompt = store.entries.find((entry) => entry.kind === "user")?.text.slice(0, 60) ?? "";
    set(this.root, { "aria-label": `Letta run, ${STATUS[status].toLowerCase()}${prompt && `: ${prompt}`}` });
    this.root.classList.toggle("running", live);
    this.beat(live);
  }

  private drawTimes(fall: Waterfall, live: boolean): void {
    const span = live ? liveSpan(fall.end) : fall.end || 1;
    if (span !== this.span && live && this.span) this.rescale();
    this.span = span;
    const at = ticks(span);
    this.legend.update(fall);
    const moments = at.map((tick) => tick.at);
    this.lanes.update(fall, span, moments, live);
    this.axis.update(fall, span, at, live);
    show(this.legend.element, this.legend.element.childElementCount > 0 || live);
    this.root.classList.toggle("no-wf", fall.lanes.length === 0);
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
    const fall = waterfall(this.store, this.ctx.now());
    this.drawTimes(fall, true);
    this.transcript.tick(fall);
    this.announcer.tick();
    this.beat(true);
  }

  private reveal(index: number): void {
    this.card.close();
    this.ctx.ui.open.set(`e${index}`, true);
    this.ctx.redraw();
    this.transcript.reveal(index);
  }
}
