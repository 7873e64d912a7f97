"""The browser's words: what the kernel tells a page, and what a page may ask. TypeScript types are generated from here.

The page knows nothing of Letta. It holds a list of changes, in order of time, and draws what they add up to; a moment
in the past is the same list applied up to that moment. A live widget gets the list in numbered batches, a late view in
one snapshot, a frozen output as data inside its HTML: the same words in all three.

Times (`at`, `marks`) are milliseconds since the request was sent, by the clock of the process that read the stream,
or null throughout (`RunHead.timed` false) for a recording without arrival times.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Status = Literal["running", "completed", "requires_approval", "interrupted", "cancelled", "failed"]
Kind = Literal[
    "user", "system", "reasoning", "hidden_reasoning", "assistant", "tool_call", "summary", "compaction", "unknown"
]


class Usage(TypedDict):
    """Tokens as reported; null is "not reported"."""

    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    reasoning_output_tokens: int | None
    context_tokens: int | None
    step_count: int | None


class ErrorInfo(TypedDict):
    """Why a run did not end well: the type, one sentence, and the server's own words where it gave any."""

    type: str
    message: str
    detail: str | None


class CancelInfo(TypedDict):
    """What became of a person's Stop, asked at `asked` (ms).

    "asked": no answer yet. "cancelled": the server has stopped the run. "nothing": it had nothing to stop.
    "unsupported": it cannot stop runs, so only the connection was closed. "refused": it said no, in `words`.
    "unheard": no answer came.
    """

    asked: float | None
    outcome: Literal["asked", "cancelled", "nothing", "unsupported", "refused", "unheard"]
    words: str | None


class ConnectionInfo(TypedDict):
    """The stream's connection broke at `lost` (ms) and was taken up again at `back`, null as long as it is not.

    `times`: how often that happened so far; `lost` and `back` are of the last time.
    """

    lost: float | None
    back: float | None
    times: int


class Say(TypedDict):
    """What is said under the header, when something needs saying.

    A sentence; more about it; the server's own words; what the reader can do, with what they would type between
    backticks. `dim`: a note, and no news.
    """

    sentence: str
    more: str
    words: str
    way: str
    dim: bool


class Cost(TypedDict):
    """What the tokens cost, by the provider's list price on `price_date` (ISO 8601)."""

    usd: float
    price_date: str | None


class MemoryEdit(TypedDict):
    """The text of a memory block after an edit by the tool call `entry`; null: changed by none of the run's calls."""

    entry: int | None
    text: str | None


class MemoryBlock(TypedDict):
    """A block of the agent's memory before and after the run; null where it did not exist.

    `edits` lead from `before` to `after`, in order; the last one's text is `after`. Empty: nothing changed.
    """

    label: str
    limit: int | None
    before: str | None
    after: str | None
    edits: list[MemoryEdit]


class RunHead(TypedDict, total=False):
    """Facts about the whole run; a later value replaces an earlier one."""

    uid: str
    run_id: str | None
    agent: str | None
    model: str | None
    server: str | None
    status: Status
    stop_reason: str | None
    error: ErrorInfo | None
    # wall clock of the request, ISO 8601 UTC
    started: str
    # when the run ended, ms; null while it runs or if nothing was timed
    ended: float | None
    # false: a recording without arrival times; every `at` is null
    timed: bool
    # "step": this server delivers each step whole, so arrival times say nothing about what happened inside it
    delivery: Literal["token", "step"] | None
    events: int
    usage: Usage | None
    # how often a person's answer to approval requests continued the run
    answers: int
    cancel: CancelInfo | None
    connection: ConnectionInfo | None
    # null: there is nothing to say
    say: Say | None
    # null: no price is known
    cost: Cost | None
    # the request's limit of steps
    max_steps: int | None
    # null: the server has no blocks, or was not asked
    memory: list[MemoryBlock] | None


class RunChange(TypedDict):
    """Facts about the run changed."""

    op: Literal["run"]
    at: float | None
    set: RunHead


class StepChange(TypedDict):
    """A step begins, or more is known about it: one model call and its tools. Steps count from 0."""

    op: Literal["step"]
    at: float | None
    step: int
    id: NotRequired[str | None]
    # server's figures, ms: fetched after the run where the server has them
    llm_ms: NotRequired[float | None]
    tool_ms: NotRequired[float | None]
    step_ms: NotRequired[float | None]
    input_tokens: NotRequired[int | None]
    output_tokens: NotRequired[int | None]
    # tokens that the model's context window holds
    context_window: NotRequired[int | None]


class OpenChange(TypedDict):
    """An entry of the transcript begins. Entries count from 0; `step` is null for the prompt."""

    op: Literal["open"]
    at: float | None
    entry: int
    kind: Kind
    step: int | None
    # the wire's message_type, for entries of kind "unknown"
    message_type: NotRequired[str]
    # tool calls
    name: NotRequired[str | None]
    call_id: NotRequired[str | None]
    # "pending": the run waits for a person to approve the call
    approval: NotRequired[Literal["pending", "approved", "denied"] | None]


