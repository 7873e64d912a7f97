"""What a run consists of, joined: entries of the transcript, steps, usage reports; and the changes that build them up.

Times are integers, ns since the request was sent, or None for a recording without arrival times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from letta_nb.cleaning import clean

Status = Literal["running", "completed", "requires_approval", "interrupted", "cancelled", "failed"]
Kind = Literal[
    "user", "system", "reasoning", "hidden_reasoning", "assistant", "tool_call", "summary", "compaction", "unknown"
]
Approval = Literal["pending", "approved", "denied"]
LegKind = Literal["message", "answer", "resume"]
# what became of a person's Stop: not answered yet; done; nothing was running; this server cannot; it said no; no answer
CancelOutcome = Literal["asked", "cancelled", "nothing", "unsupported", "refused", "unheard"]
Source = Literal["client", "server"]
# characters of a call's arguments in its repr
_SHOWN = 60


class Buffer:
    """Text that arrives in pieces: kept apart and joined when it is read, because `text += delta` is quadratic.

    Every 512 pieces become one, so that a million tokens cost their text and not a million objects. One thread may
    append while others read: reading changes nothing, and what it reads is swapped in one assignment.
    """

    __slots__ = ("_state",)

    def __init__(self, text: str = "") -> None:
        self._state: tuple[tuple[str, ...], list[str]] = ((text,) if text else (), [])

    def append(self, text: str) -> None:
        parts, tail = self._state
        tail.append(text)
        if len(tail) == 512:
            self._state = ((*parts, "".join(tail)), [])

    def __str__(self) -> str:
        parts, tail = self._state
        return "".join((*parts, *tail))

    def __bool__(self) -> bool:
        parts, tail = self._state
        return any(parts) or any(tail)


@dataclass(slots=True, kw_only=True)
class Entry:
    """One block of the transcript: a prompt, reasoning, an answer, a tool call with its return, or a note.

    `message_type`, `message_id`, `otid` and `name` are the wire's; `extra` holds what only some kinds have.
    """

    index: int
    kind: Kind
    message_type: str
    step_index: int | None = None
    message_id: str | None = None
    otid: str | None = None
    name: str | None = None
    first_at: int | None = None
    last_at: int | None = None
    cut: bool = False
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    buffer: Buffer = field(default_factory=Buffer, repr=False)

    @property
    def text(self) -> str:
        """The whole text so far; for a tool call, its arguments as received."""
        return str(self.buffer)


@dataclass(slots=True, kw_only=True, repr=False)
class ToolCallEntry(Entry):
    """A tool call and its return: `returned_at` is None until there is one.

    `arguments` is the text as received, valid JSON or not. `status` is "success" or "error" as the server says.
    `duration` (ns) and `duration_source`: by the server's metrics where the step had this one tool, else by arrival
    where the wire supports it, else None. `at_most` (ns) bounds a call that returned together with others.

    A call that needs an approval is `approval` "pending" until a person answers it at `answered_at`, with a `reason` or
    none; `started_at` is when it could begin then. `answered_elsewhere`: another run answered it, and hears of its
    return. `here`: it is a function of this kernel. `return_source`: "server" if the return was never streamed, but
    fetched after the run.
    """

    tool_call_id: str | None = None
    approval: Approval | None = None
    answered_at: int | None = None
    reason: str | None = None
    started_at: int | None = None
    answered_elsewhere: bool = False
    here: bool = False
    returned_at: int | None = None
    has_returned: bool = False
    result: str | None = None
    status: str | None = None
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    return_message_id: str | None = None
    return_source: Source | None = None
    duration: int | None = None
    duration_source: Source | None = None
    at_most: int | None = None

    @property
    def arguments(self) -> str:
        return str(self.buffer)

    @property
    def settled(self) -> bool:
        """This run waits for nothing more of it: it has returned, or another run hears of it."""
        return self.has_returned or self.answered_elsewhere

    def __repr__(self) -> str:
        """`<rent_bike({"city": "Oslo"}) call-1, pending>`: what a list of calls is read by."""
        arguments = " ".join(self.arguments[: 4 * _SHOWN].split())
        if len(arguments) > _SHOWN:
            arguments = f"{arguments[: _SHOWN - 1]}…"
        told = f"{self.name or 'tool'}({arguments}) {self.tool_call_id or ''}".rstrip()
        state = self.status if self.has_returned else self.approval
        return clean(f"<{told}, {state}>" if state else f"<{told}>")


@dataclass(slots=True, kw_only=True)
class Step:
    """One model call and its tools. `server` holds the server's own row and metrics of the step, once fetched."""

    index: int
    step_id: str | None = None
    reply_id: str | None = None
    first_at: int | None = None
    last_at: int | None = None
    server: dict[str, Any] = field(default_factory=dict[str, Any])


