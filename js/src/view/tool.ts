/** A tool call: one line of name, arguments and result; opened, all of it. */

import { h, say, set } from "../dom";
import type { Entry } from "../store";
import { running } from "../time";
import {
  type CallState,
  callState,
  errorLine,
  failed,
  type Pair,
  pairs,
  resultOf,
  stderrOf,
  stdoutOf,
  summary,
  took,
} from "./call";
import type { Context } from "./context";
import { Row } from "./row";
import { Growing } from "./text";
import { tracebackView } from "./traceback";
import { textView, valueView } from "./value";

const NOTES: Partial<Record<CallState, string>> = {
  arriving: "arriving",
  running: "running",
};

const WAITS: Partial<Record<CallState, string>> = {
  pending: "needs your approval",
  queued: "returns after you answer",
};

/** a result up to so many characters is shown whole beside its arguments */
const SHORT = 32;

export class ToolRow {
  readonly row: Row;
  private readonly sw = h("span", "sw");
  private readonly name = h("span", "nm");
  private readonly args = h("span", "m args");
  private readonly rest = h("span", "rest");
  private readonly pre = h("pre");
  private readonly growing = new Growing(this.pre);
  private readonly caret = h("span", "car");
  private shape = "";
  private drawn = "";

  constructor(
    private readonly ctx: Context,
    readonly entry: Entry,
  ) {
    this.row = new Row(ctx, `e${entry.index}`, null, () => this.toggle());
    this.row.content.append(this.sw, this.name, this.args, this.rest);
    this.row.content.classList.add("one", "call");
  }

  get state(): CallState {
    return callState(this.ctx.store, this.entry);
  }

  private toggle(): void {
    this.ctx.ui.open.set(this.row.key, !this.row.open);
    this.ctx.redraw();
  }

  /** Failed calls, and calls that wait for a person, open themselves; the running one of a live run too. */
  update(newest: boolean): void {
    const { entry, ctx, state } = this;
    const bad = failed(entry);
    const byItself =
      bad || state === "pending" || state === "cut" || (newest && (state === "arriving" || state === "running"));
    this.row.setOpen(ctx.ui.open.get(this.row.key) ?? ctx.ui.all ?? byItself);
    const kind = bad ? "err" : state === "pending" ? "pend" : state === "arriving" ? "args" : "tool";
    const hollow = WAITS[state] ? " o" : "";
    set(this.sw, { class: `sw${hollow} k-${state === "cut" ? "args" : kind}` });
    say(this.name, entry.facts.name || "tool");
    this.drawLine(bad, state);
    this.drawNote(state);
    this.tick();
    if (this.row.open) this.drawBody(state);
  }

  private drawLine(bad: boolean, state: CallState): void {
    const shape = `${this.row.open}${state}${this.entry.text.length}${bad}${this.entry.facts.result?.length}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.args.replaceChildren();
    this.rest.replaceChildren();
    if (WAITS[state]) this.rest.append(h("span", "d s", `  ${WAITS[state]}`));
    if (this.row.open) return;
    const its = pairs(this.entry.text);
    this.args.append(...(its ? pairNodes(its) : [this.entry.text.slice(0, 300)]));
    const result = bad ? errorLine(this.entry) : summary(this.entry.facts.result ?? "");
    this.rest.classList.toggle("long", result.length > SHORT);
    if (this.entry.returned && result) this.rest.append(h("span", "ar", "→"), h("span", bad ? "m e" : "m", result));
  }

  private drawNote(state: CallState): void {
    const { approval, stdout, stderr } = this.entry.facts;
    const notes = [NOTES[state] ?? ""];
    if (approval === "approved" || approval === "denied") notes.push(approval);
    if (stdout?.some(Boolean)) notes.push("stdout");
    if (stderr?.some(Boolean)) notes.push("stderr");
    const text = notes.filter(Boolean).join("  ");
    say(this.row.note, this.row.open && this.entry.returned ? "" : text);
  }

  /** The time column: counts while the tool runs. */
  tick(): void {
    const { entry, state } = this;
    const live = this.ctx.store.running && (state === "running" || state === "pending") && entry.lastAt !== null;
    this.row.time.classList.toggle("live", live);
    say(this.row.time, live ? running(Math.max(0, this.ctx.now() - (entry.lastAt ?? 0))) : took(entry));
  }

  private drawBody(state: CallState): void {
    if (state === "arriving") {
      if (this.drawn !== "arriving") {
        this.drawn = "arriving";
        const live = h("dd", "", this.pre);
        this.row.body.replaceChildren(h("dl", "kv", h("dt", "", "Arguments"), live));
      }
      this.growing.update(this.entry.text, this.caret);
      return;
    }
    const shape = `${state}${this.entry.text.length}.${JSON.stringify(this.entry.facts).length}${this.ctx.send === null}`;
    if (shape === this.drawn) return;
    this.drawn = shape;
    this.row.body.replaceChildren(details(this.entry, state));
  }
}

function pairNodes(its: Pair[]): (Node | string)[] {
  return its.flatMap(([key, value], n) => [n ? "\u2002" : "", h("span", "dd", key), ` ${value}`]);
}

/** Error, arguments, result, traceback, stdout, stderr. */
function details(entry: Entry, state: CallState): HTMLElement {
  const list = h("dl", "kv");
  const put = (label: string, value: Node | string): void => list.append(h("dt", "", label), h("dd", "", value));
  if (failed(entry)) put("Error", h("pre", "e b", errorLine(entry)));
  if (entry.text || !entry.returned) put("Arguments", entry.text ? valueView(entry.text) : h("span", "dd", "none"));
  if (state === "cut") list.append(h("dt"), h("dd", "d", cutWords(entry)));
  const result = resultOf(entry);
  if (result) put("Result", valueView(result));
  else if (entry.returned && !failed(entry)) put("Result", h("span", "dd", "empty"));
  const { said, traceback } = stderrOf(entry);
  if (traceback) put("Traceback", tracebackView(traceback));
  if (stdoutOf(entry)) put("stdout", textView(stdoutOf(entry)));
  if (said) put("stderr", textView(said));
  if (state === "pending") list.append(h("dt"), h("dd", "d", "Answer it from Python."));
  return list;
}

function cutWords(entry: Entry): string {
  try {
    JSON.parse(entry.text);
    return "Cut off here: the call did not return.";
  } catch {
    return "Cut off here. The text above is as received and is not complete JSON.";
  }
}