class TextChange(TypedDict):
    """Text arrives for an entry: `text` is appended. For a tool call the text is its arguments, as received.

    `at`: all of it had arrived by then. `marks` says so in more detail: pairs [at, length, at, length, ...]; the first
    `length` characters (UTF-16 units, as JavaScript counts) of this piece had arrived by `at`. Lengths are cumulative
    within the piece; the last equals its length. Neither is there where nothing was timed.
    """

    # never there: there are more of these than of all other changes, and most bring no more than a word
    op: NotRequired[None]
    entry: int
    text: str
    at: NotRequired[float]
    marks: NotRequired[list[float]]


class EntryFacts(TypedDict, total=False):
    """What became known about an entry; a later value replaces an earlier one."""

    # a tool call's name and id, when they come after its first piece
    name: str | None
    call_id: str | None
    approval: Literal["pending", "approved", "denied"] | None
    # when a person answered an approval request, and the reason given to the agent; when the tool could begin then
    answered: float | None
    reason: str | None
    started: float | None
    # the tool is a function of the notebook's own kernel
    here: bool
    # a tool call's return
    returned: float | None
    result: str
    status: str
    stdout: list[str]
    stderr: list[str]
    # "server": the return was never streamed, but fetched after the run
    return_source: Literal["client", "server"] | None
    # how long the tool ran, ms, and who says so; null with a reason when nobody can
    duration: float | None
    duration_source: Literal["client", "server"] | None
    # true: calls returned together, so `duration` is only an upper bound for each
    at_most: bool
    # the entry will not grow any more, though nothing marked its end: the stream was cut
    cut: bool
    # a compaction: why, and the tokens in the context window before and after it
    trigger: str | None
    tokens_before: int | None
    tokens_after: int | None


class EntryChange(TypedDict):
    """Facts about an entry changed."""

    op: Literal["entry"]
    at: float | None
    entry: int
    set: EntryFacts


Change = RunChange | StepChange | OpenChange | TextChange | EntryChange


class Batch(TypedDict):
    """Kernel to page, at most one every 33 ms. `seq` counts from 1.

    It says no more about itself: it must cost little beside its text.
    """

    seq: int
    changes: list[Change]


class Snapshot(TypedDict):
    """All changes up to and with batch `seq`, each text in one piece. The state of a late view, and of a frozen one.

    `now` is the kernel's clock for the run, ms; `speed` how fast that goes, where it is not the time of day (a replay).
    """

    seq: int
    now: float | None
    speed: NotRequired[float]
    changes: list[Change]


class Figure(TypedDict):
    """A line of figures over a comparison, as people read them; `strong`: the one that matters most."""

    label: str
    a: str
    b: str
    difference: str
    strong: bool


class Pair(TypedDict):
    """Aligned steps of two runs, by index; null: there is no such step on that side.

    The index after a run's last step is the one of which nothing had come when the run broke.

    `same`: same tools with the same arguments and results; `words` says how the two sides differ, or that they do not.
    `arguments` and `result`: the JSON keys that differ between their tool calls, "" where the whole does.
    """

    a: int | None
    b: int | None
    same: bool
    words: str
    difference: str
    arguments: list[str]
    result: list[str]


class Divergence(TypedDict):
    """The first of the pairs that differ, and what each side does in it: `A {a}, B {b}.` is a sentence."""

    pair: int
    a: str
    b: str


class Comparison(TypedDict):
    """Two runs side by side: the data of a comparison's output."""

    a: Snapshot
    b: Snapshot
    figures: list[Figure]
    pairs: list[Pair]
    divergence: Divergence | None


class Stop(TypedDict):
    """Page to kernel: cancel the run."""

    type: Literal["stop"]


class Resync(TypedDict):
    """Page to kernel: a batch was missed; send the snapshot."""

    type: Literal["resync"]
    have: int


class CallAnswer(TypedDict):
    """A person's answer to one approval request; `reason` is sent to the agent."""

    call_id: str
    approve: bool
    reason: str | None


class Answer(TypedDict):
    """Page to kernel: approve or deny calls. The run goes on when all its pending calls are answered."""

    type: Literal["answer"]
    answers: list[CallAnswer]


class Ask(TypedDict):
    """Page to kernel: send what the page does not hold. It is told in a `Told`.

    "raw": the first lines of the run file (see `record`), without those of which the page has the first `have`: the
    header, and each event and each further request as it came. "file": the whole run file. "html": the run as a page.
    "more": the code of `static/more.js`.
    """

    type: Literal["ask"]
    what: Literal["raw", "file", "html", "more"]
    have: int


class Told(TypedDict):
    """Kernel to page: the answer to an `Ask`. `lines` follow after the first `have`; but for "raw" they are one text.

    `more`: there are more lines, ask again.
    """

    what: Literal["raw", "file", "html", "more"]
    have: int
    lines: list[str]
    more: bool


ToKernel = Stop | Resync | Answer | Ask
