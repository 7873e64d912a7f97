/** Find: words in the run with next and previous, and filters by kind, tool, failure and time. */

import { button, h, isChord, say, set, show } from "../dom";
import { icon } from "../icons";
import type { Entry } from "../store";
import { count, plural } from "../time";
import { failed } from "./call";
import type { Context, Finder } from "./context";
import { Highlights } from "./highlights";
import { everything, matches, plain, toolsOf } from "./matches";
import { filters, isSlow, passes, toggle } from "./sought";
import type { Group } from "./ui";

const GROUPS: readonly (readonly [Group, string, string])[] = [
  ["reasoning", "Reasoning", "reason"],
  ["tools", "Tools", "tool"],
  ["answers", "Answers", "answer"],
];
/** more entries with matches than this have no ticks on the time axis */
const MOST = 200;

interface Chip {
  element: HTMLButtonElement;
  number: HTMLElement | null;
  pressed(): boolean;
}

export class Find implements Finder {
  readonly input = h("input", "box-in");
  private readonly number = h("span", "nn");
  private readonly chips: Chip[] = [];
  private readonly tools = h("select", "box-in");
  private readonly errors: Chip;
  private readonly slow: Chip;
  private readonly none = h("div", "none d");
  private readonly bar: HTMLElement;
  readonly element: HTMLElement;
  private readonly highlights: Highlights;
  private found: { entry: Entry; count: number }[] = [];
  private toolNames = "";

  constructor(
    private readonly ctx: Context,
    private readonly list: HTMLElement,
    signal: AbortSignal,
  ) {
    this.highlights = new Highlights(signal);
    const { sought } = ctx.ui;
    const { input } = this;
    set(input, { type: "search", placeholder: "Search", "aria-label": "Search in this run", autocomplete: "off" });
    input.addEventListener("input", () => {
      Object.assign(sought, { query: input.value, at: 0 });
      ctx.redraw();
      if (this.total) this.go(0, false);
    });
    input.addEventListener("keydown", (event) => this.typed(event));
    const step = (word: string, name: "up" | "down", by: number): HTMLButtonElement =>
      set(
        button("ico", word, () => this.step(by), icon(name)),
        { title: word },
      );
    this.bar = h("div", "find", input, this.number, step("Previous match", "up", -1), step("Next match", "down", 1));
    set(this.number, { "aria-live": "polite" });
    for (const [group, word, kind] of GROUPS) {
      const label = h("span", "", h("i", `key k-${kind}`), word);
      this.chips.push(
        this.chip(
          label,
          () => toggle(sought, group),
          () => !sought.hidden.has(group),
        ),
      );
    }
    set(this.tools, { "aria-label": "Tool" });
    this.tools.addEventListener("change", () => this.chose(() => Object.assign(sought, { tool: this.tools.value })));
    this.bar.append(this.tools);
    this.errors = this.numbered(
      "Errors",
      () => Object.assign(sought, { errors: !sought.errors }),
      () => sought.errors,
    );
    this.slow = this.numbered(
      "Over 1 s",
      () => Object.assign(sought, { slow: !sought.slow }),
      () => sought.slow,
    );
    const shut = button("ico shut", "Close search", () => this.close(), icon("failed"));
    this.bar.append(set(shut, { title: "Close (Escape)" }));
    this.none.append(
      h("span"),
      button("lk", "", () => this.showEverything(), "Show all"),
    );
    this.element = h("div", "", this.bar, this.none);
  }

  get total(): number {
    return this.found.reduce((sum, its) => sum + its.count, 0);
  }

  get times(): readonly number[] {
    const times = this.found.map(({ entry }) => entry.firstAt).filter((at): at is number => at !== null);
    return times.length > MOST ? [] : times;
  }

  private chip(label: HTMLElement, press: () => void, pressed: () => boolean, number: HTMLElement | null = null): Chip {
    const element = button("chip", "", () => this.chose(press), label, number);
    this.bar.append(element);
    return { element, number, pressed };
  }

  private numbered(word: string, press: () => void, pressed: () => boolean): Chip {
    const made = this.chip(h("span", "", word), press, pressed, h("b"));
    this.chips.push(made);
    return made;
  }

