/** Two runs side by side: figures first, then their steps on one scale of time, with a rule where they part. */

import css from "../compare.css";
import { button, h, keepKeys, leave, set } from "../dom";
import type { Outside } from "../outside";
import type { Comparison, Figure, Pair, RunHead } from "../page.gen";
import { type Lane, waterfall } from "../phases";
import { Store } from "../store";
import base from "../style.css";
import { plural } from "../time";
import { CompareRow, numbers, type Side } from "./comparerow";
import { STATUS } from "./header";
import { followTheme } from "./theme";
import { uiOf } from "./ui";

const SAME = "No divergence: same calls, same results, same answer.";
/** so many equal steps in a row are one line, where there are more steps than one looks over; as in compare_text.py */
const FOLD = 4;
const FEW = 12;
const AT_ONCE = 40;
const UNKNOWN = ["not reported", "not timed", "not known", "none"];
/** nobody listens to a comparison, and it holds all there is */
const more = (): Promise<never> => Promise.reject(new Error("nothing more"));
const outside: Outside = {
  send: null,
  raw: { lines: [], complete: true, problem: null, ask: () => {} },
  more,
  text: async () => null,
};
let views = 0;

const turned = (difference: string): string => difference.replace(/^[+−]/, (sign) => (sign === "+" ? "−" : "+"));

/** The words of letta_nb/parting.py. */
function where({ a, b }: Pair): string {
  if (a === null || b === null || a === b) return `step ${(a ?? b ?? 0) + 1}`;
  return `step ${a + 1} of A, step ${b + 1} of B`;
}

export class CompareView {
  readonly host = h("div", "lnb-host");
  private readonly root = h("div", "lnb");
  private readonly id = `lnbc${++views}-`;
  private readonly facts = h("table", "facts");
  private readonly note = h("p", "alike d", SAME);
  private readonly list = h("ol", "cps");
  private readonly sides: readonly [Side, Side];
  private readonly longest: number;
  private readonly opened = new Set<number>();
  private rows: CompareRow[] = [];
  private swapped = false;

  constructor(
    parent: HTMLElement,
    private readonly data: Comparison,
    signal: AbortSignal,
  ) {
    this.sides = [this.side("a"), this.side("b")];
    const lanes = this.sides.flatMap((side) => [...side.lanes.values()]);
    this.longest = Math.max(1, ...lanes.map(([first]) => (first ? first.end - first.start : 0)));
    this.build(parent);
    this.draw();
    keepKeys(this.host, signal);
    followTheme(this.host, this.root, () => {}, signal);
    signal.addEventListener("abort", () => this.host.remove());
  }

  private side(name: "a" | "b"): Side {
    const store = new Store();
    store.adopt(this.data[name]);
    const end = store.head.ended ?? store.now ?? 0;
    const lanes = new Map<number, Lane[]>();
    for (const lane of waterfall(store, end).lanes) {
      const known = lanes.get(lane.step);
      if (known) known.push(lane);
      else lanes.set(lane.step, [lane]);
    }
    const ui = uiOf("");
    ui.all = true;
    const redraw = (): void => {
      for (const row of this.rows) row.update();
    };
    const no = (): boolean => false;
    const still = { more, missing: no, now: () => end, live: no, calm: () => true, reveal: () => {}, travel: () => {} };
    return { lanes, ctx: { store, ui, id: `${this.id}${name}`, send: null, outside, redraw, later: redraw, ...still } };
  }

  private build(parent: HTMLElement): void {
    set(this.root, { role: "group", "aria-label": "Comparison of two Letta runs", dir: "ltr" });
    const swap = button("btn", "", () => {
      this.swapped = !this.swapped;
      this.draw();
    });
    swap.append("Swap A and B");
    const [a, b] = this.sides.map((side) => side.ctx.store.head) as [RunHead, RunHead];
    const who = [a.agent === b.agent && a.agent, a.model === b.model && a.model];
    const named = h("span", "who", ...who.map((name) => name && h("span", "", name)));
    const header = h("div", "hd", h("span", "status", "Compare"), named, swap);
    const style = h("style");
    style.textContent = base + css;
    this.root.append(header, this.facts, this.note, this.list);
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.host.attachShadow({ mode: "open" }).append(style, this.root);
    parent.append(this.host);
  }

  private draw(): void {
    const { data, swapped } = this;
    const sides = (swapped ? [this.sides[1], this.sides[0]] : this.sides) as readonly [Side, Side];
    this.facts.replaceChildren(h("tbody", "", this.head(sides), ...data.figures.map((figure) => this.fact(figure))));
    this.note.hidden = data.divergence !== null;
    // both leave room for the bar that only one of them scrolls by
    for (const its of [this.facts, this.list]) its.classList.toggle("many", data.pairs.length > FEW);
    this.rows = [];
    this.list.replaceChildren(...this.items(this.groups(data.pairs), sides));
  }

