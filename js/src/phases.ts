/** Where the time of a run went: the twin of letta_nb/phases.py, from the page's words. Times in ms. */

import type { Entry, Step, Store } from "./store";

export type PhaseKind =
  | "wait"
  | "reasoning"
  | "arguments"
  | "tool"
  | "failed"
  | "pending"
  | "answer"
  | "unattributed"
  | "queue";

/** What the legend tells, in this order; a queue is drawn and not counted. */
export const TOTALS: readonly PhaseKind[] = [
  "wait",
  "reasoning",
  "arguments",
  "tool",
  "failed",
  "pending",
  "answer",
  "unattributed",
];

const BLOCKS: Partial<Record<Entry["kind"], PhaseKind>> = {
  reasoning: "reasoning",
  hidden_reasoning: "reasoning",
  assistant: "answer",
  tool_call: "arguments",
};

export interface Phase {
  kind: PhaseKind;
  start: number;
  end: number;
  source: "client" | "server" | null;
  atMost: boolean;
}

export interface Lane {
  step: number;
  label: string;
  start: number;
  end: number;
  phases: Phase[];
  first: boolean;
  entry: number | null;
  cut: boolean;
}

export interface Waterfall {
  end: number;
  lanes: Lane[];
  totals: Map<PhaseKind, number>;
  atMost: Set<PhaseKind>;
}

const phase = (kind: PhaseKind, start: number, end: number, source: Phase["source"] = null, atMost = false): Phase => ({
  kind,
  start,
  end,
  source,
  atMost,
});

const lane = (
  step: number,
  label: string,
  start: number,
  end: number,
  phases: Phase[],
  entry: number | null,
): Lane => ({
  step,
  label,
  start,
  end,
  phases,
  first: true,
  entry,
  cut: false,
});

/** The run's lanes and totals; `now` is how far one has come that goes on. */
export function waterfall(store: Store, now: number | null = null): Waterfall {
  const lanes: Lane[] = [];
  if (store.head.timed === false) return { end: 0, lanes, totals: new Map(), atMost: new Set() };
  const stop = stoppedAt(store);
  const end = endOf(store, now);
  spans(store, stop).forEach(([start, stepEnd], index) => {
    const step = store.steps[index] as Step;
    const draw = store.head.delivery === "step" ? stepLanes : tokenLanes;
    lanes.push(...draw(store, step, start, stepEnd, end));
  });
  finish(store, lanes, stop, end);
  // a person may answer a call of a run that had failed long before
  const until = lanes.reduce((last, its) => Math.max(last, its.end), end);
  const atMost = new Set(lanes.flatMap((its) => its.phases.filter((p) => p.atMost).map((p) => p.kind)));
  return { end: until, lanes, totals: totalsOf(lanes), atMost };
}

function stoppedAt(store: Store): number | null {
  const ended = store.head.ended ?? null;
  return ended === null ? null : (store.stopAt ?? store.usageAt ?? ended);
}

/** How far the run has come: to its end, or to now; a person who is waited for takes time after the end. */
function endOf(store: Store, now: number | null): number {
  const { ended, status } = store.head;
  if (ended === null || ended === undefined) return now ?? store.now ?? 0;
  if (status !== "requires_approval") return ended;
  return Math.max(ended, now ?? 0, ...known(store.steps.flatMap(callsOf).flatMap(timesOf)));
}

const known = (times: readonly (number | null | undefined)[]): number[] =>
  times.filter((at): at is number => typeof at === "number");

/** When a person answered a call; not known for one that waits again, because its answer could not be sent. */
export const answeredAt = ({ facts }: Entry): number | null =>
  facts.approval === "pending" ? null : (facts.answered ?? null);

const timesOf = (call: Entry): (number | null | undefined)[] => [
  answeredAt(call),
  call.facts.started,
  call.facts.returned,
];