class Compaction(NamedTuple):
    """Why a context window was compacted, and the tokens in it before and after; None is "not reported"."""

    trigger: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None


def compaction_of(entry: Entry) -> Compaction:
    """What a compaction's note or its summary tells, each by names of its own."""
    told: Any = entry.extra.get("facts")
    facts = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    trigger = facts.get("trigger")
    before = count(facts.get("context_tokens_before", facts.get("context_token_estimate")))
    return Compaction(trigger if isinstance(trigger, str) else None, before, count(facts.get("context_tokens_after")))


def count(value: object) -> int | None:
    """A server's figure; one that no server can have counted is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else None


class CallTimes(NamedTuple):
    """When a call was answered, began to run and was done, ns since the run's request, as far as this side knows."""

    answered_at: int | None = None
    started_at: int | None = None
    returned_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Leg:
    """One request of a run, and what came of it: a `message`, the `answer` to approval requests, or the `resume` of a
    stream whose connection broke at `lost_at`.

    `at`: when it was sent, ns since the run's first request. `request`: its body. `calls`: by tool_call_id, when the
    calls that it answers were answered and, if they are functions of this kernel, run. `first_event`: how many events
    had come before. `run_id`: the server's; each message and each answer has its own.
    """

    index: int
    kind: LegKind
    at: int | None
    request: dict[str, Any] | None = None
    lost_at: int | None = None
    calls: dict[str, CallTimes] = field(default_factory=dict[str, CallTimes])
    first_event: int = 0
    run_id: str | None = None


class TrialFacts(NamedTuple):
    """Which send of a fan-out a run is: `fan_out` is an id of all of them, `number` its place among them.

    `request_model` is what was asked for, the agent's own where nothing was; `repeat` counts from 0.
    """

    fan_out: str
    number: int
    request_model: str | None
    repeat: int


@dataclass(slots=True, kw_only=True)
class Cancel:
    """A person's Stop: when the server was asked, what became of it, and the server's words about it."""

    asked_at: int | None
    outcome: CancelOutcome = "asked"
    words: str | None = None


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens as reported; None is "not reported". Anthropic counts cache reads and writes in `input_tokens`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    context_tokens: int | None = None
    step_count: int | None = None
    at: int | None = None

    def facts(self) -> Iterator[tuple[str, int | None]]:
        """Name and figure of each count, without the time of the report."""
        return ((name, getattr(self, name)) for name in USAGE_NAMES)


USAGE_NAMES = tuple(name for name in Usage.__slots__ if name != "at")


@dataclass(slots=True)
class RunError:
    """Why a run did not end well: a type, one sentence, and the server's own words where it gave any."""

    type: str
    message: str
    detail: str | None = None


class RunChanged(NamedTuple):
    """Facts about the run changed; read them off the Run."""

    at: int | None
    names: tuple[str, ...]


class StepChanged(NamedTuple):
    """A step began, or more is known about it."""

    at: int | None
    step: Step


class EntryOpened(NamedTuple):
    """An entry began."""

    at: int | None
    entry: Entry


class TextAppended(NamedTuple):
    """Text arrived for an entry."""

    at: int | None
    entry: Entry
    text: str


class EntryChanged(NamedTuple):
    """Facts about an entry changed."""

    at: int | None
    entry: Entry


Change = RunChanged | StepChanged | EntryOpened | TextAppended | EntryChanged
