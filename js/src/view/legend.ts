/** The legend is the answer: each colour with its total, the largest bold with its share. A key is a filter too. */

import { button, h, say, set, show } from "../dom";
import { type PhaseKind, TOTALS, type Waterfall } from "../phases";
import { bound, patience, time, waiting } from "../time";
import type { Context } from "./context";
import { KINDS, key } from "./kinds";
import { filters, toggle } from "./sought";
import type { Group } from "./ui";

const LEAST_MS = 0.05;
const GROUPS: Partial<Record<PhaseKind, Group>> = {
  reasoning: "reasoning",
  arguments: "tools",
  tool: "tools",
  answer: "answers",
};

/** One colour. It stays while its figure changes: what is replaced cannot be pressed. */
class Item {
  private readonly figure = h("b");
  private readonly share = h("b", "pc");
  private readonly group: Group | null;
  readonly element: HTMLElement;

  constructor(
    private readonly ctx: Context,
    private readonly kind: PhaseKind,
  ) {
    const [, word] = KINDS[kind];
    this.group = GROUPS[kind] ?? null;
    const parts = [key(kind), word, this.figure, this.share];
    this.element = this.filters ? button("", "", () => this.press(), ...parts) : h("span", "", ...parts);
  }

  private get filters(): boolean {
    return this.group !== null || this.kind === "failed";
  }

  private press(): void {
    const { sought } = this.ctx.ui;
    if (this.group) toggle(sought, this.group);
    else sought.errors = !sought.errors;
    // the bar says what is left out, and undoes it
    Object.assign(sought, { open: filters(sought) || sought.query !== "", at: 0 });
    this.ctx.ui.pane = "transcript";
    this.ctx.redraw();
  }

  update(figure: string, share: string, top: boolean): void {
    const { sought } = this.ctx.ui;
    const shown = !this.group || !sought.hidden.has(this.group);
    this.element.className = `${top ? "top" : ""}${this.kind === "pending" ? " w" : ""}${shown ? "" : " off"}`;
    say(this.figure, figure);
    say(this.share, share);
    show(this.share, share !== "");
    if (this.filters) set(this.element, { "aria-pressed": String(this.group ? shown : sought.errors) });
  }
}

export class Legend {
  readonly element = h("div", "sum");
  private readonly items = new Map<PhaseKind, Item>();
  private readonly note = h("span", "wide");
  private drawn = "";

  constructor(private readonly ctx: Context) {}

  private patience(ms: number): string {
    return this.ctx.live() && this.ctx.store.status === "requires_approval" ? waiting(ms) : patience(ms);
  }

  private item(kind: PhaseKind): Item {
    const item = this.items.get(kind) ?? new Item(this.ctx, kind);
    this.items.set(kind, item);
    return item;
  }

  /** `whole`: of the whole run, by which a kind keeps its place at an earlier moment. */
  update(fall: Waterfall, whole: Waterfall): void {
    const head = this.ctx.store.last;
    const note =
      head.timed === false
        ? "This recording has no arrival times."
        : head.delivery === "step"
          ? "This server sent the step whole: no token times"
          : "";
    const ms = (kind: PhaseKind): number => fall.totals.get(kind) ?? 0;
    const kinds = TOTALS.filter((kind) => (whole.totals.get(kind) ?? 0) >= LEAST_MS);
    const top = kinds.reduce<PhaseKind | null>((best, kind) => (best && ms(best) >= ms(kind) ? best : kind), null);
    const shape = `${kinds} ${note}`;
    if (shape !== this.drawn) {
      this.drawn = shape;
      say(this.note, note);
      this.element.replaceChildren(...kinds.map((kind) => this.item(kind).element), ...(note ? [this.note] : []));
    }
    // a step that came whole is one wait, of which nobody knows the parts
    const unknown = head.delivery === "step" && kinds.length === 1;
    for (const kind of kinds) {
      const most = fall.atMost.has(kind);
      const share =
        kind === top && !most && !unknown && fall.end > 0 ? `${Math.round((ms(kind) * 100) / fall.end)}%` : "";
      const figure = most ? `≤ ${bound(ms(kind))}` : kind === "pending" ? this.patience(ms(kind)) : time(ms(kind));
      this.item(kind).update(figure, share, kind === top);
      this.item(kind).element.style.visibility = ms(kind) < LEAST_MS ? "hidden" : "";
    }
  }
}
