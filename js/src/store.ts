/** What a run's changes add up to. Pure: no page, no clock. The same changes give the same state, however split. */

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
  text: string;
  /** when it came: pairs [at, length, ...], lengths of the whole text; for cutting it at a moment */
  readonly marks: number[];
  facts: EntryFacts;
  returned: boolean;
}

export interface Step {
  readonly index: number;
  firstAt: number | null;
  lastAt: number | null;
  facts: StepChange;
  readonly entries: Entry[];
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

const HELD = 2000;
const latest = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

export class Store {
  seq = 0;
  now: number | null = null;
  head: RunHead = {};
  /** when the server said that the run was over, and when it reported tokens */
  stopAt: number | null = null;
  usageAt: number | null = null;
  entries: Entry[] = [];
  steps: Step[] = [];
  /** updates are missing: a snapshot is awaited */
  lost = false;
  private readonly listeners = new Set<(dirty: Dirty) => void>();
  private readonly held = new Map<number, Batch>();

  get empty(): boolean {
    return this.seq === 0 && this.entries.length === 0 && this.head.status === undefined;
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
    const dirty = clean();
    dirty.all = true;
    this.seq = snapshot.seq;
    this.now = snapshot.now;
    for (const change of snapshot.changes) this.apply(change, dirty);
    this.lost = false;
    return this.drain(dirty);
  }

  private drain(dirty: Dirty): boolean {
    const before = this.seq;
    for (const seq of this.held.keys()) if (seq <= this.seq) this.held.delete(seq);
    for (let next = this.held.get(this.seq + 1); next; next = this.held.get(this.seq + 1)) {
      this.held.delete(next.seq);
      this.seq = next.seq;
      this.now = latest(this.now, next.now);
      for (const change of next.changes) this.apply(change, dirty);
    }
    const asked = this.lost;
    this.lost = this.held.size > 0;
    if (dirty.all || this.seq !== before || asked !== this.lost) {
      dirty.head ||= asked !== this.lost;
      for (const listener of this.listeners) listener(dirty);
    }
    return this.lost && !asked;
  }

  private apply(change: Change, dirty: Dirty): void {
    if (change.op === "run") this.applyRun(change.at, change.set, dirty);
    else if (change.op === "step") this.applyStep(change, dirty);
    else if (change.op === "open") this.applyOpen(change, dirty);
    else if (change.op === "text") this.applyText(change, dirty);
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
      this.steps.push({ index: next, firstAt: at, lastAt: at, facts, entries: [] });
    }
    return this.steps[index] as Step;
  }

  private applyOpen(change: OpenChange, dirty: Dirty): void {
    const { entry: index, kind, step, at } = change;
    if (this.entries[index] || index !== this.entries.length) return;
    const facts: EntryFacts = {};
    if (change.name !== undefined) facts.name = change.name;
    if (change.call_id !== undefined) facts.call_id = change.call_id;
    if (change.approval !== undefined) facts.approval = change.approval;
    const messageType = change.message_type ?? "";
    const entry: Entry = {
      index,
      kind,
      step,
      messageType,
      firstAt: at,
      lastAt: at,
      text: "",
      marks: [],
      facts,
      returned: false,
    };
    this.entries.push(entry);
    if (step !== null) {
      this.step(step, at).entries.push(entry);
      this.touch(entry, at, dirty);
    }
    dirty.entries.add(index);
  }

  private applyText(change: TextChange, dirty: Dirty): void {
    const entry = this.entries[change.entry];
    if (!entry) return;
    const { marks } = change;
    for (let n = 0; n + 1 < marks.length; n += 2) {
      entry.marks.push(marks[n] as number, entry.text.length + (marks[n + 1] as number));
    }
    entry.text += change.text;
    const at = marks.at(-2) ?? null;
    entry.lastAt = latest(entry.lastAt, at);
    this.touch(entry, at, dirty);
  }

  private applyEntry(index: number, facts: EntryFacts, dirty: Dirty): void {
    const entry = this.entries[index];
    if (!entry) return;
    Object.assign(entry.facts, facts);
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
}
