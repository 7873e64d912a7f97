/** One row of the transcript: chevron or number, content, note, time. Foldable rows are buttons. */

import { add, h, say, set, show } from "../dom";
import { icon } from "../icons";
import type { Context } from "./context";

export class Row {
  readonly element = h("div", "row");
  readonly content = h("span", "c");
  readonly note = h("span", "x");
  readonly time = h("span", "t");
  /** what opens under the row */
  readonly body = h("div", "body");
  line: HTMLElement;
  open = false;
  foldable = false;
  private lead: HTMLElement = h("span", "n");
  private readonly chevron: boolean;

  /** `number`: shown before the row in place of a chevron; null where there is none. */
  constructor(
    ctx: Context,
    readonly key: string,
    number: string | null,
    private readonly onToggle: (() => void) | null = null,
  ) {
    this.body.id = `${ctx.id}${key}`;
    this.chevron = number === null;
    if (number) say(this.lead, number);
    // what is wider than its column stands out to the left
    if (number && number.length > 2) this.lead.style.marginLeft = `${17 - 6.5 * number.length}px`;
    if (number !== null) this.element.classList.add("head");
    this.line = this.made();
    add(this.element, this.line, this.body);
    show(this.body, false);
    this.setFoldable(onToggle !== null);
  }

  private made(): HTMLElement {
    const line = this.foldable ? h("button", "r") : h("div", "r");
    line.dataset.key = this.key;
    if (this.foldable) {
      set(line, { type: "button", "aria-expanded": String(this.open), "aria-controls": this.body.id });
      line.addEventListener("click", () => this.clicked());
    } else {
      set(line, { tabindex: "-1" });
    }
    if (this.chevron) this.lead = this.foldable ? h("span", "chev", icon(this.open ? "down" : "right")) : h("span");
    add(line, this.lead, this.content, this.note, this.time);
    return line;
  }

  /** A row that has nothing more to show is not a button. */
  setFoldable(foldable: boolean): void {
    if (foldable === this.foldable) return;
    this.foldable = foldable;
    const before = this.line;
    const focused = (before.getRootNode() as ShadowRoot).activeElement === before;
    this.line = this.made();
    before.replaceWith(this.line);
    if (focused) this.line.focus();
  }

  /** A reader who selects text does not mean to fold it. */
  clicked(): void {
    const root = this.element.getRootNode() as ShadowRoot & { getSelection?(): Selection | null };
    const selection = root.getSelection ? root.getSelection() : document.getSelection();
    const selects = selection && !selection.isCollapsed && selection.containsNode(this.element, true);
    if (!(this.open && selects)) this.onToggle?.();
  }

  setOpen(open: boolean): void {
    if (open === this.open) return;
    this.open = open;
    show(this.body, open);
    if (!this.foldable) return;
    set(this.line, { "aria-expanded": String(open) });
    if (this.chevron) this.lead.replaceChildren(icon(open ? "down" : "right"));
  }
}

/** The 3 px bar: the colour of the row's segment in the waterfall. */
export function bar(kind: string): HTMLElement {
  return h("span", `sw k-${kind}`);
}
