// Generated from letta_nb/page.py by scripts/generate_types.py; `make js` writes it anew. Do not edit.

/**
 * The browser's words: what the kernel tells a page, and what a page may ask. TypeScript types are generated from here.
 *
 * The page knows nothing of Letta. It holds a list of changes, in order of time, and draws what they add up to; a moment
 * in the past is the same list applied up to that moment. A live widget gets the list in numbered batches, a late view in
 * one snapshot, a frozen output as data inside its HTML: the same words in all three.
 *
 * Times (`at`, `marks`) are milliseconds since the request was sent, by the clock of the process that read the stream,
 * or null throughout (`RunHead.timed` false) for a recording without arrival times.
 */

export type Status =
  | "running"
  | "completed"
  | "requires_approval"
  | "interrupted"
  | "cancelled"
  | "failed";

export type Kind =
  | "user"
  | "system"
  | "reasoning"
  | "hidden_reasoning"
  | "assistant"
  | "tool_call"
  | "summary"
  | "compaction"
  | "unknown";

/** Tokens as reported; null is "not reported". */
export interface Usage {
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
  cache_read_input_tokens: number | null;
  cache_creation_input_tokens: number | null;
  reasoning_output_tokens: number | null;
  context_tokens: number | null;
  step_count: number | null;
}

/** Why a run did not end well: the type, one sentence, and the server's own words where it gave any. */
export interface ErrorInfo {
  type: string;
  message: string;
  detail: string | null;
}

/**
 * What became of a person's Stop, asked at `asked` (ms).
 *
 * "asked": no answer yet. "cancelled": the server has stopped the run. "nothing": it had nothing to stop.
 * "unsupported": it cannot stop runs, so only the connection was closed. "refused": it said no, in `words`.
 * "unheard": no answer came.
 */
export interface CancelInfo {
  asked: number | null;
  outcome: "asked" | "cancelled" | "nothing" | "unsupported" | "refused" | "unheard";
  words: string | null;
}

/**
 * The stream's connection broke at `lost` (ms) and was taken up again at `back`, null as long as it is not.
 *
 * `times`: how often that happened so far; `lost` and `back` are of the last time.
 */
export interface ConnectionInfo {
  lost: number | null;
  back: number | null;
  times: number;
}

/**
 * What is said under the header, when something needs saying.
 *
 * A sentence; more about it; the server's own words; what the reader can do, with what they would type between
 * backticks. `dim`: a note, and no news.
 */
export interface Say {
  sentence: string;
  more: string;
  words: string;
  way: string;
  dim: boolean;
}

/** What the tokens cost, by the provider's list price on `price_date` (ISO 8601). */
export interface Cost {
  usd: number;
  price_date: string | null;
}

/** The text of a memory block after an edit by the tool call `entry`; null: changed by none of the run's calls. */
export interface MemoryEdit {
  entry: number | null;
  text: string | null;
}

/**
 * A block of the agent's memory before and after the run; null where it did not exist.
 *
 * `edits` lead from `before` to `after`, in order; the last one's text is `after`. Empty: nothing changed.
 */
export interface MemoryBlock {
  label: string;
  limit: number | null;
  before: string | null;
  after: string | null;
  edits: MemoryEdit[];
}

/** Facts about the whole run; a later value replaces an earlier one. */
export interface RunHead {
  uid?: string;
  run_id?: string | null;
  agent?: string | null;
  model?: string | null;
  server?: string | null;
  status?: Status;
  stop_reason?: string | null;
  error?: ErrorInfo | null;
  /** wall clock of the request, ISO 8601 UTC */
  started?: string;
  /** when the run ended, ms; null while it runs or if nothing was timed */
  ended?: number | null;
  /** false: a recording without arrival times; every `at` is null */
  timed?: boolean;
  /** "step": this server delivers each step whole, so arrival times say nothing about what happened inside it */
  delivery?: "token" | "step" | null;
  events?: number;
  usage?: Usage | null;
  /** how often a person's answer to approval requests continued the run */
  answers?: number;
  cancel?: CancelInfo | null;
  connection?: ConnectionInfo | null;
  /** null: there is nothing to say */
  say?: Say | null;
  /** null: no price is known */
  cost?: Cost | null;
  /** the request's limit of steps */
  max_steps?: number | null;
  /** null: the server has no blocks, or was not asked */
  memory?: MemoryBlock[] | null;
}

/** Facts about the run changed. */
export interface RunChange {
  op: "run";
  at: number | null;
  set: RunHead;
}

/** A step begins, or more is known about it: one model call and its tools. Steps count from 0. */
export interface StepChange {
  op: "step";
  at: number | null;
  step: number;
  id?: string | null;
  /** server's figures, ms: fetched after the run where the server has them */
  llm_ms?: number | null;
  tool_ms?: number | null;
  step_ms?: number | null;
  input_tokens?: number | null;
  output_tokens?: number | null;
  /** tokens that the model's context window holds */
  context_window?: number | null;
}

/** An entry of the transcript begins. Entries count from 0; `step` is null for the prompt. */
export interface OpenChange {
  op: "open";
  at: number | null;
  entry: number;
  kind: Kind;
  step: number | null;
  /** the wire's message_type, for entries of kind "unknown" */
  message_type?: string;
  /** tool calls */
  name?: string | null;
  call_id?: string | null;
  /** "pending": the run waits for a person to approve the call */
  approval?: "pending" | "approved" | "denied" | null;
}

