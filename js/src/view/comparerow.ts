/** Two steps side by side: what is the same said once and dim, what differs on each side; opened, both of them whole. */

import { h, set, show } from "../dom";
import { parse } from "../json";
import type { Pair } from "../page.gen";
import { callsOf, type Lane } from "../phases";
import type { Entry, Step, Store } from "../store";
import { time } from "../time";
import { errorLine, failed, pairs, summary } from "./call";
import type { Context } from "./context";
import { STATUS } from "./header";
import { KINDS } from "./kinds";
import { laneLabel } from "./lanewords";
import { StepView } from "./step";
import { textView } from "./value";

/** % of a side's width that the longest step takes: its time stands beside it */
const LONGEST = 74;
/** lanes, and calls, that a folded row shows of one step */
const MOST = 4;
/** a result up to so many characters is shown whole beside its arguments */
const SHORT = 16;

/** what the server puts before any error's words */
const ANY_ERROR = /^INTERNAL_SERVER_ERROR: /;

/** One of the two runs. */
export interface Side {
  readonly ctx: Context;
  readonly lanes: Map<number, Lane[]>;
}

/** `3`, or `3/4` where the two runs count differently. */
export const numbers = ({ a, b }: Pair): string =>
  [...new Set([a, b])].flatMap((index) => (index === null ? [] : [index + 1])).join("/");

const textOf = (step: Step | undefined, kind: Entry["kind"]): string =>
  (step?.entries ?? [])
    .filter((entry) => entry.kind === kind)
    .map((entry) => entry.text.trim())
    .join("\n\n");

const nameOf = (call: Entry): string => call.facts.name || "tool";

/** `get_weather +2`; "answer" and the like for a step without calls. */
function label(step: Step | undefined): HTMLElement {
  const calls = step ? callsOf(step) : [];
  const name = calls[0] && nameOf(calls[0]);
  if (name) return set(h("span", "nm one", name, calls.length > 1 ? ` +${calls.length - 1}` : ""), { title: name });
  return h("span", "one", textOf(step, "assistant") ? "answer" : textOf(step, "reasoning") ? "reasoning" : "");
}

/** The same tools, in whatever order. */
function alike(a: Step | undefined, b: Step | undefined): boolean {
  const [one, two] = [a, b].map((step) => (step ? callsOf(step).map(nameOf).sort().join("\0") : ""));
  return one === two;
}

function segments(lane: Lane): HTMLElement {
  const track = h("span", "sg");
  lane.phases.forEach((phase, n) => {
    const space = phase.start - (lane.phases[n - 1]?.end ?? phase.start);
    const last = n === lane.phases.length - 1 ? " last" : "";
    const parts: [string, number][] = [
      ["sp", space],
      [KINDS[phase.kind][0] + (phase.atMost ? " shared" : "") + last, phase.end - phase.start],
    ];
    for (const [cls, ms] of parts) {
      if (ms <= 0) continue;
      const part = h("i", cls);
      part.style.flex = `${ms.toFixed(2)} 1 0`;
      track.append(part);
    }
  });
  if (lane.cut) track.append(h("i", "cutoff"));
  return track;
}

function bars(lanes: readonly Lane[], longest: number): HTMLElement[] {
  const share = (ms: number): string => `${((ms / longest) * LONGEST).toFixed(2)}%`;
  return lanes.slice(0, MOST).map((lane, n) => {
    const [from, to] = [lane.phases[0]?.start ?? lane.start, lane.phases.at(-1)?.end ?? lane.end];
    const track = segments(lane);
    track.style.width = share(to - from);
    track.style.marginLeft = share(from - (lanes[0]?.start ?? from));
    const row = h("span", n ? "bars next" : "bars", track);
    if (!n) row.append(h("span", "t", time(lane.end - lane.start)));
    return set(row, { title: laneLabel(lane) });
  });
}

