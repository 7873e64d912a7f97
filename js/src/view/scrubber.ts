/** The time axis is the scrubber: drag it, or play, and the run is shown as it stood then. */

import { button, h, say, set, show } from "../dom";
import { icon } from "../icons";
import type { Waterfall } from "../phases";
import { time } from "../time";
import { callState } from "./call";
import type { Context, Played, Player } from "./context";
import type { Scale } from "./scale";

/** more steps than this have no ticks of their own */
const MOST = 72;
const SNAP_PX = 3;
const SPEEDS = [1, 4, 16];

export class Scrubber implements Played {
  private readonly past = h("span", "past");
  private readonly knob = h("span", "knob");
  private readonly marks = h("span", "marks");
  private readonly rail = h("div", "rail", this.past, this.marks, this.knob);
  private readonly play: HTMLButtonElement;
  private readonly speed: HTMLButtonElement;
  private readonly of = h("span", "of");
  readonly element: HTMLElement;
  private drawn = "";
  private scale: Scale | null = null;
  end = 0;
  private player: Player | null = null;

  constructor(
    private readonly ctx: Context,
    signal: AbortSignal,
  ) {
    this.play = button("ico", "Play", () => void this.toggle());
    this.speed = button("speed", "", () => this.faster());
    this.element = h("div", "tb", h("span", "pl", this.play, this.speed), this.rail, this.of);
    this.rail.addEventListener("pointerdown", (event) => this.grab(event));
    signal.addEventListener("abort", () => this.player?.pause());
  }

  /** Somebody can go back in it: it is over, and it was timed. */
  get able(): boolean {
    return this.end > 0 && (this.ctx.store.moment !== null || !this.ctx.live());
  }

  update(fall: Waterfall, scale: Scale, live: boolean, matched: readonly number[]): void {
    this.scale = scale;
    this.end = fall.end;
    show(this.element, fall.lanes.length > 0);
    const { able } = this;
    const at = this.ctx.store.moment;
    for (const its of [this.play, this.speed, this.knob, this.of]) show(its, able);
    show(this.past, live || at !== null);
    this.past.style.width = scale.place(Math.min(at ?? fall.end, scale.to));
    this.rail.classList.toggle("at", at !== null);
    this.knob.style.left = scale.place(Math.min(Math.max(at ?? fall.end, scale.from), scale.to));
    say(this.of, at === null ? "" : `of ${time(fall.end)}`);
    this.controls(able, at);
    this.draw(fall, scale, matched);
  }

  private controls(able: boolean, at: number | null): void {
    const { ui } = this.ctx;
    const playing = this.player?.on ?? false;
    const word = playing ? "Pause" : "Play";
    if (this.play.dataset.word !== word) {
      this.play.dataset.word = word;
      this.play.replaceChildren(icon(playing ? "pause" : "play"));
      set(this.play, { "aria-label": word, title: `${word} (Space)` });
    }
    say(this.speed, `${ui.speed}×`);
    set(this.speed, { "aria-label": `Speed ${ui.speed}×` });
    if (!able) {
      for (const name of ["role", "tabindex", "aria-label"]) this.rail.removeAttribute(name);
      return;
    }
    set(this.rail, {
      role: "slider",
      tabindex: "0",
      "aria-label": "Moment",
      "aria-valuemin": "0",
      "aria-valuemax": String(Math.round(this.end)),
      "aria-valuenow": String(Math.round(at ?? this.end)),
      "aria-valuetext": this.words(at),
    });
  }

  /** `6.13 s of 12.3 s, step 2, roll_die running` */
  private words(at: number | null): string {
    const { store } = this.ctx;
    const parts = [at === null ? `${time(this.end)}, the end` : `${time(at)} of ${time(this.end)}`];
    const step = store.steps.at(-1);
    if (at !== null && step) parts.push(`step ${step.index + 1}`);
    const call = step?.entries.findLast((entry) => entry.kind === "tool_call");
    if (at !== null && call && callState(store, call) === "running") parts.push(`${call.facts.name || "tool"} running`);
    return parts.join(", ");
  }