/** Start and end of each step: from the end of the step before to its own last event; the last one to `stop`. */
function spans(store: Store, stop: number | null): [number, number][] {
  const made: [number, number][] = [];
  let before = 0;
  for (const step of store.steps) {
    const start = Math.min(step.firstAt ?? before, before);
    before = Math.max(lastOf(step), before);
    made.push([start, before]);
  }
  const last = made.at(-1);
  if (last && stop !== null && !settled(store)) last[1] = Math.max(last[1], stop);
  return made;
}

/** When a step was over. After a person's answer it goes on, and then ends with what is known of its calls. */
function lastOf(step: Step): number {
  const calls = callsOf(step);
  if (calls.every((call) => answeredAt(call) === null)) return step.lastAt ?? 0;
  return Math.max(...known([...step.entries.map((entry) => entry.lastAt), ...calls.flatMap(timesOf)]));
}

export const callsOf = (step: Step): Entry[] => step.entries.filter((entry) => entry.kind === "tool_call");

/** No step is under way and another was awaited: the last one's calls are over, or it came whole. */
export function settled(store: Store): boolean {
  const { status, delivery } = store.head;
  const last = store.steps.at(-1);
  if (status === "completed" || status === "requires_approval") return !last;
  const calls = last ? callsOf(last) : [];
  if (!last || (delivery === "step" && calls.every((call) => !call.facts.approval))) return true;
  return calls.length > 0 && calls.every(isOver);
}

/** Denied, or seen to return: when a return came that was fetched later, nobody knows. */
const isOver = ({ facts, returned }: Entry): boolean =>
  facts.approval === "denied" || (returned && facts.return_source !== "server");

/** More of a call's arguments is awaited: nothing has come after them, and they are not complete. */
export function arriving(store: Store, call: Entry): boolean {
  if (!store.running || store.head.delivery === "step" || call.returned) return false;
  return store.entries.at(-1) === call && !complete(call);
}

const isWhole = new WeakMap<Entry, { length: number; whole: boolean }>();

/** Valid JSON, looked at again only where it ends as JSON does. */
function complete(entry: Entry): boolean {
  const before = isWhole.get(entry);
  if (before?.length === entry.text.length) return before.whole;
  let whole = false;
  if (/[}\]]\s*$/.test(entry.text.slice(-40))) {
    try {
      JSON.parse(entry.text);
      whole = true;
    } catch {}
  }
  isWhole.set(entry, { length: entry.text.length, whole });
  return whole;
}

/** The wait that nothing ended, and the mark of a run that broke. */
function finish(store: Store, lanes: Lane[], stop: number | null, end: number): void {
  if (settled(store)) {
    const last = Math.max(0, ...lanes.map((its) => its.end));
    const until = Math.max(stop ?? end, last);
    if (until > last || !lanes.length) {
      lanes.push(lane(store.steps.length, "", last, until, [phase("wait", last, until, "client")], null));
    }
  }
  const { status } = store.head;
  const final = lanes.at(-1);
  if (final && (status === "failed" || status === "interrupted")) final.cut = true;
}

function labelOf(entries: readonly Entry[]): string {
  const call = entries.find((entry) => entry.kind === "tool_call");
  if (call) return call.facts.name || "tool";
  if (entries.some((entry) => entry.kind === "assistant")) return "answer";
  return entries.some((entry) => BLOCKS[entry.kind] === "reasoning") ? "reasoning" : "";
}

/** A call that only its return told of: the request answered an approval. */
const unseen = (entry: Entry): boolean =>
  entry.kind === "tool_call" && !entry.text && entry.returned && entry.facts.returned === entry.firstAt;

