/** The waterfall: a lane a step, or a call. Kept and updated: a live segment grows by one write. */

import { button, h, say, set, show } from "../dom";
import type { Lane, Phase, Waterfall } from "../phases";
import { time, waiting } from "../time";
import type { Card } from "./card";
import type { Context, LanesPlot, More, PlotOwner } from "./context";
import { KINDS } from "./kinds";
import { FEW, laneHeight, plotHeight } from "./laneheight";
import { laneLabel } from "./lanewords";
import type { Scale } from "./scale";

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

  update(lane: Lane, scale: Scale, number: string, live: boolean, ticked: boolean): void {
    if (!this.number.parentNode) this.dress();
    say(this.number, number);
    const { moment } = this.lanes;
    const begun = moment === null || lane.start <= moment;
    const { entries, steps } = this.lanes.ctx.store;
    // what it is called is known when its first word has come
    say(this.label, entries[lane.entry ?? steps[lane.step]?.entries[0]?.index ?? -1] ? lane.label : "");
    this.label.classList.toggle("sans", lane.entry === null);
    const counts = live && this.lanes.asks ? waiting : time;
    say(this.time, lane.first && begun ? counts(Math.min(lane.end, moment ?? lane.end) - lane.start) : "");
    const { style } = this.track;
    const zoomed = this.lanes.ctx.ui.zoom !== null;
    const from = lane.phases[0]?.start ?? lane.start;
    const to = lane.phases.at(-1)?.end ?? lane.end;
    this.segments(lane, live, ticked);
    this.button.classList.toggle("out", zoomed && (scale.at(to) <= 0 || scale.at(from) >= 1));
    // what has a least width stays inside the track
    style.left = zoomed ? scale.place(from) : `min(${scale.place(from)}, 100% - ${this.least}px)`;
    style.width = `max(${((scale.at(to) - scale.at(from)) * 100).toFixed(3)}%, ${this.least}px)`;
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

export class Lanes implements PlotOwner {
  readonly grid = h("div", "grid");
  private readonly now = h("i", "now");
  private readonly list = h("ul");
  readonly element = h("div", "lanes", this.grid, this.list);
  private rows: LaneRow[] = [];
  private plot: LanesPlot | null = null;
  private more: More | null = null;
  private fall: Waterfall | null = null;
  private lines = "";
  private plotted = 0;
  /** the lane that one is at, of many */
  private at = 0;
  private shape = "";
  scale: Scale | null = null;
  private live = false;
  private down: PointerEvent | null = null;
  moment: number | null = null;

  constructor(
    readonly ctx: Context,
    readonly card: Card,
  ) {
    set(this.list, { "aria-label": "Time by step" });
    this.list.addEventListener("keydown", (event) => this.move(event));
    // what a pointer can do here comes with the pointer
    this.element.addEventListener("pointerenter", () => this.more || void this.load());
    // and is not too late for one that is down by then
    for (const name of ["pointerdown", "pointerup"] as const)
      this.element.addEventListener(name, (event) => {
        this.down = name === "pointerdown" ? event : null;
      });
  }

  /** A person is waited for: what grows does so in whole seconds. */
  get asks(): boolean {
    return this.ctx.store.status === "requires_approval";
  }

  private async load(): Promise<void> {
    const more = await this.ctx.more();
    if (this.more || !more) return;
    this.more = more;
    // who asked for it may still be there
    this.card.again();
    this.plot = more.plot(this);
    more.drawOut(this, this.down);
    this.element.append(this.plot.canvas);
    this.plotted = 0;
    this.shape = "";
    if (this.fall && this.scale) this.update(this.fall, this.scale, this.live, this.moment);
  }

  go(lane: Lane): void {
    const entry = lane.entry ?? this.ctx.store.steps[lane.step]?.entries[0]?.index;
    if (entry !== undefined) this.ctx.reveal(entry);
  }

  describe(lane: Lane): HTMLElement[] | null {
    if (!this.more) void this.load();
    return this.fall && (this.more?.laneCard(this.ctx.store, this.fall, lane) ?? null);
  }

  update(fall: Waterfall, scale: Scale, live: boolean, moment: number | null): void {
    Object.assign(this, { fall, scale, live, moment });
    const { lanes } = fall;
    show(this.element, lanes.length > 0);
    const many = lanes.length > FEW;
    // what could not be had is asked for again by who comes near, not by each frame
    const awaited = many && !this.plot && !this.ctx.missing();
    if (awaited) void this.load();
    // in rows if the code for more cannot be had
    const plotted = many && this.plot !== null;
    const { classList, style } = this.element;
    classList.toggle("dense", lanes.length > LABELLED && !plotted);
    classList.toggle("plot", plotted);
    style.setProperty("--h", `${laneHeight(lanes.length)}px`);
    classList.toggle("cut", moment !== null);
    classList.toggle("zoomed", this.ctx.ui.zoom !== null);
    if (moment !== null) style.setProperty("--cut", `${(1 - Math.min(Math.max(scale.at(moment), 0), 1)) * 100}%`);
    this.drawGrid(scale, live ? fall.end : moment);
    this.list.className = plotted ? "vh" : "";
    if (this.plot) show(this.plot.canvas, plotted);
    style.height = plotted || awaited ? `${plotHeight(lanes.length)}px` : "";
    if (plotted && live && performance.now() - this.plotted < PLOT_MS) return;
    this.plotted = performance.now();
    // so many rows would be made to be thrown away
    if (awaited) return;
    const shape = `${scale.key}.${lanes.length}`;
    // what is cut at a moment is drawn already
    if (plotted && moment !== null && this.shape === shape) return;
    this.shape = shape;
    if (plotted) this.plot?.update(lanes, scale);
    if (!plotted) this.drawRows(lanes, scale, live);
    else if (!live) this.tell(lanes);
  }

  private drawRows(lanes: readonly Lane[], scale: Scale, live: boolean): void {
    while (this.rows.length > lanes.length) this.rows.pop()?.element.remove();
    const dense = lanes.length > LABELLED;
    const ticked = this.ctx.store.head.delivery !== "step";
    lanes.forEach((lane, n) => {
      const number = lane.first && (!dense || lane.step % 5 === 4 || lane.step === 0) ? String(lane.step + 1) : "";
      const grows = live && Math.abs(lane.end - (this.fall?.end ?? 0)) < 1;
      this.row(lane, n).update(lane, scale, number, grows, ticked);
    });
  }

  private row(lane: Lane, n: number): LaneRow {
    let row = this.rows[n];
    if (!row) {
      row = new LaneRow(this);
      row.button.tabIndex = n ? -1 : 0;
      this.rows.push(row);
      this.list.append(row.element);
    }
    row.lane = lane;
    row.button.dataset.step = String(lane.step);
    say(row.words, laneLabel(lane));
    return row;
  }

  /** What a canvas shows is a list for who cannot see it: of that, the lane one is at, and those beside it. */
  private tell(lanes: readonly Lane[]): void {
    this.at = Math.min(this.at, lanes.length - 1);
    const from = Math.max(0, Math.min(this.at - 1, lanes.length - 3));
    while (this.rows.length > 3) this.rows.pop()?.element.remove();
    lanes.slice(from, from + 3).forEach((lane, n) => {
      const row = this.row(lane, n);
      row.button.tabIndex = from + n === this.at ? 0 : -1;
      set(row.element, { "aria-posinset": String(from + n + 1), "aria-setsize": String(lanes.length) });
    });
  }

  private drawGrid(scale: Scale, now: number | null): void {
    if (scale.key !== this.lines) {
      this.lines = scale.key;
      const made = scale.ticks.map(({ at }) => {
        const line = h("i");
        line.style.left = scale.place(at);
        return line;
      });
      this.grid.replaceChildren(...made, this.now);
    }
    const seen = now !== null && scale.at(now) >= 0 && scale.at(now) <= 1;
    show(this.now, seen);
    if (seen) this.now.style.left = scale.place(now);
  }

  /** One stop for Tab; arrows go from lane to lane. */
  private move(event: KeyboardEvent): void {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const lanes = this.fall?.lanes ?? [];
    const plotted = lanes.length > FEW;
    const at = this.rows.findIndex((row) => row.button === event.target);
    const lane = this.rows[at]?.lane;
    const next = lane && lanes[lanes.indexOf(lane) + by];
    if (!by || !next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.at = lanes.indexOf(next);
    if (plotted) this.tell(lanes);
    for (const row of this.rows) {
      row.button.tabIndex = row.lane === next ? 0 : -1;
      if (row.lane === next) row.button.focus();
    }
  }
}