/**
 * Text arrives for an entry: `text` is appended. For a tool call the text is its arguments, as received.
 *
 * `at`: all of it had arrived by then. `marks` says so in more detail: pairs [at, length, at, length, ...]; the first
 * `length` characters (UTF-16 units, as JavaScript counts) of this piece had arrived by `at`. Lengths are cumulative
 * within the piece; the last equals its length. Neither is there where nothing was timed.
 */
export interface TextChange {
  /** never there: there are more of these than of all other changes, and most bring no more than a word */
  op?: null;
  entry: number;
  text: string;
  at?: number;
  marks?: number[];
}

/** What became known about an entry; a later value replaces an earlier one. */
export interface EntryFacts {
  /** a tool call's name and id, when they come after its first piece */
  name?: string | null;
  call_id?: string | null;
  approval?: "pending" | "approved" | "denied" | null;
  /** when a person answered an approval request, and the reason given to the agent; when the tool could begin then */
  answered?: number | null;
  reason?: string | null;
  started?: number | null;
  /** the tool is a function of the notebook's own kernel */
  here?: boolean;
  /** a tool call's return */
  returned?: number | null;
  result?: string;
  status?: string;
  stdout?: string[];
  stderr?: string[];
  /** "server": the return was never streamed, but fetched after the run */
  return_source?: "client" | "server" | null;
  /** how long the tool ran, ms, and who says so; null with a reason when nobody can */
  duration?: number | null;
  duration_source?: "client" | "server" | null;
  /** true: calls returned together, so `duration` is only an upper bound for each */
  at_most?: boolean;
  /** the entry will not grow any more, though nothing marked its end: the stream was cut */
  cut?: boolean;
  /** a compaction: why, and the tokens in the context window before and after it */
  trigger?: string | null;
  tokens_before?: number | null;
  tokens_after?: number | null;
}

/** Facts about an entry changed. */
export interface EntryChange {
  op: "entry";
  at: number | null;
  entry: number;
  set: EntryFacts;
}

export type Change = RunChange | StepChange | OpenChange | TextChange | EntryChange;

/**
 * Kernel to page, at most one every 33 ms. `seq` counts from 1.
 *
 * It says no more about itself: it must cost little beside its text.
 */
export interface Batch {
  seq: number;
  changes: Change[];
}

/**
 * All changes up to and with batch `seq`, each text in one piece. The state of a late view, and of a frozen one.
 *
 * `now` is the kernel's clock for the run, ms; `speed` how fast that goes, where it is not the time of day (a replay).
 */
export interface Snapshot {
  seq: number;
  now: number | null;
  speed?: number;
  changes: Change[];
}

/** A line of figures over a comparison, as people read them; `strong`: the one that matters most. */
export interface Figure {
  label: string;
  a: string;
  b: string;
  difference: string;
  strong: boolean;
}

/**
 * Aligned steps of two runs, by index; null: there is no such step on that side.
 *
 * The index after a run's last step is the one of which nothing had come when the run broke.
 *
 * `same`: same tools with the same arguments and results; `words` says how the two sides differ, or that they do not.
 * `arguments` and `result`: the JSON keys that differ between their tool calls, "" where the whole does.
 */
export interface Pair {
  a: number | null;
  b: number | null;
  same: boolean;
  words: string;
  difference: string;
  arguments: string[];
  result: string[];
}

/** The first of the pairs that differ, and what each side does in it: `A {a}, B {b}.` is a sentence. */
export interface Divergence {
  pair: number;
  a: string;
  b: string;
}

/** Two runs side by side: the data of a comparison's output. */
export interface Comparison {
  a: Snapshot;
  b: Snapshot;
  figures: Figure[];
  pairs: Pair[];
  divergence: Divergence | null;
}

/** Page to kernel: cancel the run. */
export interface Stop {
  type: "stop";
}

/** Page to kernel: a batch was missed; send the snapshot. */
export interface Resync {
  type: "resync";
  have: number;
}

/** A person's answer to one approval request; `reason` is sent to the agent. */
export interface CallAnswer {
  call_id: string;
  approve: boolean;
  reason: string | null;
}

/** Page to kernel: approve or deny calls. The run goes on when all its pending calls are answered. */
export interface Answer {
  type: "answer";
  answers: CallAnswer[];
}

/**
 * Page to kernel: send what the page does not hold. It is told in a `Told`.
 *
 * "raw": the first lines of the run file (see `record`), without those of which the page has the first `have`: the
 * header, and each event and each further request as it came. "file": the whole run file. "html": the run as a page.
 * "more": the code of `static/more.js`.
 */
export interface Ask {
  type: "ask";
  what: "raw" | "file" | "html" | "more";
  have: number;
}

/**
 * Kernel to page: the answer to an `Ask`. `lines` follow after the first `have`; but for "raw" they are one text.
 *
 * `more`: there are more lines, ask again.
 */
export interface Told {
  what: "raw" | "file" | "html" | "more";
  have: number;
  lines: string[];
  more: boolean;
}

export type ToKernel = Stop | Resync | Answer | Ask;
