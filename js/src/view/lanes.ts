/** The waterfall: a lane a step, or a call. Kept and updated: a live segment grows by one write. */

import { button, h, say, set, show } from "../dom";
import type { Lane, Phase, Waterfall } from "../phases";
import { time, waiting } from "../time";
import type { Card } from "./card";
import type { Context } from "./context";
import { KINDS } from "./kinds";
import { laneCard, laneLabel } from "./lanecard";
import { FEW, laneHeight, Plot } from "./plot";

const LABELLED = 8;
/** how often very many lanes are drawn while they grow */
const PLOT_MS = 250;
const EPS = 0.05;
/** px, as in the style sheet; else 2 */
const LEAST: Record<string, number> = { gap: 8, tick: 1, sp: 0, cutoff: 11 };

/** One lane's row. */
class LaneRow {
  readonly element = h("li");
  readonly button: HTMLButtonElement;
  private readonly number = h("span", "n");
  private readonly label = h("span", "lb");
  private readonly track = h("span", "sg");
  private readonly time = h("span", "t");
  /** for a screen reader: all of it */
  readonly words = h("span", "vh");
  private shape = "";
  private least = 0;
  private grown: { phase: number; element: HTMLElement; ms: number }[] = [];
  lane: Lane | null = null;

  constructor(private readonly lanes: Lanes) {
    this.button = button("ln", "", () => this.lane && lanes.go(this.lane), this.words);
    this.element.append(this.button);
    lanes.card.attach(this.button, () => (this.lane ? lanes.describe(this.lane) : null), 0.4);
  }

  /** What is seen of it; a lane on the canvas has none. */
  private dress(): void {
    const parts = [this.number, this.label, h("span", "tr", this.track), this.time];
    for (const part of parts) set(part, { "aria-hidden": "true" });
    this.button.prepend(...parts);
  }

  update(lane: Lane, span: number, number: string, live: boolean, ticked: boolean): void {
    if (!this.number.parentNode) this.dress();
    say(this.number, number);
    say(this.label, lane.label);
    this.label.classList.toggle("sans", lane.entry === null);
    const counts = live && this.lanes.asks ? waiting : time;
    say(this.time, lane.first ? counts(lane.end - lane.start) : "");
    const { style } = this.track;
    const from = lane.phases[0]?.start ?? lane.start;
    const to = lane.phases.at(-1)?.end ?? lane.end;
    this.segments(lane, live, ticked);
    // what has a least width stays inside the track
    style.left = `min(${((from / span) * 100).toFixed(3)}%, 100% - ${this.least}px)`;
    style.width = `max(${(((to - from) / span) * 100).toFixed(3)}%, ${this.least}px)`;
  }

  private segments(lane: Lane, live: boolean, ticked: boolean): void {
    const shape = `${lane.phases.map((phase) => phase.kind + phase.atMost).join()}${lane.cut}${live}`;
    if (shape !== this.shape) {
      this.shape = shape;
      this.build(lane, live, ticked);
    }
    for (const its of this.grown) {
      const phase = lane.phases[its.phase] as Phase;
      const ms = phase.end - phase.start;
      if (ms === its.ms) continue;
      its.ms = ms;
      its.element.style.flex = `${ms.toFixed(3)} 1 0`;
    }
  }

  private build(lane: Lane, live: boolean, ticked: boolean): void {
    this.grown = [];
    const made: HTMLElement[] = [];
    lane.phases.forEach((phase, n) => {
      const before = lane.phases[n - 1];
      if (before && phase.start - before.end > EPS) {
        const space = h("i", "sp");
        space.style.flex = `${phase.start - before.end} 1 0`;
        made.push(space);
      }
      const last = n === lane.phases.length - 1 ? ` last${live ? " live" : ""}` : "";
      const element = h("i", KINDS[phase.kind][0] + (phase.atMost ? " shared" : "") + last);
      this.grown.push({ phase: n, element, ms: -1 });
      made.push(element);
      if (ticked && phase.kind === "wait" && lane.phases.length > 1) made.push(h("i", "tick"));
    });
    if (lane.cut) made.push(h("i", "cutoff"));
    this.least = made.reduce((px, its) => px + (LEAST[its.className.split(" ", 1)[0] ?? ""] ?? 2), 0);
    this.track.replaceChildren(...made);
  }
}

