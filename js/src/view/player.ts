/** Plays a run: time goes on as it did, or faster, and long waits take two seconds. */

import { time } from "../time";
import type { Context, Played, Player } from "./context";

/** a longer wait is played in so much time */
const WAIT_MS = 2000;

export class Playing implements Player {
  private frame = 0;

  constructor(
    private readonly ctx: Context,
    private readonly played: Played,
  ) {}

  get on(): boolean {
    return this.frame !== 0;
  }

  pause(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  start(): void {
    const { ctx, played } = this;
    const { store, ui } = ctx;
    if (store.moment === null) played.go(0);
    let last = performance.now();
    const play = (now: number): void => {
      const at = store.moment;
      // the reader went to the end, or the output has left the page
      if (at === null || !played.element.isConnected) {
        this.pause();
        ctx.redraw();
        return;
      }
      this.frame = requestAnimationFrame(play);
      const [before, after] = this.wait(at);
      played.go(at + Math.max(now - last, 0) * Math.max(ui.speed, (after - before) / WAIT_MS));
      last = now;
    };
    this.frame = requestAnimationFrame(play);
  }

  private wait(at: number): [before: number, after: number] {
    const { times } = this.ctx.store;
    const after = times.find((its) => its > at) ?? this.played.end;
    return [times.findLast((its) => its <= at) ?? 0, after];
  }

  hurry(): string {
    const at = this.ctx.store.moment;
    if (!this.on || at === null) return "";
    const [before, after] = this.wait(at);
    return (after - before) / this.ctx.ui.speed > WAIT_MS ? `A wait of ${time(after - before)}, shown in 2 s` : "";
  }
}
