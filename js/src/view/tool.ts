/** A tool call: one line of name, arguments and result; opened, all of it. */

import { h, say, set } from "../dom";
import { marked } from "../json";
import { waits } from "../phases";
import type { Entry } from "../store";
import { running, waiting } from "../time";
import { AnswerForm } from "./answer";
import {
  type CallState,
  callState,
  errorLine,
  failed,
  fate,
  type Pair,
  pairs,
  resultOf,
  siblings,
  since,
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

/** drawn hollow: not begun, or never to be */
const HOLLOW: readonly CallState[] = ["held", "pending", "queued", "answered", "denied"];
/** a new call of these stays open */
const OPEN: readonly CallState[] = ["arriving", "running", "answered", "denied"];

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
  private readonly facts = h("div");
  private form: AnswerForm | null = null;
  private shape = "";
  private drawn = "";

  constructor(
    private readonly ctx: Context,
    readonly entry: Entry,
  ) {
    this.row = new Row(ctx, `e${entry.index}`, null, () => this.toggle());
    this.row.content.append(this.sw, this.name, this.args, this.rest);
    this.row.content.classList.add("one", "call");
    this.row.body.append(this.facts);
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
    const byItself = bad || state === "pending" || state === "cut" || (newest && OPEN.includes(state));
    this.row.setOpen(ctx.ui.open.get(this.row.key) ?? ctx.ui.all ?? byItself);
    const asks = state === "pending" || state === "denied";
    const kind = bad ? "err" : asks ? "pend" : state === "arriving" || state === "cut" ? "args" : "tool";
    set(this.sw, { class: `sw${HOLLOW.includes(state) ? " o" : ""} k-${kind}` });
    say(this.name, entry.facts.name || "tool");
    this.drawLine(bad, state);
    this.drawNote(state);
    this.tick();
    if (this.row.open) this.drawBody(state);
    this.drawForm(state);
  }

  private drawForm(state: CallState): void {
    if (state !== "pending" || !this.entry.facts.call_id) {
      this.form?.remove();
      this.form = null;
    } else if (!this.form) {
      this.form = new AnswerForm(this.ctx, this.entry, () => this.row.line);
      this.row.body.append(this.form.element);
      this.form.update();
    }
  }

  private drawLine(bad: boolean, state: CallState): void {
    const waiting = this.waitingFor(state);
    const shape = `${this.row.open}${state}${this.entry.text.length}${bad}${this.entry.facts.result?.length}${waiting}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.args.replaceChildren();
    this.rest.replaceChildren();
    if (waiting) this.rest.append(h("span", "d s", `  ${waiting}`));
    if (this.row.open) return;
    const text = marked(this.entry.text);
    const its = pairs(text);
    this.args.append(...(its ? pairNodes(its) : [text.slice(0, 300)]));
    // of a denied call the server says what the note says
    const denied = state === "denied";
    const result = bad ? errorLine(this.entry) : denied ? "" : summary(this.entry.facts.result ?? "");
    this.args.classList.toggle("long", this.entry.text.length > SHORT);
    this.rest.classList.toggle("long", result.length > SHORT);
    if (this.entry.returned && result) this.rest.append(h("span", "ar", "→"), h("span", bad ? "m e" : "m", result));
  }

  private waitingFor(state: CallState): string {
    if (state === "pending") return this.entry.facts.here ? "wants to run in this kernel" : "needs your approval";
    return state === "queued" && siblings(this.ctx.store, this.entry).some(waits) ? "returns after you answer" : "";
  }

  private drawNote(state: CallState): void {
    const { here, stdout, stderr, return_source, reason } = this.entry.facts;
    const kept = [fate(this.ctx.store, this.entry)];
    if (here && state !== "pending") kept.push(state === "running" ? "running in this kernel" : "in this kernel");
    if (return_source === "server") kept.push("fetched after the run");
    const notes = [...kept, state === "arriving" || (state === "running" && !here) ? state : ""];
    // what stands open below needs no note
    const shown = this.row.open && this.entry.returned;
    if (!shown && stdout?.some(Boolean)) notes.push("stdout");
    if (!shown && stderr?.some(Boolean)) notes.push("stderr");
    say(this.row.note, notes.filter(Boolean).join("  "));
    this.row.note.classList.toggle("keep", kept.some(Boolean));
    set(this.row.note, { title: reason || null });
  }

  /** The time column: counts while the tool runs, or a person is waited for. */
  tick(): void {
    const { entry, state, ctx } = this;
    const from =
      (ctx.live() || ctx.store.moment !== null) && (state === "running" || state === "pending")
        ? since(ctx.store, entry)
        : null;
    this.row.time.classList.toggle("live", from !== null);
    const counts = state === "pending" ? waiting : running;
    say(this.row.time, from === null ? took(entry) : counts(Math.max(0, ctx.now() - from)));
    this.form?.update();
  }

  private drawBody(state: CallState): void {
    if (state === "arriving") {
      if (this.drawn !== "arriving") {
        this.drawn = "arriving";
        const live = h("dd", "", this.pre);
        this.facts.replaceChildren(h("dl", "kv", h("dt", "", "Arguments"), live));
      }
      this.growing.update(marked(this.entry.text), this.caret);
      return;
    }
    const shape = `${state}${this.entry.text.length}.${JSON.stringify(this.entry.facts).length}${this.ctx.send === null}`;
    if (shape === this.drawn) return;
    this.drawn = shape;
    this.facts.replaceChildren(details(this.entry, state));
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
  if (entry.text || !entry.returned)
    put("Arguments", entry.text ? valueView(marked(entry.text)) : h("span", "dd", "none"));
  if (entry.facts.reason) put("Reason", textView(entry.facts.reason, "prose"));
  if (state === "cut") list.append(h("dt"), h("dd", "d", cutWords(entry)));
  const result = resultOf(entry);
  if (result) put("Result", valueView(result));
  else if (entry.returned && !failed(entry)) put("Result", h("span", "dd", "empty"));
  const { said, traceback } = stderrOf(entry);
  if (traceback) put("Traceback", tracebackView(traceback));
  if (stdoutOf(entry)) put("stdout", textView(stdoutOf(entry)));
  if (said) put("stderr", textView(said));
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
