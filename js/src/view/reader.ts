/** Where a reader is: who works by keyboard is not lost when what has the focus goes, or the whole view does. */

import type { Ui } from "./ui";

/** ms in which a view comes in the place of another of its run: the saved one, when the live one ends */
const SOON_MS = 10_000;
/** ms by which it may be made before the other goes */
const BEFORE_MS = 1000;
const nameOf = (its: HTMLElement): string => its.dataset.key ?? its.getAttribute("aria-label") ?? "";
const gone = (its: HTMLElement): boolean =>
  !its.isConnected || !!its.closest("[hidden]") || getComputedStyle(its).visibility === "hidden";

export class Reader {
  private focused: HTMLInputElement | null = null;
  private readonly born = performance.now();

  /** `rest`: takes the focus where nothing of its name is left. */
  constructor(
    private readonly root: HTMLElement,
    private readonly ui: Ui,
    private readonly rest: () => HTMLElement | null,
    signal: AbortSignal,
  ) {
    root.addEventListener("focusin", ({ target }) => {
      this.focused = target as HTMLInputElement;
    });
    root.addEventListener("focusout", () => this.leave());
    signal.addEventListener("abort", () => this.leave());
  }

  /** Something lost the focus: of itself if it is gone, else the reader took it elsewhere. */
  private leave(): void {
    const its = this.focused;
    this.focused = null;
    if (!its) return;
    const { selectionStart: from, selectionEnd: to } = its;
    const left = { name: nameOf(its), from, to, at: performance.now(), by: this };
    const note = (): void => {
      this.ui.left = gone(its) ? left : null;
    };
    note();
    queueMicrotask(note);
  }

  /** After something was drawn. */
  keep(): void {
    const { ui, root } = this;
    if (this.focused && gone(this.focused)) this.leave();
    const { left } = ui;
    // the page around a frame may have the focus; and another view, which stood there already, comes in nobody's place
    if (!left || !document.hasFocus() || (left.by !== this && this.born < left.at - BEFORE_MS)) return;
    if (performance.now() - left.at > SOON_MS) {
      ui.left = null;
      return;
    }
    const rest = this.rest();
    const active = (root.getRootNode() as ShadowRoot).activeElement;
    const elsewhere = active
      ? active !== rest && !gone(active as HTMLElement)
      : document.activeElement !== document.body;
    const named = [...root.querySelectorAll<HTMLInputElement>("[data-key],[aria-label]")].find(
      (its) => left.name && nameOf(its) === left.name && !gone(its),
    );
    if (elsewhere || named) ui.left = null;
    const next = named ?? rest;
    if (!elsewhere && next !== active) next?.focus({ preventScroll: true });
    if (elsewhere) return;
    if (named && typeof left.from === "number") named.setSelectionRange(left.from, left.to);
  }
}
