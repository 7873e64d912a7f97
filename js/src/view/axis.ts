/** The time axis under the lanes: ticks at the steps' starts, red ones where a tool failed. */

import { h, set, show } from "../dom";
import type { Waterfall } from "../phases";

/** more steps than this have no ticks of their own */
const MOST = 72;

export class Axis {
  private readonly past = h("span", "past");
  private readonly rail = h("div", "rail", this.past);
  readonly element = h("div", "tb", this.rail);
  private drawn = "";

  constructor() {
    set(this.element, { "aria-hidden": "true" });
  }

  update(fall: Waterfall, span: number, ticks: readonly { at: number; label: string }[], live: boolean): void {
    show(this.element, fall.lanes.length > 0);
    show(this.past, live);
    const place = (at: number): string => `${((at / span) * 100).toFixed(3)}%`;
    if (live) this.past.style.width = place(fall.end);
    const firsts = fall.lanes.filter((lane) => lane.first);
    const starts = firsts.length > MOST ? [] : firsts.map((lane) => lane.start);
    const bad = fall.lanes.flatMap((lane) =>
      lane.phases.filter((phase) => phase.kind === "failed").map((phase) => phase.end),
    );
    const shape = `${span}.${starts.length}.${bad.length}.${ticks.length}`;
    if (shape === this.drawn) return;
    this.drawn = shape;
    const mark = (cls: string, at: number, text = ""): HTMLElement => {
      const made = h("span", cls, text);
      made.style.left = place(at);
      return made;
    };
    this.rail.replaceChildren(
      this.past,
      ...starts.map((at) => mark("st", at)),
      ...bad.map((at) => mark("st bad", at)),
      ...ticks.map(({ at, label }, n) => mark(`ax${n % 2 ? " opt" : ""}${at ? "" : " zero"}`, at, label)),
    );
  }
}