export class Lanes {
  private readonly grid = h("div", "grid");
  private readonly now = h("i", "now");
  private readonly list = h("ul");
  readonly element = h("div", "lanes", this.grid, this.list);
  private rows: LaneRow[] = [];
  private readonly plot: Plot;
  private fall: Waterfall | null = null;
  private lines = "";
  private plotted = 0;

  constructor(
    private readonly ctx: Context,
    readonly card: Card,
  ) {
    set(this.list, { "aria-label": "Time by step" });
    this.plot = new Plot(this);
    this.element.append(this.plot.canvas);
    this.list.addEventListener("keydown", (event) => this.move(event));
  }

  /** A person is waited for: what grows does so in whole seconds. */
  get asks(): boolean {
    return this.ctx.store.status === "requires_approval";
  }

  go(lane: Lane): void {
    const entry = lane.entry ?? this.ctx.store.steps[lane.step]?.entries[0]?.index;
    if (entry !== undefined) this.ctx.reveal(entry);
  }

  describe(lane: Lane): HTMLElement[] | null {
    return this.fall && laneCard(this.ctx.store, this.fall, lane);
  }

  update(fall: Waterfall, span: number, ticks: readonly number[], live: boolean): void {
    this.fall = fall;
    const { lanes } = fall;
    show(this.element, lanes.length > 0);
    const plotted = lanes.length > FEW;
    const { classList, style } = this.element;
    classList.toggle("dense", lanes.length > LABELLED && !plotted);
    classList.toggle("plot", plotted);
    style.setProperty("--h", `${laneHeight(lanes.length)}px`);
    this.drawGrid(span, ticks, live ? fall.end : null);
    this.list.className = plotted ? "vh" : "";
    show(this.plot.canvas, plotted);
    style.height = plotted ? `${this.plot.height(lanes.length)}px` : "";
    if (plotted && live && performance.now() - this.plotted < PLOT_MS) return;
    this.plotted = performance.now();
    if (plotted) this.plot.update(lanes, span);
    if (!plotted || !live) this.drawRows(lanes, span, live, plotted);
  }

  private drawRows(lanes: readonly Lane[], span: number, live: boolean, plotted: boolean): void {
    while (this.rows.length > lanes.length) this.rows.pop()?.element.remove();
    const dense = lanes.length > LABELLED;
    const ticked = this.ctx.store.head.delivery !== "step";
    lanes.forEach((lane, n) => {
      let row = this.rows[n];
      if (!row) {
        row = new LaneRow(this);
        row.button.tabIndex = n ? -1 : 0;
        this.rows.push(row);
        this.list.append(row.element);
      }
      const number = lane.first && (!dense || lane.step % 5 === 4 || lane.step === 0) ? String(lane.step + 1) : "";
      const grows = live && Math.abs(lane.end - (this.fall?.end ?? 0)) < 1;
      if (!plotted) row.update(lane, span, number, grows, ticked);
      row.lane = lane;
      say(row.words, laneLabel(lane));
    });
  }

  private drawGrid(span: number, ticks: readonly number[], now: number | null): void {
    const lines = `${span}.${ticks.length}`;
    if (lines !== this.lines) {
      this.lines = lines;
      const made = ticks.map((at) => {
        const line = h("i");
        line.style.left = `${(at / span) * 100}%`;
        return line;
      });
      this.grid.replaceChildren(...made, this.now);
    }
    show(this.now, now !== null);
    if (now !== null) this.now.style.left = `${((now / span) * 100).toFixed(3)}%`;
  }

  /** One stop for Tab; arrows go from lane to lane. */
  private move(event: KeyboardEvent): void {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.rows.findIndex((row) => row.button === event.target);
    const next = this.rows[at + by];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.rows[at]) this.rows[at].button.tabIndex = -1;
    next.button.tabIndex = 0;
    next.button.focus();
  }
}
