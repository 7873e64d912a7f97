/** Keys, with the focus inside only. A key that is ours goes no further, so that the notebook's shortcuts stay asleep. */

import { h, show } from "../dom";
import { failed } from "./call";
import type { Context } from "./context";
import { entryText } from "./plaintext";
import { copy } from "./text";

const HELP: readonly [string, string][] = [
  ["j  k", "next, previous row"],
  ["e  Enter", "open or fold a row"],
  ["E", "expand or fold all"],
  ["x", "next failure"],
  ["c", "copy the row"],
  ["?", "this list"],
];

export interface Acts {
  toggleAll(): void;
  closeCard(): boolean;
}

export class Keys {
  readonly help = h("div", "card keys");

  constructor(
    private readonly ctx: Context,
    private readonly root: HTMLElement,
    private readonly acts: Acts,
  ) {
    const list = h("dl");
    for (const [keys, words] of HELP) list.append(h("dt", "", h("kbd", "", keys)), h("dd", "", words));
    this.help.append(list);
    show(this.help, false);
    root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.act(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  private get focused(): HTMLElement | null {
    return (this.root.getRootNode() as ShadowRoot).activeElement as HTMLElement | null;
  }

  private rows(): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>(".tx .r")].filter((row) => !row.closest("[hidden]"));
  }

  /** True: the key was ours. */
  private act(key: string): boolean {
    if (key === "Escape") return this.escape();
    if (key === "j" || key === "k") return this.step(key === "j" ? 1 : -1);
    if (key === "e") return this.open();
    if (key === "x") return this.nextFailure();
    if (key === "c") return this.copyRow();
    if (key === "E") this.acts.toggleAll();
    else if (key === "?") show(this.help, this.help.hidden === true);
    else return false;
    return true;
  }

  private escape(): boolean {
    const closed = this.acts.closeCard();
    if (this.help.hidden) return closed;
    show(this.help, false);
    return true;
  }

  private step(by: number): boolean {
    const rows = this.rows();
    const at = rows.indexOf(this.focused?.closest(".row")?.querySelector<HTMLElement>(".r") ?? this.root);
    rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
    return true;
  }

  private open(): boolean {
    if (!this.focused?.matches(".r[aria-expanded]")) return false;
    this.focused.click();
    return true;
  }

  private entryOf(row: Element | null | undefined): number {
    const key = (row as HTMLElement | null)?.dataset.key ?? "";
    return key.startsWith("e") ? Number(key.slice(1)) : -1;
  }

  private nextFailure(): boolean {
    const at = this.entryOf(this.focused?.closest(".r"));
    const bad = this.ctx.store.entries.filter(failed);
    const next = bad.find((entry) => entry.index > at) ?? bad[0];
    if (next) this.ctx.reveal(next.index);
    return true;
  }

  private copyRow(): boolean {
    const row = this.focused?.closest<HTMLElement>(".r");
    const entry = this.ctx.store.entries[this.entryOf(row)];
    const note = row?.querySelector<HTMLElement>(".x");
    if (!row || !entry || !note) return false;
    void copy(entryText(this.ctx.store, entry), note);
    return true;
  }
}
