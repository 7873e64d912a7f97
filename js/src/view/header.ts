/** The header: status, what failed, who answers, Stop, tokens and the clock. */

import { button, h, say, set, show } from "../dom";
import { type Icon, icon } from "../icons";
import type { Cost, Status, Usage } from "../page.gen";
import { count, plural, running, time, waiting } from "../time";
import { failed } from "./call";
import type { Card } from "./card";
import type { Context, More } from "./context";
import { DETAIL } from "./tokencard";

export const STATUS: Record<Status, string> = {
  running: "Running",
  completed: "Completed",
  requires_approval: "Waiting for approval",
  interrupted: "Interrupted",
  cancelled: "Stopped",
  failed: "Failed",
};
const BAD: Partial<Record<Status, string>> = { requires_approval: "w", interrupted: "e", failed: "e" };

/** What is told of the run's state: a saved page knows no more than the run did. */
export const statusOf = ({ store, send }: Context): Status =>
  send === null ? (store.head.status ?? "running") : store.status;

export class Header {
  readonly element: HTMLElement;
  private readonly status = h("span", "status");
  private readonly alert: HTMLButtonElement;
  private readonly agent = h("span");
  private readonly model = h("span");
  private readonly stop: HTMLButtonElement;
  private readonly stopWord = h("span");
  private readonly tokens: HTMLButtonElement;
  private readonly cost = h("span", "cost");
  private readonly clock = h("span", "clock");
  private more: More | null = null;
  private shown: Status | "earlier" | null = null;

  constructor(
    private readonly ctx: Context,
    private readonly card: Card,
  ) {
    this.alert = button("alert", "", () => {
      const first = ctx.store.entries.find(failed);
      if (first) ctx.reveal(first.index);
    });
    this.stop = button("btn", "", () => this.pressStop(), icon("stop"), this.stopWord);
    this.tokens = button("toks", "", () => {});
    card.attach(this.tokens, () => this.tokenCard(), 0);
    set(this.clock, { "aria-live": "off" });
    const who = h("span", "who", this.agent, this.model);
    this.element = h("div", "hd", this.status, this.alert, who, this.stop, this.tokens, this.cost, this.clock);
  }

  private pressStop(): void {
    const { ui, send } = this.ctx;
    if (ui.stopped !== null || this.ctx.store.head.cancel || !send) return;
    ui.stopped = performance.now();
    send({ type: "stop" });
    this.ctx.redraw();
  }

  update(): void {
    const { store, ui, send } = this.ctx;
    const { head } = store;
    const status = statusOf(this.ctx);
    // Stop is asked of what the server runs, once each time it goes on
    const running = (store.last.status ?? "running") === "running";
    if (!running) ui.stopped = null;
    const stopping = ui.stopped !== null || !!head.cancel;
    const earlier = store.moment !== null;
    this.drawStatus(earlier ? "earlier" : status);
    const bad = store.entries.filter(failed).length;
    show(this.alert, bad > 0);
    say(this.alert, bad ? `${plural(bad, "tool")} failed` : "");
    this.name(this.agent, head.agent, head.server ? ` on ${head.server}` : "");
    this.name(this.model, head.model, "");
    show(this.stop, running && send !== null && !earlier);
    // not disabled, which would take the focus from who pressed it
    set(this.stop, { "aria-disabled": stopping ? "true" : null });
    say(this.stopWord, stopping ? "Stopping" : "Stop");
    this.drawTokens(head.usage ?? null, earlier);
    this.drawCost(head.cost ?? null);
    this.tick();
  }

  private name(element: HTMLElement, text: string | null | undefined, more: string): void {
    say(element, text ?? "");
    show(element, !!text);
    if (text) set(element, { title: text + more });
  }

  private drawStatus(status: Status | "earlier"): void {
    if (status === this.shown) return;
    this.shown = status;
    const past = status === "earlier";
    this.status.className = `status ${past ? "a" : (BAD[status] ?? "")}`;
    this.clock.classList.toggle("a", past);
    const drawn = h("span", status === "running" ? "pulse" : "", icon(past ? "requires_approval" : (status as Icon)));
    this.status.replaceChildren(drawn, h("span", "", past ? "Earlier moment" : STATUS[status]));
  }

  /** `$0.0011`; what a tenth of a cent does not show is told in more places. */
  private drawCost(cost: Cost | null): void {
    show(this.cost, cost !== null);
    if (!cost) return;
    say(this.cost, `$${cost.usd.toFixed(cost.usd >= 1 ? 2 : cost.usd >= 0.001 || cost.usd === 0 ? 4 : 6)}`);
    const since = cost.price_date ? `, by the list price of ${cost.price_date}` : ", by list price";
    set(this.cost, { title: `${cost.usd} US dollars${since}` });
  }

  private drawTokens(usage: Usage | null, earlier: boolean): void {
    const parts = [
      [usage?.input_tokens, "in"],
      [usage?.output_tokens, "out"],
    ].filter((part): part is [number, string] => typeof part[0] === "number");
    const none = earlier && this.ctx.store.last.usage ? "tokens not reported yet" : "";
    const words = parts.map(([number, side]) => `${count(number)} ${side}`).join("  ") || none;
    show(this.tokens, words !== "");
    if (this.tokens.dataset.words === words) return;
    this.tokens.dataset.words = words;
    if (!parts.length) return void this.tokens.replaceChildren(none);
    const figures = h("span", "", ...parts.flatMap(([number, side]) => [count(number), h("i", "", side)]));
    const said = h("span", "vh", this.tokenWords(usage).join(", "));
    this.tokens.replaceChildren(set(figures, { "aria-hidden": "true" }), said);
  }

  private tokenWords(usage: Usage | null): string[] {
    return DETAIL.flatMap(([name, label]) => {
      const value = usage?.[name];
      return typeof value === "number" ? [`${count(value)} tokens ${label}`] : [];
    });
  }

  private tokenCard(): HTMLElement[] | null {
    if (!this.more) void this.load();
    return this.more?.tokenCard(this.ctx.store) ?? null;
  }

  private async load(): Promise<void> {
    this.more = await this.ctx.more();
    if (this.more) this.card.again();
  }

  tick(): void {
    const { store } = this.ctx;
    const now = this.ctx.now();
    const waits = store.status === "requires_approval";
    const shown = !this.ctx.live() ? time(now) : waits ? waiting(now) : running(now, this.ctx.calm());
    say(this.clock, store.head.timed === false ? "" : shown);
  }
}
