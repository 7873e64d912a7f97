/**
 * What a run's changes add up to, at its end or at a moment before. Pure: no page, no clock.
 *
 * The same changes give the same state, however split. An entry is one object for as long as the store lives: going to
 * another moment changes what is in it, so that what was drawn for it stays where it is.
 */

import { marked } from "./json";
import type {
  Batch,
  Change,
  EntryFacts,
  Kind,
  OpenChange,
  RunHead,
  Snapshot,
  Status,
  StepChange,
  TextChange,
} from "./page.gen";

export interface Entry {
  readonly index: number;
  readonly kind: Kind;
  readonly step: number | null;
  readonly messageType: string;
  firstAt: number | null;
  lastAt: number | null;
  /** as much of it as had come at the moment */
  text: string;
  /** all of it, and when it came: pairs [at, length, ...] */
  whole: string;
  readonly marks: number[];
  facts: EntryFacts;
  returned: boolean;
}

export interface Step {
  readonly index: number;
  firstAt: number | null;
  lastAt: number | null;
  facts: StepChange;
  entries: Entry[];
}

/** What changed since it was last asked; `all` after a snapshot. */
export interface Dirty {
  all: boolean;
  head: boolean;
  readonly entries: Set<number>;
  readonly steps: Set<number>;
}

export const clean = (): Dirty => ({ all: false, head: false, entries: new Set(), steps: new Set() });

export function merge(into: Dirty, from: Dirty): void {
  into.all ||= from.all;
  into.head ||= from.head;
  for (const index of from.entries) into.entries.add(index);
  for (const index of from.steps) into.steps.add(index);
}

/** Texts stand with their entries. */
type Logged = Exclude<Change, TextChange>;

const HELD = 2000;
/** known of a run as such, so at every moment of it */
const TIMELESS = ["agent", "model", "server", "run_id", "delivery", "timed", "started", "max_steps"] as const;
const latest = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

/** How many of a text's marks are not after a moment. */
function marksUpTo(marks: readonly number[], at: number): number {
  let low = 0;
  let high = marks.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle * 2] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

const same = (a: object, b: object): boolean => {
  const [one, two] = [Object.entries(a), new Map(Object.entries(b))];
  return one.length === two.size && one.every(([key, value]) => two.get(key) === value);
};

export class Store {
  seq = 0;
  now: number | null = null;
  /** ms of the run to one of the page: 1 but for a replay */
  speed = 1;
  head: RunHead = {};
  /** when the server said that the run was over, and when it reported tokens */
  stopAt: number | null = null;
  usageAt: number | null = null;
  entries: Entry[] = [];
  steps: Step[] = [];
  /** updates are missing: a snapshot is awaited */
  lost = false;
  /** ms: what is shown is the run as it stood then; null: all that is known */
  moment: number | null = null;
  private readonly listeners = new Set<(dirty: Dirty) => void>();
  private readonly held = new Map<number, Batch>();
  private log: Logged[] = [];
  /** every entry and step, shown at the moment or not */
  private allEntries: Entry[] = [];
  private allSteps: Step[] = [];
  /** facts about the run as they are known now */
  last: RunHead = {};
  private moments: number[] | null = null;

  get empty(): boolean {
    return this.seq === 0 && this.allEntries.length === 0 && this.last.status === undefined;
  }

  get running(): boolean {
    return (this.head.status ?? "running") === "running";
  }

  /** The stream is over, and the run is not: a person has to answer, or their answers are on their way. */
  get paused(): boolean {
    const calls = this.steps.at(-1)?.entries ?? [];
    const open = calls.some(({ facts, returned }) => facts.approval && !returned);
    return this.head.status === "requires_approval" && open;
  }

  /** What the reader is told: a run goes on from the last answer, whatever has to be done before it is sent. */
  get status(): Status {
    const { status } = this.head;
    if (!this.paused) return status ?? "running";
    return this.entries.some(({ facts }) => facts.approval === "pending") ? "requires_approval" : "running";
  }

  /** Steps that come after the moment. */
  get later(): number {
    return this.allSteps.length - this.steps.length;
  }

