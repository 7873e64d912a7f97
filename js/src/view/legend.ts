/** The legend is the answer: each colour with its total, the largest bold with its share. */

import { h } from "../dom";
import { TOTALS, type Waterfall } from "../phases";
import { patience, time, waiting } from "../time";
import type { Context } from "./context";
import { KINDS, key } from "./kinds";

const LEAST_MS = 0.05;

export class Legend {
  readonly element = h("div", "sum");
  private drawn = "";

  constructor(private readonly ctx: Context) {}

  private patience(ms: number): string {
    return this.ctx.live() && this.ctx.store.status === "requires_approval" ? waiting(ms) : patience(ms);
  }

  update(fall: Waterfall): void {
    const { head } = this.ctx.store;
    const note =
      head.timed === false
        ? "This recording has no arrival times."
        : head.delivery === "step"
          ? "This server sent the step whole: no token times"
          : "";
    const kinds = TOTALS.filter((kind) => (fall.totals.get(kind) ?? 0) >= LEAST_MS);
    const ms = (kind: (typeof TOTALS)[number]): number => fall.totals.get(kind) ?? 0;
    const top = kinds.reduce<(typeof TOTALS)[number] | null>(
      (best, kind) => (best && ms(best) >= ms(kind) ? best : kind),
      null,
    );
    const rows = kinds.map((kind) => {
      const bound = fall.atMost.has(kind);
      const share = kind === top && !bound && fall.end > 0 ? `${Math.round((ms(kind) * 100) / fall.end)}%` : "";
      const figure = kind === "pending" ? this.patience(ms(kind)) : time(ms(kind));
      return { kind, figure: (bound ? "≤ " : "") + figure, share };
    });
    const shape = JSON.stringify([rows, note]);
    if (shape === this.drawn) return;
    this.drawn = shape;
    this.element.replaceChildren(
      ...rows.map(({ kind, figure, share }) => {
        const mark = kind === "pending" ? " w" : "";
        const item = h("span", (kind === top ? "top" : "") + mark, key(kind), KINDS[kind][1], h("b", "", figure));
        if (share) item.append(h("b", "pc", share));
        return item;
      }),
    );
    if (note) this.element.append(h("span", "wide", note));
  }
}
