/** The live region: calls, approvals and the end; never tokens, and at most one message in 5 s. */

import { h, say, set } from "../dom";
import { time } from "../time";
import { callState, failed } from "./call";
import type { Context } from "./context";
import { STATUS, statusOf } from "./header";

const EVERY_MS = 5000;

export class Announcer {
  readonly element = set(h("div", "vh"), { "aria-live": "polite" });
  private readonly known = new Map<number, string>();
  private status = "";
  private lost = false;
  private next: { text: string; urgent: boolean } | null = null;
  private spoken = Number.NEGATIVE_INFINITY;

  constructor(private readonly ctx: Context) {
    // what was there before the reader came is not news
    this.look(false);
  }

  /** What became true since the last look. */
  look(speak = true): void {
    const { store } = this.ctx;
    const asked: string[] = [];
    for (const entry of store.entries) {
      if (entry.kind !== "tool_call" || this.known.get(entry.index) === "returned") continue;
      const state = callState(store, entry);
      if (state === this.known.get(entry.index)) continue;
      this.known.set(entry.index, state);
      const name = entry.facts.name || "tool";
      const ms = entry.facts.duration;
      const after = typeof ms === "number" ? ` after ${time(ms)}` : "";
      if (!speak) continue;
      if (state === "running") this.put(`Running ${name}`);
      else if (state === "pending") asked.push(name);
      else if (state === "returned") this.put(`${name} ${failed(entry) ? "failed" : "returned"}${after}`);
    }
    if (asked.length) this.put(`Waiting for your approval of ${asked.join(", ")}`, true);
    this.lookAtConnection(speak);
    const status = statusOf(this.ctx);
    if (status === this.status) return;
    this.status = status;
    const end = store.head.ended;
    // that it waits was said above, with what for
    if (speak && status !== "running" && status !== "requires_approval")
      this.put(STATUS[status] + (typeof end === "number" ? `, ${time(end)}` : ""));
  }

  private lookAtConnection(speak: boolean): void {
    const { store } = this.ctx;
    const { connection } = store.head;
    const lost = store.running && !!connection && connection.back === null;
    if (lost === this.lost) return;
    this.lost = lost;
    if (speak && lost) this.put("Connection lost, trying again");
    else if (speak && connection && connection.back !== null) this.put("Connected again");
  }

  private put(text: string, urgent = false): void {
    if (urgent || !this.next?.urgent) this.next = { text, urgent };
    this.tick();
  }

  tick(): void {
    const now = performance.now();
    if (!this.next || (now - this.spoken < EVERY_MS && !this.next.urgent && this.ctx.store.running)) return;
    this.spoken = now;
    set(this.element, { "aria-live": this.next.urgent ? "assertive" : "polite" });
    say(this.element, this.next.text);
    this.next = null;
  }
}