  private head(sides: readonly [Side, Side]): HTMLElement {
    const cells = sides.map(({ ctx: { store } }, n) => {
      const { status = "running", started } = store.head;
      const bad = status === "failed" || status === "interrupted" ? " e" : "";
      const at = started ? new Date(started).toTimeString().slice(0, 8) : "";
      const time = set(h("span", "dd s", at), { title: started ?? null });
      return set(h("th", "", h("span", "dd", "AB"[n]), h("b", `b${bad}`, STATUS[status]), time), { scope: "col" });
    });
    return h("tr", "cg hd3", h("td"), ...cells, set(h("th", "s", "B − A"), { scope: "col" }));
  }

  private fact({ label, a, b, difference, strong }: Figure): HTMLElement {
    const [one, two] = this.swapped ? [b, a] : [a, b];
    const cell = (text: string): HTMLElement => set(h("td", UNKNOWN.includes(text) ? "dd" : "", text), { dir: "auto" });
    const name = set(h("th", "", label), { scope: "row" });
    const delta = this.swapped ? turned(difference) : difference;
    return h("tr", "cg", name, cell(one), cell(two), h("td", strong ? "b" : "", delta));
  }

  /** The pairs, many equal ones in a row together. */
  private groups(pairs: readonly Pair[]): Pair[][] {
    const groups: Pair[][] = [];
    for (const pair of pairs) {
      const last = groups.at(-1);
      if (pair.same && last?.[0]?.same) last.push(pair);
      else groups.push([pair]);
    }
    const folds = (group: Pair[]): boolean => group.length >= FOLD && this.data.pairs.length > FEW;
    return groups.flatMap((group) => (folds(group) ? [group] : group.map((pair) => [pair])));
  }

  /** As many as are drawn at once, and a line for the rest. */
  private items(groups: readonly Pair[][], sides: readonly [Side, Side]): HTMLElement[] {
    const made = groups.slice(0, AT_ONCE).map((group) => this.item(group, sides));
    const rest = groups.slice(AT_ONCE).flat();
    if (rest.length) made.push(this.item(rest, sides));
    return made;
  }

  private item(group: Pair[], sides: readonly [Side, Side]): HTMLElement {
    const [pair] = group as [Pair];
    if (group.length > 1) return this.fold(group, sides);
    const index = this.data.pairs.indexOf(pair);
    const shown = this.swapped ? { ...pair, a: pair.b, b: pair.a, difference: turned(pair.difference) } : pair;
    const row = new CompareRow(sides, shown, this.longest, `${this.id}${index}`, this.opened.has(index), (open) => {
      this.opened[open ? "add" : "delete"](index);
    });
    this.rows.push(row);
    const { divergence } = this.data;
    if (divergence?.pair !== index) return row.element;
    const [a, b] = this.swapped ? [divergence.b, divergence.a] : [divergence.a, divergence.b];
    row.element.className = "parts";
    row.element.prepend(h("p", "", `First divergence, ${where(shown)}: A ${a}, B ${b}.`));
    return row.element;
  }

  /** One line for many steps, until somebody wants to see them. */
  private fold(group: Pair[], sides: readonly [Side, Side]): HTMLElement {
    const element = h("li");
    const [first, last] = [group[0], group.at(-1)] as [Pair, Pair];
    const open = button("cg cr", "", () => {
      const items = this.items(same ? group.map((pair) => [pair]) : this.groups(group), sides);
      element.replaceWith(...items);
      items[0]?.querySelector("button")?.focus();
    });
    set(open, { "aria-expanded": "false" });
    const same = group.every((pair) => pair.same);
    const number = h("span", "dd", `${numbers(first)} to ${numbers(last)}`);
    open.append(number, h("span", "d", plural(group.length, same ? "same step" : "more step")), h("span"));
    element.append(open);
    return element;
  }

  /** j and k go from row to row, e and Enter open one. What is ours goes no further. */
  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...this.root.querySelectorAll<HTMLElement>("button.cr,button.r")];
    const rows = all.filter((row) => !row.closest("[hidden]"));
    const at = rows.indexOf((this.host.shadowRoot as ShadowRoot).activeElement as HTMLElement);
    const by = { j: 1, k: -1 }[event.key];
    if (by) rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
    else if (event.key === "e") rows[at]?.click();
    else if (event.key === "Escape") leave(this.host);
    // the browser presses the button itself; the notebook must not run the cell
    else if (event.key !== "Enter" && event.key !== " ") return;
    if (by || event.key === "e") event.preventDefault();
    event.stopPropagation();
  }
}
