/** How full the context window was at each step, with compactions where they fell. */

import { button, h, say, set, show } from "../dom";
import type { Entry, Step } from "../store";
import { count } from "../time";
import { compacted } from "./compacted";
import type { Context } from "./context";

const NONE = "This server reported no tokens by step.";
const UNKNOWN = "The size of the context window is not known: the bars are to the scale of the fullest.";

interface Filling {
  step: Step;
  tokens: number;
  window: number | null;
  compactions: readonly Entry[];
}

const isNumber = (value: unknown): value is number => typeof value === "number";
const isCompaction = ({ kind, facts }: Entry): boolean =>
  kind === "compaction" || (kind === "summary" && (isNumber(facts.tokens_before) || isNumber(facts.tokens_after)));

function fillings(steps: readonly Step[]): Filling[] {
  return steps.flatMap((step) => {
    const { input_tokens, output_tokens, context_window } = step.facts;
    if (!isNumber(input_tokens)) return [];
    const tokens = input_tokens + (output_tokens ?? 0);
    return [{ step, tokens, window: context_window || null, compactions: step.entries.filter(isCompaction) }];
  });
}

export class ContextPane {
  private readonly note = h("div", "none d");
  private readonly list = h("ol", "fill");
  readonly element = h("div", "", this.note, h("div", "box", this.list));
  private drawn = "";

  constructor(private readonly ctx: Context) {
    set(this.list, { "aria-label": "Context window by step" });
  }

  update(): void {
    const found = fillings(this.ctx.store.steps);
    const told = found.map((its) => [its.step.index, its.tokens, its.window, its.compactions.map(compacted)]);
    const shape = JSON.stringify([told, this.whole]);
    if (shape === this.drawn) return;
    this.drawn = shape;
    const windows = found.map(({ window }) => window).filter(isNumber);
    const tokens = found.map((its) => its.tokens);
    // what does not fit into the window that was told of is drawn all the same
    const scale = Math.max(1, ...tokens, ...windows);
    say(this.note, found.length ? (windows.length ? "" : UNKNOWN) : `${NONE}${this.whole}`);
    show(this.note, this.note.textContent !== "");
    const root = this.list.getRootNode() as ShadowRoot;
    const focused = [...this.list.children].findIndex((row) => row.contains(root.activeElement));
    this.list.replaceChildren(...found.map((its) => this.row(its, scale)));
    this.list.children[focused]?.querySelector("button")?.focus();
  }

  /** What is known of the run as a whole. */
  private get whole(): string {
    const { usage } = this.ctx.store.head;
    return isNumber(usage?.context_tokens) ? ` At the end the context held ${count(usage.context_tokens)}.` : "";
  }

  private row({ step, tokens, window, compactions }: Filling, scale: number): HTMLElement {
    const bar = (cls: string, share: number, side: "width" | "left"): HTMLElement => {
      const made = h("i", cls);
      made.style[side] = `${Math.min((share / scale) * 100, 100)}%`;
      return made;
    };
    const track = h("span", "track", bar("", tokens, "width"));
    // the end of the window, where steps have windows of several sizes
    if (window && window < scale) track.append(bar("end", window, "left"));
    for (const { facts } of compactions) track.append(bar("notch", facts.tokens_before ?? tokens, "left"));
    const line = button(
      "fl",
      "",
      () => this.go(step),
      h("span", "n", String(step.index + 1)),
      set(track, { "aria-hidden": "true" }),
      h("span", "f", window ? `${count(tokens)} of ${count(window)}` : `${count(tokens)} tokens`),
      window !== null && h("span", "t", `${Math.round((tokens * 100) / window)}%`),
    );
    const said = [...new Set(compactions.map(compacted))].map((words) => h("div", "dd at", words));
    return h("li", "", line, ...said);
  }

  private go(step: Step): void {
    const first = step.entries[0];
    if (first) this.ctx.reveal(first.index);
  }
}