function tokenLanes(store: Store, step: Step, start: number, stepEnd: number, end: number): Lane[] {
  const calls = callsOf(step);
  const blocks = blocksOf(step).sort((a, b) => (a.firstAt ?? 0) - (b.firstAt ?? 0));
  let replyEnd = blocks.length ? Math.max(...blocks.map(saidLast)) : start;
  if (calls.some((call) => arriving(store, call))) replyEnd = Math.max(replyEnd, end);
  const firsts = [...blocks.map((entry) => entry.firstAt ?? 0), replyEnd];
  const wait = blocks.length ? [phase("wait", start, firsts[0] ?? start, "client")] : [];
  const lanes = [lane(step.index, labelOf(step.entries), start, stepEnd, wait, calls[0]?.index ?? null)];
  for (const call of calls.slice(1)) {
    lanes.push({ ...lane(step.index, call.facts.name || "tool", start, stepEnd, [], call.index), first: false });
  }
  const laneOf = (entry: Entry): Lane => lanes.find((its) => its.entry === entry.index) ?? (lanes[0] as Lane);
  blocks.forEach((block, n) => {
    const kind = BLOCKS[block.kind] as PhaseKind;
    laneOf(block).phases.push(phase(kind, firsts[n] ?? 0, firsts[n + 1] ?? 0, "client"));
  });
  for (const call of calls) {
    const phases = laneOf(call).phases;
    phases.push(...afterCall(store, call, calls, phases.at(-1)?.end ?? replyEnd, replyEnd, end));
  }
  return close(lanes, stepEnd);
}

/** When an entry's own text last grew. */
const saidLast = (entry: Entry): number => entry.lastAt ?? 0;

/** What the model said, as it was streamed: not what was fetched, nor calls that only their return told of. */
const blocksOf = (step: Step): Entry[] =>
  step.entries.filter((entry) => BLOCKS[entry.kind] && entry.firstAt !== null && !unseen(entry));

/** What came after a call's arguments: the rest of the reply, a person's answers, then the tool. */
function afterCall(store: Store, call: Entry, calls: Entry[], since: number, replyEnd: number, end: number): Phase[] {
  let begin = Math.max(since, replyEnd);
  const phases = [phase("queue", since, begin)];
  if (waits(call)) return [...phases, phase("pending", begin, end, "client")];
  const answered = answeredAt(call);
  if (answered !== null) {
    phases.push(phase("pending", begin, answered, "client"));
    begin = Math.max(begin, answered);
  }
  if (call.facts.approval === "denied") return phases;
  const start = startOf(store, call, calls, begin);
  if (start === null) {
    const going = store.running || store.head.status === "requires_approval";
    return going ? [...phases, phase("queue", begin, end)] : phases;
  }
  // the answers of one reply are sent together, and functions of this kernel run one after the other
  phases.push(phase("queue", begin, start));
  if (call.returned) return [...phases, ...toolPhases(call, start, call.facts.returned ?? start)];
  return [...phases, phase("tool", start, end, "client")];
}

/** A person has not answered it yet. */
export const waits = (call: Entry): boolean => call.facts.approval === "pending" && !call.returned;

/** When a call's tool could begin, null if it has not. */
export function startOf(store: Store, call: Entry, calls: readonly Entry[], begin: number): number | null {
  const { facts } = call;
  const asked = calls.filter((other) => other.facts.approval);
  let at = facts.started ?? null;
  if (asked.length && !facts.approval) {
    // it needs no approval, but its server goes on when the others are answered, and functions of this kernel done
    const gates = known(asked.flatMap((other) => timesOf(other).slice(0, other.facts.here ? 3 : 2)));
    at = gates.length ? Math.max(...gates) : null;
  }
  if (call.returned) return at === null ? begin : Math.max(begin, Math.min(at, facts.returned ?? at));
  const { running } = store;
  if (facts.here && at !== null && (running || store.head.status === "requires_approval")) return Math.max(begin, at);
  if (!running || asked.some(waits)) return null;
  return Math.max(begin, at ?? 0);
}

