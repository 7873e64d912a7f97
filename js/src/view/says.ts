/** One sentence under the header, when something needs saying: what the kernel says, or what it does not hear. */

import { button, h, say, set, show } from "../dom";
import type { Say } from "../page.gen";
import { unheard } from "./answer";
import type { Context } from "./context";

const UNHEARD_MS = 3000;
export const LOST = "A part of this view could not be loaded. Ask for it again.";
const only = (sentence: string): Say => ({ sentence, more: "", words: "", way: "", dim: false });

export class SayLine {
  private readonly first = h("span");
  private readonly more = h("span", "d");
  private readonly way = h("span", "d way");
  private readonly words = h("div", "one m d");
  private readonly event: HTMLButtonElement;
  readonly element: HTMLElement;

  constructor(private readonly ctx: Context) {
    this.event = button("lk", "", () => this.showEvent(), "Show event");
    this.element = h("div", "say", h("div", "", this.first, this.more, this.way), this.words);
  }

  /** What the server said of the failure, as it was received. */
  private showEvent(): void {
    const { ui } = this.ctx;
    ui.pane = "raw";
    ui.raw.words = ui.raw.type = "";
    ui.failure = true;
    this.ctx.redraw();
  }

  private now(): Say | null {
    const { store } = this.ctx;
    // who missed the beginning has seen nothing that it would miss
    if (store.lost && store.seq) return only("Updates lost, trying again.");
    if (unheard(this.ctx)) return only("The kernel is busy and has not heard the answer.");
    const said = this.stopping() ?? store.head.say ?? null;
    if (!this.ctx.missing()) return said;
    return said ? { ...said, more: `${said.more} ${LOST}` } : only(LOST);
  }

  /** Stop was pressed and nothing came of it yet: who has not answered. */
  private stopping(): Say | null {
    const { store, ui } = this.ctx;
    const { cancel } = store.head;
    if (!store.running) return null;
    if (cancel) {
      const since = this.ctx.now() - (cancel.asked ?? this.ctx.now());
      const quiet = cancel.outcome === "asked" && since > UNHEARD_MS;
      return quiet ? only("Asked the server to stop; it has not answered yet.") : null;
    }
    if (ui.stopped === null || performance.now() - ui.stopped <= UNHEARD_MS) return null;
    return only("The kernel is busy and has not seen Stop. Use the kernel's interrupt button.");
  }

  update(): void {
    const said = this.now();
    const { store } = this.ctx;
    // at an earlier moment what is not known yet keeps its place
    const keeps = !said && !!store.last.say;
    this.element.style.visibility = keeps ? "hidden" : "";
    if (!keeps) show(this.element, said !== null);
    if (!said) return;
    say(this.first, said.sentence);
    this.first.classList.toggle("d", said.dim);
    say(this.more, (said.more ? ` ${said.more}` : "") + (said.way ? " " : ""));
    this.drawWay(said.way);
    const { status, events, error } = store.head;
    if (status !== "failed" || !events || error?.type === "pending_approval") this.event.remove();
    else if (!this.event.parentNode) this.way.after(" ", this.event);
    say(this.words, said.words.slice(0, 2000));
    show(this.words, said.words !== "");
    set(this.words, { title: said.words ? said.words.slice(0, 4000) : null });
  }

  private drawWay(way: string): void {
    if (this.way.dataset.way === way) return;
    this.way.dataset.way = way;
    const parts = way.split("`").map((part, n) => (n % 2 ? h("code", "m", part) : part));
    this.way.replaceChildren(...(way ? parts : []));
  }
}
