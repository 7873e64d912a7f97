/** The hover card: what a lane, or the token count, is made of. One a view; it never takes the pointer. */

import { h, show } from "../dom";
import type { More } from "./context";

const DELAY_MS = 80;

export class Card {
  readonly element = h("div", "card");
  /** comes with the code that knows what the card says */
  place: More["place"] | null = null;
  private timer = 0;
  private anchor: Element | null = null;
  private over: Element | null = null;
  private asked: (() => void) | null = null;

  constructor(private readonly frame: HTMLElement) {
    this.element.setAttribute("role", "tooltip");
    show(this.element, false);
  }

  /** `fraction` of the anchor's width: where the card's left edge would like to be. */
  attach(anchor: HTMLElement, content: () => Node[] | null, fraction: number): void {
    const open = (): void => this.open(anchor, content, fraction);
    // by a pointer that moves: what comes to be under one that rests was not asked about
    anchor.addEventListener("pointermove", () => {
      if (this.over === anchor) return;
      this.over = anchor;
      clearTimeout(this.timer);
      if (this.anchor) open();
      else this.timer = window.setTimeout(open, DELAY_MS);
    });
    anchor.addEventListener("pointerleave", () => this.later());
    anchor.addEventListener("focus", () => {
      if (anchor.matches(":focus-visible")) open();
    });
    anchor.addEventListener("blur", () => this.close());
  }

  open(anchor: Element, content: () => Node[] | null, fraction: number): void {
    const nodes = content();
    if (!nodes) this.close();
    this.asked = () => this.open(anchor, content, fraction);
    if (!nodes) return;
    this.anchor = anchor;
    this.element.replaceChildren(...nodes);
    show(this.element, true);
    this.place?.(this.element, this.frame, anchor, fraction);
  }

  /** What could not be told when it was asked can be now. */
  again(): void {
    this.asked?.();
  }

  /** Not at once: the pointer may be on its way to the next lane. */
  private later(): void {
    this.over = null;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.close(), DELAY_MS);
  }

  /** True: there was one to close. */
  close(): boolean {
    clearTimeout(this.timer);
    const was = this.anchor !== null;
    this.anchor = this.asked = null;
    show(this.element, false);
    return was;
  }
}