  private draw(fall: Waterfall, scale: Scale, matched: readonly number[]): void {
    const firsts = fall.lanes.filter((lane) => lane.first);
    const starts = firsts.length > MOST ? [] : firsts.map((lane) => lane.start);
    const bad = fall.lanes.flatMap((lane) =>
      lane.phases.filter((phase) => phase.kind === "failed").map((phase) => phase.end),
    );
    const shape = `${scale.key}.${starts.length}.${bad.length}.${scale.ticks.length}.${matched.join()}`;
    if (shape === this.drawn) return;
    this.drawn = shape;
    const seen = (at: number): boolean => scale.at(at) >= 0 && scale.at(at) <= 1;
    const mark = (cls: string, at: number, text = ""): HTMLElement => {
      const made = h("span", cls, text);
      made.style.left = scale.place(at);
      return made;
    };
    this.marks.replaceChildren(
      ...starts.filter(seen).map((at) => mark("st", at)),
      ...bad.filter(seen).map((at) => mark("st bad", at)),
      ...matched.filter(seen).map((at) => mark("st hit", at)),
      ...scale.ticks.map(({ at, label }, n) => mark(`ax${n % 2 && scale.ticks.length > 5 ? " opt" : ""}`, at, label)),
    );
  }

  // -- going there ----------------------------------------------------------------------------------------------------

  /** Show a moment; at or after the end, the end. */
  go(at: number): void {
    if (this.able) this.ctx.travel(at >= this.end ? null : Math.max(0, at));
  }

  /** One event back or forward. */
  event(by: 1 | -1): void {
    const at = this.ctx.store.moment ?? this.end;
    const { times } = this.ctx.store;
    const next = by > 0 ? times.find((its) => its > at) : times.findLast((its) => its < at);
    this.go(next ?? (by > 0 ? this.end : 0));
  }

  /** To where a step begins. */
  step(by: 1 | -1, fall: Waterfall): void {
    const at = this.ctx.store.moment ?? this.end;
    const starts = fall.lanes.filter((lane) => lane.first).map((lane) => lane.start);
    const next = by > 0 ? starts.find((its) => its > at + 0.5) : starts.findLast((its) => its < at - 0.5);
    this.go(next ?? (by > 0 ? this.end : 0));
  }

  private grab(event: PointerEvent): void {
    if (!this.able || event.button !== 0) return;
    this.player?.pause();
    const { rail } = this;
    rail.setPointerCapture(event.pointerId);
    rail.classList.add("held");
    const drag = (its: PointerEvent): void => this.drag(its);
    const drop = (): void => {
      rail.classList.remove("held");
      rail.removeEventListener("pointermove", drag);
    };
    rail.addEventListener("pointermove", drag);
    rail.addEventListener("pointerup", drop, { once: true });
    rail.addEventListener("pointercancel", drop, { once: true });
    this.drag(event);
  }

  private drag(event: PointerEvent): void {
    const { scale } = this;
    const box = this.rail.getBoundingClientRect();
    if (!scale || !box.width) return;
    const at = scale.ms((event.clientX - box.left) / box.width);
    this.go(event.shiftKey ? at : this.snapped(at, ((scale.to - scale.from) / box.width) * SNAP_PX));
  }

  /** The event nearest to a moment, if one is near. */
  private snapped(at: number, within: number): number {
    if (this.end - at <= within) return this.end;
    const { times } = this.ctx.store;
    const after = times.find((its) => its >= at) ?? Number.POSITIVE_INFINITY;
    const before = times.findLast((its) => its <= at) ?? Number.NEGATIVE_INFINITY;
    const nearest = after - at < at - before ? after : before;
    return Math.abs(nearest - at) <= within ? nearest : at;
  }

  // -- playing --------------------------------------------------------------------------------------------------------

  async toggle(): Promise<void> {
    const more = await this.ctx.more();
    // after the wait: it may have been pressed twice
    this.player ??= more?.player(this.ctx, this) ?? null;
    if (this.player?.on) this.player.pause();
    else if (this.able) this.player?.start();
    this.ctx.redraw();
  }

  private faster(): void {
    const { ui } = this.ctx;
    ui.speed = SPEEDS[(SPEEDS.indexOf(ui.speed) + 1) % SPEEDS.length] ?? 1;
    this.ctx.redraw();
  }

  /** Said while it plays faster than it was. */
  hurry(): string {
    return this.player?.hurry() ?? "";
  }
}