  listen(listener: (dirty: Dirty) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** True: a batch was missed, and nobody has asked for the snapshot yet. */
  receive(batch: Batch): boolean {
    if (batch.seq <= this.seq) return false;
    if (this.held.size < HELD) this.held.set(batch.seq, batch);
    return this.drain(clean());
  }

  adopt(snapshot: Snapshot): boolean {
    if (!this.empty && snapshot.seq <= this.seq) return false;
    Object.assign(this, { head: {}, entries: [], steps: [], stopAt: null, usageAt: null });
    Object.assign(this, { log: [], allEntries: [], allSteps: [], last: {}, moments: null });
    const dirty = clean();
    dirty.all = true;
    this.seq = snapshot.seq;
    this.now = snapshot.now;
    this.speed = snapshot.speed ?? 1;
    for (const change of snapshot.changes) this.take(change, dirty);
    this.lost = false;
    return this.drain(dirty);
  }

  private drain(dirty: Dirty): boolean {
    const before = this.seq;
    const { moment } = this;
    // what comes is taken in where it belongs: at the end
    if (moment !== null) this.show(null, dirty);
    for (const seq of this.held.keys()) if (seq <= this.seq) this.held.delete(seq);
    for (let next = this.held.get(this.seq + 1); next; next = this.held.get(this.seq + 1)) {
      this.held.delete(next.seq);
      this.seq = next.seq;
      for (const change of next.changes) this.take(change, dirty);
    }
    const asked = this.lost;
    this.lost = this.held.size > 0;
    if (moment !== null) this.show(moment, dirty);
    if (dirty.all || this.seq !== before || asked !== this.lost) {
      dirty.head ||= asked !== this.lost;
      for (const listener of this.listeners) listener(dirty);
    }
    return this.lost && !asked;
  }

  /** Note a change down, and show it. */
  private take(change: Change, dirty: Dirty): void {
    this.moments = null;
    const at = !change.op ? (change.at ?? change.marks?.at(-2) ?? null) : change.at;
    this.now = latest(this.now, at);
    if (!change.op) this.takeText(change, at, dirty);
    else {
      this.log.push(change);
      if (change.op === "run") Object.assign(this.last, change.set);
      this.apply(change, dirty);
    }
  }

  private apply(change: Logged, dirty: Dirty): void {
    if (change.op === "run") this.applyRun(change.at, change.set, dirty);
    else if (change.op === "step") this.applyStep(change, dirty);
    else if (change.op === "open") this.applyOpen(change, dirty);
    else if (change.op === "entry") this.applyEntry(change.entry, change.set, dirty);
  }

  private applyRun(at: number | null, facts: RunHead, dirty: Dirty): void {
    Object.assign(this.head, facts);
    if (facts.stop_reason && facts.status === undefined) this.stopAt = at;
    if (facts.usage) this.usageAt = at;
    // it goes on after a person's answer: what was said of its end was said of an earlier part
    if (facts.status === "running") this.stopAt = this.usageAt = null;
    dirty.head = true;
  }

  private applyStep(change: StepChange, dirty: Dirty): void {
    const step = this.step(change.step, change.at);
    step.facts = { ...step.facts, ...change };
    dirty.steps.add(change.step);
  }

  private step(index: number, at: number | null): Step {
    for (let next = this.steps.length; next <= index; next++) {
      const facts: StepChange = { op: "step", at, step: next };
      const known = this.allSteps[next];
      const step = Object.assign(known ?? {}, { index: next, firstAt: at, lastAt: at, facts, entries: [] as Entry[] });
      this.allSteps[next] = step;
      this.steps.push(step);
    }
    return this.steps[index] as Step;
  }

  private applyOpen(change: OpenChange, dirty: Dirty): void {
    const { entry: index, kind, step, at } = change;
    if (this.entries[index] || index !== this.entries.length) return;
    const facts: EntryFacts = {};
    if (change.name) facts.name = marked(change.name);
    if (change.call_id !== undefined) facts.call_id = change.call_id;
    if (change.approval !== undefined) facts.approval = change.approval;
    this.allEntries[index] ??= {
      index,
      kind,
      step,
      messageType: change.message_type ?? "",
      whole: "",
      marks: [],
    } as unknown as Entry;
    const entry = Object.assign(this.allEntries[index], { firstAt: at, lastAt: at, text: "", facts, returned: false });
    this.entries.push(entry);
    if (step !== null) {
      this.step(step, at).entries.push(entry);
      this.touch(entry, at, dirty);
    }
    dirty.entries.add(index);
  }

  private takeText(change: TextChange, at: number | null, dirty: Dirty): void {
    const entry = this.allEntries[change.entry];
    if (!entry) return;
    const { length } = entry.whole;
    const marks = change.marks ?? (at === null ? [] : [at, change.text.length]);
    for (let n = 0; n + 1 < marks.length; n += 2) {
      entry.marks.push(marks[n] as number, length + (marks[n + 1] as number));
    }
    entry.whole += change.text;
    this.showText(entry, entry.whole, at, dirty);
  }

  private showText(entry: Entry, text: string, at: number | null, dirty: Dirty): void {
    entry.text = text;
    entry.lastAt = latest(entry.lastAt, at);
    this.touch(entry, at, dirty);
  }

  private applyEntry(index: number, facts: EntryFacts, dirty: Dirty): void {
    const entry = this.entries[index];
    if (!entry) return;
    Object.assign(entry.facts, facts, facts.name && { name: marked(facts.name) });
    entry.returned ||= facts.result !== undefined;
    this.touch(entry, facts.returned ?? null, dirty);
  }

  private touch(entry: Entry, at: number | null, dirty: Dirty): void {
    dirty.entries.add(entry.index);
    const step = entry.step === null ? undefined : this.steps[entry.step];
    if (!step) return;
    step.lastAt = latest(step.lastAt, at);
    dirty.steps.add(step.index);
  }

  // -- other moments --------------------------------------------------------------------------------------------------

  /** When something came, in order: where a reader can go. */
  get times(): readonly number[] {
    if (!this.moments) {
      const found = new Set<number>([0]);
      for (const { at } of this.log) if (at !== null) found.add(at);
      for (const { marks } of this.allEntries) for (let n = 0; n < marks.length; n += 2) found.add(marks[n] as number);
      this.moments = [...found].sort((a, b) => a - b);
    }
    return this.moments;
  }

  /** Show the run as it stood at a moment, ms; null: all that is known. */
  travel(moment: number | null): void {
    if (moment === this.moment) return;
    const dirty = clean();
    this.show(moment, dirty);
    for (const listener of this.listeners) listener(dirty);
  }

  /** The same changes once more, up to the moment; `dirty` holds what differs from what was shown. */
  private show(moment: number | null, dirty: Dirty): void {
    this.moment = moment;
    const before = new Map(this.entries.map((entry) => [entry, { ...entry }]));
    const at = this.moment ?? Number.POSITIVE_INFINITY;
    const timeless = Object.fromEntries(TIMELESS.map((name) => [name, this.last[name]]));
    Object.assign(this, { head: { ...timeless }, entries: [], steps: [], stopAt: null, usageAt: null });
    const scratch = clean();
    for (const change of this.log) {
      if (this.moment === null || (change.at !== null && change.at <= at)) this.apply(change, scratch);
      else if (change.op !== "run") this.figures(change);
    }
    for (const entry of this.entries) {
      const { whole, marks } = entry;
      const come = marksUpTo(marks, at);
      const all = this.moment === null || come * 2 === marks.length;
      const text = all ? whole : whole.slice(0, come ? marks[come * 2 - 1] : 0);
      this.showText(entry, text, come ? (marks[come * 2 - 2] as number) : null, scratch);
    }
    dirty.head = true;
    for (const entry of this.entries) {
      const was = before.get(entry);
      before.delete(entry);
      if (was && was.text.length === entry.text.length && same(was.facts, entry.facts)) continue;
      dirty.entries.add(entry.index);
      if (entry.step !== null) dirty.steps.add(entry.step);
    }
    for (const { index, step } of before.keys()) {
      dirty.entries.add(index);
      if (step !== null) dirty.steps.add(step);
    }
  }

  /** How long something took that is shown already: told later, and as true then. */
  private figures(change: Logged): void {
    if (change.op === "step" && this.steps[change.step]) {
      const { llm_ms, tool_ms, step_ms, context_window } = change;
      Object.assign((this.steps[change.step] as Step).facts, { llm_ms, tool_ms, step_ms, context_window });
    } else if (change.op === "entry") {
      const entry = this.entries[change.entry];
      const { duration, duration_source, at_most } = change.set;
      if (entry?.returned && duration !== undefined) Object.assign(entry.facts, { duration, duration_source, at_most });
    }
  }
}
