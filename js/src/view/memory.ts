/** The agent's memory before and after the run: what changed in each block, and which call changed it. */

import { button, h, say, set, show } from "../dom";
import { icon } from "../icons";
import type { MemoryBlock } from "../page.gen";
import { count, plural } from "../time";
import type { Context } from "./context";
import { type Change, diff, tally } from "./diff";
import { textView } from "./value";

/** unchanged lines beside a change; more are folded */
const BESIDE = 2;
/** lines of one change that are shown at once */
const MOST = 200;
const SIGNS = { same: ["\u00a0", ""], added: ["+", "added: "], removed: ["−", "removed: "] } as const;

export class MemoryPane {
  private readonly note = h("div", "none d");
  private readonly list = h("ul", "mem");
  readonly element = h("div", "", this.note, h("div", "box", this.list));
  private drawn: unknown;
  private whole = true;

  constructor(private readonly ctx: Context) {}

  update(): void {
    const { last, moment } = this.ctx.store;
    const blocks = last.memory ?? [];
    // at an earlier moment calls may have no names yet
    const whole = moment === null;
    if (this.drawn === blocks && this.whole === whole) return;
    Object.assign(this, { drawn: blocks, whole });
    const changed = blocks.some((block) => block.edits.length > 0);
    say(this.note, blocks.length ? "No memory block changed." : "This agent has no memory blocks.");
    show(this.note, !changed);
    const sorted = [...blocks].sort((a, b) => Number(b.edits.length > 0) - Number(a.edits.length > 0));
    this.list.replaceChildren(...sorted.map((block, n) => this.block(block, n)));
  }

  private block(block: MemoryBlock, n: number): HTMLElement {
    const { ui, id } = this.ctx;
    const { label, edits, limit, after } = block;
    const size = (after ?? "").length;
    const room = limit === null ? plural(size, "character") : `${count(size)} of ${count(limit)} characters`;
    const chevron = h("span", "chev");
    const content = h("span", "c", h("bdi", "nm", label), h("span", "pm", figures(block)));
    const key = `memory ${label}`;
    const line = button("r", "", () => open(body.hidden === true), chevron, content, h("span", "x"));
    line.append(h("span", "t wide", room));
    const body = h("div", "body");
    body.id = `${id}m${n}`;
    set(line, { "aria-controls": body.id });
    const open = (wide: boolean): void => {
      ui.open.set(key, wide);
      if (wide && !body.firstChild) body.append(...this.edits(block));
      show(body, wide);
      set(line, { "aria-expanded": String(wide) });
      chevron.replaceChildren(icon(wide ? "down" : "right"));
    };
    open(ui.open.get(key) ?? edits.length > 0);
    return h("li", edits.length ? "step" : "step d", line, body);
  }

  /** Each edit with the call that made it; a block that did not change is its text. */
  private edits(block: MemoryBlock): HTMLElement[] {
    if (!block.edits.length) return [block.after ? textView(block.after) : h("div", "by dd", "empty")];
    let before = block.before;
    return block.edits.flatMap((edit) => {
      const changes = diff(before, edit.text);
      before = edit.text;
      return [this.by(edit.entry), lines(changes)];
    });
  }

  private by(entry: number | null): HTMLElement {
    if (entry === null) return h("div", "by dd", "changed by none of this run's calls");
    const call = this.ctx.store.entries[entry];
    const step = call?.step;
    const where = typeof step === "number" ? `  in step ${step + 1}` : "";
    const jump = button("lk", "", () => this.ctx.reveal(entry), call?.facts.name || "a tool");
    return h("div", "by dd", "changed by ", jump, where);
  }
}

/** `+2 −1`, by lines */
function figures({ before, after, edits }: MemoryBlock): string {
  if (!edits.length) return "unchanged";
  const { added, removed } = tally(diff(before, after));
  const parts = [added && `+${count(added)}`, removed && `−${count(removed)}`];
  if (before === null) parts.unshift("new");
  if (after === null) parts.unshift("deleted");
  return parts.filter(Boolean).join(" ") || "the same at the end";
}

/** Lines with their signs; far from any change only how many there are. */
function lines(changes: readonly Change[]): HTMLElement {
  const near = new Set<number>();
  changes.forEach(({ kind }, n) => {
    if (kind !== "same") for (let by = -BESIDE; by <= BESIDE; by++) near.add(n + by);
  });
  const made: HTMLElement[] = [];
  let hidden = 0;
  const tell = (): void => {
    if (hidden) made.push(h("div", "dd", `… ${plural(hidden, "line")}`));
    hidden = 0;
  };
  changes.forEach(({ kind, text }, n) => {
    if (!near.has(n)) {
      hidden++;
      return;
    }
    tell();
    const [sign, word] = SIGNS[kind];
    const mark = set(h("span", "sign", sign), { "aria-hidden": "true" });
    made.push(h("div", kind, mark, word && h("span", "vh", word), h("bdi", "", text)));
  });
  tell();
  const box = h("div", "diff m", ...made.slice(0, MOST));
  const rest = made.slice(MOST);
  if (rest.length) {
    const more = button("lk", "", () => more.replaceWith(...rest), `Show ${plural(rest.length, "more line")}`);
    box.append(more);
  }
  return box;
}