/** Strings run their own way, and what stands between them, as in JSON, does not turn with them. */
const strings = (line: string): (Node | string)[] =>
  line.split(/("(?:[^"\\]|\\.)*(?:"|$))/).map((part, n) => (n % 2 ? h("bdi", "", part) : part));

/** Text that runs its own way. */
const prose = (cls: string, ...children: (Node | string)[]): HTMLElement =>
  set(h("span", cls, ...children), { dir: "auto" });

/** The part of a JSON object under some of its keys; all of what is no object. */
function chosen(text: string, keys: readonly string[] | null): (Node | string)[] {
  const its = keys?.includes("") ? null : pairs(text);
  if (!its) return strings(summary(text));
  const shown = its.filter(([key]) => !keys || keys.includes(key));
  return shown.flatMap(([key, value], n) => [n ? "\u2002" : "", h("bdi", "dd", key), " ", ...strings(value)]);
}

/** `sides 20 → 4`; `pair`: only what differs, null: all of it. */
function callLine(call: Entry, named: boolean, pair: Pair | null): HTMLElement {
  const given = prose("m args");
  const rest = h("span", "rest");
  if (!pair || pair.arguments.length) given.append(...chosen(call.text, pair?.arguments ?? null));
  if (call.returned && (!pair || pair.result.length)) {
    const bad = failed(call);
    const result = call.facts.result ?? "";
    const keys = pair && parse(result)?.kind === "object" ? pair.result : null;
    const its = bad ? [errorLine(call)] : keys ? chosen(result, keys) : strings(summary(result));
    const told = prose(bad ? "m e" : "m", ...its);
    rest.append(h("span", "ar", "→"), told);
    rest.classList.toggle("long", (told.textContent ?? "").length > SHORT);
  } else if (!call.returned && call.facts.approval) {
    rest.append(h("span", "w", ` ${call.facts.approval}`));
  }
  return h("span", "c call", named && h("span", "nm", nameOf(call)), given, rest);
}

/** How a run broke in its last step. */
function ending(store: Store, index: number): HTMLElement[] {
  const { status, error, stop_reason } = store.head;
  const last = Math.max(store.steps.length - 1, 0);
  if (index < last || !status || !["failed", "interrupted", "cancelled"].includes(status)) return [];
  if (index === last && store.steps.length && !store.steps[last]?.entries.some((entry) => entry.facts.cut)) return [];
  const word = status === "failed" ? stop_reason || error?.type || STATUS[status] : STATUS[status];
  return [
    h("span", status === "cancelled" ? "one b" : "one e b", word),
    prose("two d", (error?.detail || error?.message || "").replace(ANY_ERROR, "")),
  ];
}

export class CompareRow {
  readonly element = h("li");
  private readonly button = h("button", "cg cr");
  private readonly body = h("div", "cg cb");
  private views: StepView[] | null = null;

  constructor(
    private readonly sides: readonly [Side, Side],
    private readonly pair: Pair,
    longest: number,
    id: string,
    open: boolean,
    toggled: (open: boolean) => void,
  ) {
    set(this.button, { type: "button", "aria-controls": id });
    this.body.id = id;
    this.element.append(this.button, this.body);
    this.button.addEventListener("click", () => {
      const opens = this.body.hidden === true;
      toggled(opens);
      this.open(opens);
    });
    this.draw(longest);
    this.open(open);
  }

  private step(n: 0 | 1): Step | undefined {
    const index = n ? this.pair.b : this.pair.a;
    return index === null ? undefined : this.sides[n].ctx.store.steps[index];
  }

  private draw(longest: number): void {
    const { a, b, same, words, difference } = this.pair;
    const [one, two] = [this.step(0), this.step(1)];
    const both = a !== null && b !== null;
    const named = both && !same && !alike(one, two);
    const left = h("span", "lb", h("span", "n", numbers(this.pair)));
    left.append(named ? h("span") : label(one ?? two));
    if (both && !named && words) left.append(h("span", "d", words));
    const said = [one, two].map((step) => textOf(step, step && callsOf(step).length ? "reasoning" : "assistant"));
    const cells = ([0, 1] as const).map((n) => {
      const told = n && said[0] === said[1] ? "" : (said[n] as string);
      return set(h("span", "side", ...this.side(n, named, told, longest)), { "data-side": "AB"[n] as string });
    });
    const only = h("span", "dd", `only in ${a === null ? "B" : "A"}`);
    this.button.append(left, ...cells, both ? h("span", "", difference) : only);
  }

  private side(n: 0 | 1, named: boolean, said: string, longest: number): HTMLElement[] {
    const { ctx, lanes } = this.sides[n];
    const index = n ? this.pair.b : this.pair.a;
    if (index === null) return [h("span", "dd", "no such step")];
    const made = bars(lanes.get(index) ?? [], longest);
    const step = this.step(n);
    const calls = this.pair.same || !step ? [] : callsOf(step);
    const partial = named || this.pair.a === null || this.pair.b === null ? null : this.pair;
    const differ = !partial || partial.arguments.length + partial.result.length > 0;
    const several = named || calls.length > 1;
    if (differ) made.push(...calls.slice(0, MOST).map((call) => callLine(call, several, partial)));
    if (calls.length > MOST) made.push(h("span", "d", `${calls.length - MOST} more calls`));
    const whole = !this.pair.same && !calls.length;
    if (said) made.push(prose(whole ? "two" : "one d", said.slice(0, 300)));
    return [...made, ...ending(ctx.store, index)];
  }

  private open(open: boolean): void {
    set(this.button, { "aria-expanded": String(open) });
    show(this.body, open);
    if (!open || this.views) return;
    this.views = [];
    this.body.append(h("span"));
    for (const n of [0, 1] as const) {
      const { ctx } = this.sides[n];
      const step = this.step(n);
      const list = set(h("ol", "tx"), { "aria-label": `Step in ${"AB"[n]}`, "data-side": "AB"[n] as string });
      if (step) {
        const view = new StepView(ctx, step);
        this.views.push(view);
        list.append(view.element);
      } else if (ctx.store.head.error && (n ? this.pair.b : this.pair.a) !== null) {
        const { detail, message } = ctx.store.head.error;
        list.append(h("li", "d", textView(detail || message, "prose")));
      }
      this.body.append(list);
    }
    this.update();
  }

  /** What the reader opened within it. */
  update(): void {
    const moment = { last: undefined, answer: undefined, live: false, over: true };
    for (const view of this.views ?? []) view.update(moment, null);
  }
}
