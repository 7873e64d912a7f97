/** The part of a run's time that is drawn. */

import { type Tick, ticks } from "../time";

export class Scale {
  readonly ticks: readonly Tick[];

  constructor(
    readonly from: number,
    readonly to: number,
  ) {
    this.ticks = ticks(to, from);
  }

  /** Where a moment stands, 0 to 1; outside of it where it is not drawn. */
  at(ms: number): number {
    return (ms - this.from) / (this.to - this.from || 1);
  }

  place(ms: number): string {
    return `${(this.at(ms) * 100).toFixed(3)}%`;
  }

  ms(fraction: number): number {
    return this.from + Math.min(Math.max(fraction, 0), 1) * (this.to - this.from);
  }

  get key(): string {
    return `${this.from}.${this.to}`;
  }
}
