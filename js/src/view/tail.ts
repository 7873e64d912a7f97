/** The transcript's last line while nothing arrives: what is waited for, and for how long. */

import { h, say, show } from "../dom";
import { running } from "../time";
import { callState } from "./call";
import { clockOf } from "./clock";
import type { Context } from "./context";

const QUIET_MS = 20_000;
const CONNECTED_MS = 5_000;

export class Tail {
  private readonly words = h("span", "c");
  private readonly time = h("span", "t");
  readonly element = h("li", "step tail", h("div", "r", h("span"), this.words, h("span"), this.time));

  constructor(private readonly ctx: Context) {
    show(this.element, false);
  }

  update(live: boolean): void {
    const { store } = this.ctx;
    const now = this.ctx.now();
    const waits = live && this.ctx.send !== null;
    const quiet = clockOf(store).quiet();
    if (waits && !store.steps.length) {
      const connected = now > CONNECTED_MS && !!store.head.run_id;
      this.write(
        connected ? "Connected; the model has not answered yet" : "Waiting for the server",
        running(now, this.ctx.calm()),
      );
    } else if (waits && quiet > QUIET_MS && !this.toolRuns() && !this.isLost()) {
      this.write(`Nothing has arrived for ${running(quiet, true)}.`, "");
    } else this.write("", "");
  }

  private isLost(): boolean {
    const { connection } = this.ctx.store.head;
    return !!connection && connection.back === null;
  }

  /** A tool that runs has a clock of its own. */
  private toolRuns(): boolean {
    const { store } = this.ctx;
    const calls = store.steps.at(-1)?.entries.filter((entry) => entry.kind === "tool_call") ?? [];
    return calls.some((call) => callState(store, call) === "running");
  }

  private write(words: string, time: string): void {
    show(this.element, words !== "");
    say(this.words, words);
    say(this.time, time);
  }
}