function toolPhases(call: Entry, begin: number, until: number): Phase[] {
  const kind: PhaseKind = call.facts.status === "error" ? "failed" : "tool";
  const { at_most, duration, duration_source } = call.facts;
  if (at_most) return [phase(kind, begin, until, "client", true)];
  if (duration === null || duration === undefined) return [phase("unattributed", begin, until)];
  if (duration_source === "client") return [phase(kind, begin, until, "client")];
  // the server's figure first, though the wire does not say where in the gap it falls
  const done = Math.min(begin + duration, until);
  return [phase(kind, begin, done, "server"), phase("unattributed", done, until)];
}

/** Drop what took no time, let each lane end with its last phase, and say that the rest of the step is not known. */
function close(lanes: Lane[], stepEnd: number): Lane[] {
  const first = lanes[0] as Lane;
  for (const its of lanes) its.phases = its.phases.filter((p) => p.end > p.start);
  const ends = lanes.flatMap((its) => its.phases.slice(-1).map((p) => p.end));
  const last = ends.length ? Math.max(...ends) : first.start;
  if (stepEnd > last) first.phases.push(phase("unattributed", last, stepEnd));
  for (const its of lanes) {
    its.end = its.phases.at(-1)?.end ?? its.start;
    its.start = its.phases[0]?.start ?? its.start;
  }
  first.end = Math.max(...lanes.map((its) => its.end));
  return lanes;
}

function stepLanes(store: Store, step: Step, start: number, stepEnd: number, end: number): Lane[] {
  const calls = callsOf(step);
  if (calls.some((call) => waits(call) || answeredAt(call) !== null || typeof call.facts.started === "number")) {
    return askedLanes(store, step, start, stepEnd, end);
  }
  const phases = byServer(step, calls, start, step.lastAt ?? start);
  const only = lane(step.index, labelOf(step.entries), start, stepEnd, phases, null);
  if (calls.length > 1) only.label += ` +${calls.length - 1}`;
  return close([only], stepEnd);
}

/** The step came whole up to a person's answer; then each call has a lane of its own. */
function askedLanes(store: Store, step: Step, start: number, stepEnd: number, end: number): Lane[] {
  const calls = callsOf(step);
  const blocks = blocksOf(step);
  const arrived = blocks.length ? Math.max(...blocks.map((entry) => entry.lastAt ?? start)) : start;
  const head = byServer(step, [], start, arrived);
  const lanes = [lane(step.index, labelOf(step.entries), start, stepEnd, head, calls[0]?.index ?? null)];
  for (const call of calls.slice(1)) {
    lanes.push({ ...lane(step.index, call.facts.name || "tool", arrived, end, [], call.index), first: false });
  }
  calls.forEach((call, n) => {
    lanes[n]?.phases.push(...afterCall(store, call, calls, arrived, arrived, end));
  });
  return close(lanes, stepEnd);
}

/** The server's own figures of a step that came whole, in the order in which they happen; else one long wait. */
function byServer(step: Step, calls: Entry[], start: number, arrived: number): Phase[] {
  const llm = step.facts.llm_ms;
  if (llm === null || llm === undefined) return [phase("wait", start, arrived, "client")];
  const replied = Math.min(start + llm, arrived);
  const phases = [phase("wait", start, replied, "server")];
  const [call] = calls;
  if (calls.length === 1 && call?.facts.duration_source === "server") {
    return [...phases, ...toolPhases(call, replied, arrived)];
  }
  return [...phases, phase("unattributed", replied, arrived)];
}

/** How long each kind went on; what went on side by side counts once. */
function totalsOf(lanes: Lane[]): Map<PhaseKind, number> {
  const made = new Map(TOTALS.map((kind) => [kind, { ms: 0, reach: 0 }]));
  for (const { kind, start, end } of lanes.flatMap((its) => its.phases).sort((a, b) => a.start - b.start)) {
    const its = made.get(kind);
    if (!its) continue;
    its.ms += Math.max(end - Math.max(start, its.reach), 0);
    its.reach = Math.max(its.reach, end);
  }
  return new Map([...made].flatMap(([kind, { ms }]) => (ms > 0 ? [[kind, ms]] : [])));
}
