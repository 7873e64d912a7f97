/** Approve and deny: what a person is asked under a call, and what is sent. Neither answer is pushed. */

import { button, h, isChord, say, set, show } from "../dom";
import { callsOf, waits } from "../phases";
import type { Entry, Step } from "../store";
import type { Context } from "./context";
import type { Sent } from "./ui";

const UNHEARD_MS = 3000;
const REASON = "Reason, sent to the agent (optional)";
const SAVED = "This run is saved. Answer it from Python.";

/** The calls of a step that wait for a person. */
export const asked = (step: Step | null): Entry[] => (step ? callsOf(step).filter(waits) : []);

/** Somebody listens, and the run waits for nothing else; `saved`: nobody does. */
export function answerable({ store, send }: Context): "live" | "saved" | null {
  const { status, error } = store.head;
  if (status !== "requires_approval" && error?.type !== "pending_approval") return null;
  return send === null ? "saved" : "live";
}

const idOf = (entry: Entry): string => entry.facts.call_id ?? "";

/** The answer that is on its way to the kernel. */
function sentOf({ ui }: Context, entry: Entry): Sent | null {
  const sent = ui.answers.get(idOf(entry));
  return sent && performance.now() - sent.at < UNHEARD_MS ? sent : null;
}

/** An answer was sent, and the kernel did not hear it. */
export function unheard(ctx: Context): boolean {
  if (!ctx.ui.answers.size) return false;
  const open = ctx.store.entries.filter((entry) => waits(entry) && ctx.ui.answers.has(idOf(entry)));
  return open.some((entry) => !sentOf(ctx, entry));
}

/** What the kernel has said of its calls makes what was sent old news. */
export function forget({ ui, store }: Context): void {
  if (!ui.answers.size) return;
  for (const entry of store.entries) if (!waits(entry)) ui.answers.delete(idOf(entry));
}

function answer(ctx: Context, entries: readonly Entry[], approve: boolean): void {
  const open = entries.filter((entry) => !sentOf(ctx, entry));
  if (!open.length) return;
  const answers = open.map((entry) => {
    const reason = ctx.ui.reasons.get(idOf(entry))?.trim() || null;
    ctx.ui.answers.set(idOf(entry), { approve, at: performance.now() });
    return { call_id: idOf(entry), approve, reason };
  });
  ctx.send?.({ type: "answer", answers });
  // if nothing is heard of it, they can be answered again
  setTimeout(ctx.redraw, UNHEARD_MS + 50);
  ctx.redraw();
}

/** A button that is about to be disabled gives the focus to `to`, so that a reader without a mouse is not lost. */
function leave(from: HTMLElement, to: HTMLElement | null | undefined): void {
  if (from.isConnected && (from.getRootNode() as ShadowRoot).activeElement === from) to?.focus({ preventScroll: true });
}

function pair(press: (approve: boolean) => void): [HTMLButtonElement, HTMLButtonElement] {
  return [button("btn", "", () => press(true)), button("btn", "", () => press(false))];
}

/** Approve, Deny and the reason, under one call. */
export class AnswerForm {
  private readonly buttons: [HTMLButtonElement, HTMLButtonElement];
  private readonly reason = h("input", "why");
  readonly element: HTMLElement;

  constructor(
    private readonly ctx: Context,
    private readonly entry: Entry,
    private readonly row: () => HTMLElement,
  ) {
    this.buttons = pair((approve) => {
      for (const its of this.buttons) leave(its, this.row());
      answer(ctx, [entry], approve);
    });
    const { reason } = this;
    set(reason, { type: "text", placeholder: REASON, autocomplete: "off", maxlength: "2000" });
    reason.value = ctx.ui.reasons.get(idOf(entry)) ?? "";
    reason.addEventListener("input", () => ctx.ui.reasons.set(idOf(entry), reason.value));
    reason.addEventListener("keydown", (event) => this.typed(event));
    this.element = set(h("div", "answers", ...this.buttons, reason), { role: "group" });
  }

  /** Enter answers nothing: one has to say which. What is typed is no shortcut of anyone. */
  private typed(event: KeyboardEvent): void {
    if (isChord(event)) return;
    event.stopPropagation();
    if (event.key === "Enter") event.preventDefault();
    if (event.key === "Escape") this.row().focus();
  }

  remove(): void {
    for (const its of [...this.buttons, this.reason]) leave(its, this.row());
    this.element.remove();
  }

  update(): void {
    const { ctx, entry } = this;
    const name = entry.facts.name || "tool";
    const sent = sentOf(ctx, entry);
    show(this.element, answerable(ctx) === "live");
    set(this.element, { "aria-label": `Answer to ${name}` });
    set(this.reason, { "aria-label": `${REASON}: ${name}` });
    this.buttons.forEach((its, n) => {
      const chosen = sent?.approve === (n === 0);
      const word = n === 0 ? (chosen ? "Approving" : "Approve") : chosen ? "Denying" : "Deny";
      say(its, word);
      set(its, { "aria-label": `${word} ${name}` });
      its.disabled = sent !== null;
    });
    this.reason.disabled = sent !== null;
  }
}

/** Under the calls of a step: all in one, where there are several; in a saved page, where to answer instead. */
export class AnswerAll {
  private readonly buttons: [HTMLButtonElement, HTMLButtonElement];
  private readonly saved = h("span", "d", SAVED);
  readonly element: HTMLElement;

  constructor(
    private readonly ctx: Context,
    private readonly step: Step,
    private readonly first: () => HTMLElement | null,
  ) {
    this.buttons = pair((approve) => {
      for (const its of this.buttons) leave(its, this.first());
      answer(ctx, asked(step), approve);
    });
    const ways = h("span", "ways", h("code", "m", "run.approve()"), h("code", "m", 'run.deny("why")'));
    this.saved.append(ways);
    this.element = h("div", "answers all", ...this.buttons, this.saved);
  }

  remove(): void {
    for (const its of this.buttons) leave(its, this.first());
    this.element.remove();
  }

  update(): void {
    const { ctx, buttons } = this;
    const pending = asked(this.step);
    const able = answerable(ctx);
    const several = able === "live" && pending.length > 1;
    show(this.saved, able === "saved");
    for (const its of buttons) {
      if (!several) leave(its, this.first());
      show(its, several);
    }
    show(this.element, able === "saved" || several);
    const open = pending.filter((entry) => !sentOf(ctx, entry)).length;
    say(buttons[0], `Approve all ${open > 1 ? open : pending.length}`);
    say(buttons[1], "Deny all");
    for (const its of buttons) its.disabled = open < 2;
  }
}