  private chose(change: () => void): void {
    change();
    this.ctx.ui.sought.at = 0;
    this.ctx.redraw();
  }

  private typed(event: KeyboardEvent): void {
    if (isChord(event)) return;
    event.stopPropagation();
    if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
  }

  open(): void {
    const { ui } = this.ctx;
    ui.pane = "transcript";
    ui.sought.open = true;
    this.ctx.redraw();
    this.input.focus();
    this.input.select();
  }

  close(): boolean {
    const { sought } = this.ctx.ui;
    if (!sought.open) return false;
    Object.assign(sought, { open: false, query: "", at: 0 });
    everything(sought);
    this.ctx.redraw();
    this.list.parentElement?.focus();
    return true;
  }

  private showEverything(): void {
    this.chose(() => everything(this.ctx.ui.sought));
  }

  private step(by: number): void {
    const { total } = this;
    const { sought } = this.ctx.ui;
    if (total) this.go((sought.at + by + total) % total, true);
  }

  /** The entry of a match, and its place among the entry's matches. */
  private place(at: number): { entry: Entry; nth: number } | null {
    let before = 0;
    for (const { entry, count } of this.found) {
      if (at < before + count) return { entry, nth: at - before };
      before += count;
    }
    return null;
  }

  private go(at: number, jump: boolean): void {
    const { ui } = this.ctx;
    ui.sought.at = at;
    const place = this.place(at);
    if (!place) return;
    const inside = this.shadowFocus();
    if (jump) this.ctx.reveal(place.entry.index);
    else this.ctx.redraw();
    // who searches goes on typing
    if (jump) inside?.focus({ preventScroll: true });
    this.highlights.scrollToCurrent();
  }

  private shadowFocus(): HTMLElement | null {
    return (this.element.getRootNode() as ShadowRoot).activeElement as HTMLElement | null;
  }

  update(): void {
    const { store, ui } = this.ctx;
    const { sought } = ui;
    show(this.bar, sought.open && ui.pane === "transcript");
    this.found = sought.open ? matches(store, sought) : [];
    const { total } = this;
    sought.at = Math.min(sought.at, Math.max(total - 1, 0));
    say(this.number, !sought.query ? "" : total ? `${count(sought.at + 1)} of ${count(total)}` : "0 of 0");
    for (const { element, pressed } of this.chips) set(element, { "aria-pressed": String(pressed()) });
    // another view of the run may have been typed into
    if (this.input.value !== sought.query) this.input.value = sought.query;
    if (!sought.open) return void show(this.none, false);
    this.figures();
    this.say();
  }

  private figures(): void {
    const { store, ui } = this.ctx;
    if (this.errors.number) say(this.errors.number, count(store.entries.filter(failed).length));
    if (this.slow.number) say(this.slow.number, count(store.entries.filter(isSlow).length));
    const tools = toolsOf(store);
    show(this.tools, tools.size > 1);
    const names = [...tools.keys()].sort().join("\n");
    if (names !== this.toolNames) {
      this.toolNames = names;
      const option = (name: string, words: string): HTMLOptionElement => set(h("option", "", words), { value: name });
      this.tools.replaceChildren(
        option("", "All tools"),
        ...[...tools.keys()].sort().map((name) => option(name, name)),
      );
    }
    this.tools.value = ui.sought.tool;
  }

  private say(): void {
    const { store, ui } = this.ctx;
    const { sought } = ui;
    const hidden = filters(sought)
      ? store.steps.filter(({ entries }) => entries.length && !entries.some((entry) => passes(sought, entry))).length
      : 0;
    const unmatched = sought.query && !this.found.length;
    const words = unmatched
      ? `No match for “${sought.query}”.`
      : hidden
        ? `${plural(hidden, "step")} hidden by filters.`
        : "";
    show(this.none, words !== "");
    say(this.none.firstChild as Node, `${words} `);
    show(this.none.lastChild as HTMLElement, filters(sought));
  }

  /** Mark the matches in what is drawn. */
  mark(): void {
    const { sought } = this.ctx.ui;
    const place = this.place(sought.at);
    this.highlights.mark(this.list, sought.open ? plain(sought.query) : "", place && [place.entry.index, place.nth]);
  }
}
