/** The quiet menu: what can be taken out of a run. */

import { button, h, set, show } from "../dom";
import type { Context } from "./context";
import { pythonText, transcriptText } from "./plaintext";
import { copy } from "./text";

const DONE_MS = 1500;
const MOMENT = "One moment";

export class Menu {
  private readonly list = set(h("div", "menu"), { role: "menu", "aria-label": "More" });
  private readonly tall: HTMLButtonElement;

  /** `button` opens it, and stands in `element`. */
  constructor(
    private readonly ctx: Context,
    element: HTMLElement,
    private readonly button: HTMLElement,
  ) {
    const { store, outside } = ctx;
    element.append(this.list);
    this.item("Copy transcript", (its) => copy(transcriptText(store), its));
    this.item("Copy as Python", (its) => copy(pythonText(store), its));
    this.item("Save run file", (its) => this.save("file", `${this.name}.jsonl`, its));
    this.item("Export HTML", (its) => this.save("html", `${this.name}.html`, its));
    if (outside.raw.problem) (this.list.children[2] as HTMLButtonElement).disabled = true;
    this.tall = this.item("", async () => {
      ctx.ui.full = !ctx.ui.full;
      ctx.redraw();
    });
    show(this.list, false);
    element.addEventListener("keydown", (event) => this.move(event));
    element.addEventListener("focusout", (event) => {
      if (!element.contains(event.relatedTarget as Node | null)) this.close();
    });
  }

  private get name(): string {
    const { head } = this.ctx.store;
    return `letta-${(head.run_id ?? head.uid ?? "run").replace(/[^\w-]+/g, "_").slice(0, 60)}`;
  }

  private item(words: string, act: (its: HTMLElement) => Promise<unknown>): HTMLButtonElement {
    const made = button("", "", () => {
      void act(made).then(() => setTimeout(() => this.close(true), words ? DONE_MS : 0));
    });
    made.textContent = words;
    set(made, { role: "menuitem", tabindex: "-1" });
    this.list.append(made);
    return made;
  }

  private async save(what: "file" | "html", name: string, from: HTMLElement): Promise<void> {
    const before = from.textContent;
    // it is on its way
    if (before === MOMENT) return;
    from.textContent = MOMENT;
    const text = await this.ctx.outside.text(what).catch(() => undefined);
    from.textContent =
      text === undefined ? "The kernel did not answer" : text === null ? "Not kept in this output" : "Saved";
    if (typeof text === "string") {
      const link = h("a");
      link.href = URL.createObjectURL(new Blob([text], { type: what === "html" ? "text/html" : "application/jsonl" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
    setTimeout(() => {
      from.textContent = before;
    }, DONE_MS);
  }

  toggle(): void {
    this.tall.textContent = this.ctx.ui.full ? "Limit the height" : "Full height";
    const open = this.list.hidden === true;
    this.list.classList.remove("up");
    show(this.list, open);
    // a host may cut off what stands out of its cell
    const frame = this.list.closest(".lnb")?.getBoundingClientRect();
    if (frame && this.list.getBoundingClientRect().bottom > frame.bottom) this.list.classList.add("up");
    set(this.button, { "aria-expanded": String(open) });
    if (open) (this.list.firstElementChild as HTMLElement | null)?.focus();
  }

  /** True: it was open. */
  close(focus = false): boolean {
    if (this.list.hidden) return false;
    show(this.list, false);
    set(this.button, { "aria-expanded": "false" });
    if (focus) this.button.focus();
    return true;
  }

  private move(event: KeyboardEvent): void {
    const items = [...this.list.querySelectorAll<HTMLElement>("button:not(:disabled)")];
    const at = items.indexOf(event.target as HTMLElement);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && this.close(true)) event.stopPropagation();
    if (by === undefined || this.list.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    items[(at + by + items.length) % items.length]?.focus();
  }
}
