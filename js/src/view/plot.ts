/** Lanes too many for elements of their own: one canvas. */

import { h } from "../dom";
import type { Lane, Phase, PhaseKind } from "../phases";
import type { LanesPlot, PlotOwner } from "./context";
import { KINDS } from "./kinds";
import { LINES, laneHeight, plotHeight } from "./laneheight";
import { Scale } from "./scale";

/** the phases whose colour has another name than their class */
const COLOURS: Partial<Record<PhaseKind, string>> = { unattributed: "edge", queue: "wait", pending: "warn" };
const LOW = new Set(["wait", "queue"]);

export class Plot implements LanesPlot {
  readonly canvas = h("canvas");
  private lanes: readonly Lane[] = [];
  private scale = new Scale(0, 1);
  private at: Lane | null = null;

  constructor(private readonly owner: PlotOwner) {
    this.canvas.setAttribute("aria-hidden", "true");
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => {
      this.at = null;
      owner.card.close();
    });
    this.canvas.addEventListener("click", () => this.at && owner.go(this.at));
  }

  /** lanes on one line */
  private get turns(): number {
    return Math.ceil(this.lanes.length / LINES);
  }

  update(lanes: readonly Lane[], scale: Scale): void {
    this.lanes = lanes;
    this.scale = scale;
    this.draw();
  }

  draw(): void {
    const { canvas, lanes } = this;
    const context = canvas.getContext?.("2d");
    if (!context || !canvas.isConnected || !lanes.length) return;
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = plotHeight(lanes.length);
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const known = new Map<string, string>();
    const colour = ({ kind }: Phase): string => {
      const name = COLOURS[kind] ?? KINDS[kind][0];
      const colour = known.get(name) ?? style.getPropertyValue(`--lnb-${name}`);
      known.set(name, colour);
      return colour;
    };
    // what lies between two of the screen's pixels is smeared over both
    const snap = (px: number): number => Math.round(px * scale) / scale;
    const failed = (lane: Lane): boolean => lane.cut || lane.phases.some((phase) => phase.kind === "failed");
    for (const bad of [false, true]) {
      lanes.forEach((lane, n) => {
        if (failed(lane) === bad) this.lane(context, lane, n, width, snap, colour);
      });
    }
  }

  private lane(
    context: CanvasRenderingContext2D,
    lane: Lane,
    n: number,
    width: number,
    snap: (px: number) => number,
    colour: (phase: Phase) => string,
  ): void {
    const pitch = laneHeight(this.lanes.length);
    const line = Math.floor(n / this.turns);
    const y = snap(line * pitch);
    const high = Math.max(1, snap((line + 1) * pitch) - y - 1);
    for (const phase of lane.phases) {
      const low = LOW.has(phase.kind);
      const x = snap(this.scale.at(phase.start) * width);
      context.fillStyle = colour(phase);
      context.fillRect(
        x,
        low ? y + Math.floor((high - 1) / 2) : y,
        Math.max(1, snap(this.scale.at(phase.end) * width) - x),
        phase.kind === "failed" ? Math.max(3, high) : low ? 1 : high,
      );
    }
  }

  private hover(event: PointerEvent): void {
    const box = this.canvas.getBoundingClientRect();
    const line = Math.floor((event.clientY - box.top) / laneHeight(this.lanes.length));
    const ms = this.scale.ms((event.clientX - box.left) / box.width);
    const near = this.lanes.slice(line * this.turns, (line + 1) * this.turns);
    const distance = (lane: Lane): number => Math.max(lane.start - ms, ms - lane.end, 0);
    const lane = near.sort((a, b) => distance(a) - distance(b))[0] ?? null;
    if (lane === this.at) return;
    this.at = lane;
    if (lane) this.owner.card.open(this.canvas, () => this.owner.describe(lane), 0.2);
    else this.owner.card.close();
  }
}
