/** Keys, with the focus inside only. A key that is ours goes no further, so that the notebook's shortcuts stay asleep. */

import { h, isChord, leave, show } from "../dom";
import { failed } from "./call";
import type { Context } from "./context";
import { copy } from "./text";

export interface Acts {
  toggleAll(): void;
  find(): void;
  tab(number: number): void;
  event(by: 1 | -1): void;
  step(by: 1 | -1): void;
  ends(last: boolean): void;
  play(): void;
  zoom(step: number | null): void;
  /** close what is open on top of the rest; false: nothing was */
  close(): boolean;
}

export class Keys {
  readonly help = h("div", "card keys");
  private helping = false;

  constructor(
    private readonly ctx: Context,
    private readonly root: HTMLElement,
    private readonly acts: Acts,
  ) {
    show(this.help, false);
    root.addEventListener("keydown", (event) => {
      if (isChord(event) || event.altKey) return;
      // what is typed into a box, and a key that presses what has the focus, are not ours
      const typing = this.focused?.matches("input:not([type=checkbox]),select,textarea");
      if ((typing && event.key !== "Escape") || (event.key === " " && this.focused?.matches("button,input"))) return;
      if (!this.act(event.key)) return;
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
    const { acts } = this;
    const does: Record<string, () => unknown> = {
      Escape: () => this.escape(),
      j: () => this.step(1),
      k: () => this.step(-1),
      e: () => this.open(),
      E: () => acts.toggleAll(),
      x: () => this.nextFailure(),
      c: () => this.copyRow(),
      "/": () => acts.find(),
      f: () => acts.find(),
      "[": () => acts.event(-1),
      "]": () => acts.event(1),
      ArrowLeft: () => this.onRail() && acts.event(-1),
      ArrowRight: () => this.onRail() && acts.event(1),
      "{": () => acts.step(-1),
      "}": () => acts.step(1),
      Home: () => acts.ends(false),
      End: () => acts.ends(true),
      " ": () => acts.play(),
      z: () => acts.zoom(this.stepOf()),
      "?": () => void this.showHelp(),
    };
    if (/^[1-4]$/.test(key)) acts.tab(Number(key));
    else if (!Object.hasOwn(does, key)) return false;
    else return does[key]?.() !== false;
    return true;
  }

  private async showHelp(): Promise<void> {
    // known before the list is there: Escape is about it from now on
    this.helping = !this.helping;
    const more = await this.ctx.more();
    this.helping &&= more !== null;
    show(this.help, this.helping);
    if (!more) return;
    const rows = more.keys.flatMap(([keys, words]) => [h("dt", "", h("kbd", "", keys)), h("dd", "", words)]);
    this.help.replaceChildren(h("dl", "", ...rows));
  }

  private onRail(): boolean {
    return this.focused?.matches(".rail") ?? false;
  }

  /** The step of the row, or the lane, that has the focus. */
  private stepOf(): number | null {
    const lane = this.focused?.closest<HTMLElement>(".ln")?.dataset.step;
    const entry = this.ctx.store.entries[this.entryOf(this.focused?.closest(".r"))];
    return lane !== undefined ? Number(lane) : (entry?.step ?? null);
  }

  /** One thing at a time; with nothing left to close, out of the view and back to the cell. */
  private escape(): boolean {
    if (this.helping) {
      this.helping = false;
      show(this.help, false);
    } else if (!this.acts.close()) leave((this.root.getRootNode() as ShadowRoot).host);
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
    void this.ctx.more().then((more) => more && copy(more.entryText(this.ctx.store, entry), note));
    return true;
  }
}
