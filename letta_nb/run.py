"""A run: one request to an agent and everything that came of it.

No I/O, no clock, no threads: times come in with the events, so that a run made live, loaded from a file and replayed
is the same run. What a person calls on a Run (frames, files, answers) is in `shortcuts`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

from letta_nb import events as ev
from letta_nb import fetched as fetched_facts
from letta_nb import memory, prices
from letta_nb.again import Again
from letta_nb.calls import answers_in
from letta_nb.cleaning import clean
from letta_nb.entries import (
    CallTimes,
    Cancel,
    Change,
    Entry,
    EntryChanged,
    EntryOpened,
    Kind,
    Leg,
    LegKind,
    RunChanged,
    RunError,
    Status,
    Step,
    TextAppended,
    ToolCallEntry,
    TrialFacts,
    Usage,
)
from letta_nb.fold import Fold
from letta_nb.log import EventLog, Received
from letta_nb.shortcuts import Shortcuts
from letta_nb.typed import Events, typed

_COMPLETED = frozenset({"end_turn", "max_steps", "tool_rule"})


class Run(Again, Shortcuts):
    """One request to an agent, as far as it has come.

    `status`: "running", "completed", "requires_approval", "interrupted" (the stream did not end properly),
    "cancelled" or "failed". `entries`: the transcript in order. `text`: what the agent said. `usage`: tokens, None
    where not reported. `events`: everything received. `log`: the same, verbatim, with times in ns since the request.
    `started`: wall clock of the request (UTC). `request`: the body sent, None for a bare recording. `legs`: the
    requests that the run consists of, more than one if it was answered or resumed. `cancellation`: what became of Stop.
    """

    def __init__(
        self,
        request: dict[str, Any] | None = None,
        *,
        started: datetime | None = None,
        agent_id: str | None = None,
        agent_name: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        server: str | None = None,
        conversation_id: str | None = None,
        uid: str | None = None,
        timed: bool = True,
        record: bool = True,
        redacted: bool = False,
        trial: TrialFacts | None = None,
    ) -> None:
        self.uid = uid or uuid.uuid4().hex
        self.request = request
        self.started = started or datetime.now(UTC)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.model = model
        # who is paid for the model, where the agent says so
        self.provider = provider
        self.server = server
        self.conversation_id = conversation_id
        self.timed = timed
        # something of it was replaced by `[redacted]` when it was saved
        self.redacted = redacted
        # it was read from a file that was cut off, or is still being written
        self.partial = False
        # which send of a fan-out it is
        self.trial = trial
        self.log: EventLog | None = EventLog() if record else None
        self.legs = [Leg(index=0, kind=_kind_of(request), at=0 if timed else None, request=request)]
        self.event_count = 0
        self.run_id: str | None = None
        self.status: Status = "running"
        self.stop_reason: str | None = None
        self.error: RunError | None = None
        self.entries: list[Entry] = []
        self.steps: list[Step] = []
        self.usage_reports: list[Usage] = []
        self.delivery: Literal["token", "step"] | None = None
        # which wire the server speaks, once known
        self.era: Literal["seed", "modern"] | None = None
        # when the server said that it was over; the connection may close later
        self.stopped_at: int | None = None
        self.ended_at: int | None = None
        # the connection broke then, and has not been taken up again
        self.lost_at: int | None = None
        self.cancellation: Cancel | None = None
        # one sentence for the reader about how this run was come by
        self.note: str | None = None
        # what the server was asked for afterwards, as it answered
        self.fetched: dict[str, Any] = {}
        # who reads it now, if anyone (see `live`)
        self.live: Any = None
        # the notebook cell (its execution count) that shows the run already
        self.shown_in: int | None = None
        self._fold = Fold(self)
        self._closed = False
        self._prompt()

    def __getstate__(self) -> dict[str, Any]:
        # who reads it stays in this process; what was read goes with a copy
        return {**self.__dict__, "live": None, "shown_in": None}

    # -- what a person reads ------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What the agent said: its assistant messages, one blank line between two."""
        return "\n\n".join(entry.text for entry in self.entries if entry.kind == "assistant" and entry.buffer)

    @property
    def prompt(self) -> str:
        """What the agent was asked: the text of the request's user messages; else those the server told first."""
        asked = [entry for entry in self.entries if entry.kind == "user" and entry.step_index is None]
        sent = [entry for entry in asked if entry.message_id is None]
        return "\n\n".join(entry.text for entry in sent or asked)

    @property
    def events(self) -> Events:
        """Everything received, typed."""
        return Events(self.log if self.log is not None else EventLog())

    @property
    def seq_id(self) -> int | None:
        """The number of the latest event that has one: where the stored stream of a background run goes on."""
        return self._fold.seq_id

    @property
    def usage(self) -> Usage | None:
        """Tokens of the whole run, None when the server reported none; a sum where there were several reports."""
        if len(self.usage_reports) <= 1:
            return self.usage_reports[0] if self.usage_reports else None
        total = Usage(at=self.usage_reports[-1].at)
        for report in self.usage_reports:
            for name, count in report.facts():
                if count is not None:
                    setattr(total, name, count + (getattr(total, name) or 0))
        total.context_tokens = self.usage_reports[-1].context_tokens
        return total

    @property
    def cost(self) -> prices.Cost | None:
        """What the run's tokens cost so far, `usd` by the list prices of `price_date`; None where no price is known."""
        return prices.cost(self)

    @property
    def memory(self) -> list[memory.MemoryBlock] | None:
        """The agent's memory blocks before and after the run, each with its `edits` and the calls that made them.

        None where the server has no blocks, or was not asked: `send` asks, `client.stream` does not.
        """
        return memory.blocks(self.fetched.get("memory"), self.tool_calls)

    @property
    def tool_calls(self) -> list[ToolCallEntry]:
        """The transcript's tool calls, in order, with their returns."""
        return [entry for entry in self.entries if isinstance(entry, ToolCallEntry)]

    @property
    def pending(self) -> list[ToolCallEntry]:
        """The tool calls that wait for an answer: `approve()` or `deny(reason)`."""
        # a run that was stopped or broke asks for nothing; one that met an earlier run's request does
        asks = self.status == "requires_approval" or (self.error is not None and self.error.type == "pending_approval")
        return [call for call in self.tool_calls if call.approval == "pending" and not call.has_returned and asks]

    @property
    def duration(self) -> float | None:
        """Seconds from the request to the end, None while it runs and for a recording without times."""
        return None if self.ended_at is None else self.ended_at / 1e9

    def __repr__(self) -> str:
        # what a server calls its agent must not steer a terminal
        agent = clean(self.agent_name or self.agent_id or "agent")
        calls = len(self.tool_calls)
        parts = [f"{len(self.steps)} step{'s' * (len(self.steps) != 1)}", f"{calls} tool call{'s' * (calls != 1)}"]
        return f"<Run {self.status}: {agent}, {', '.join(parts)}>"

    # -- what arrives -------------------------------------------------------------------------------------------------

    def receive(self, received: Received, event: ev.AnyEvent | None = None) -> tuple[ev.AnyEvent, list[Change]]:
        """Keep one SSE message as it came, and fold it in. Returns the typed event and what it changed.

        `event`: the same, where it has been parsed already.
        """
        if self.log is not None:
            self.log.append(received)
        self.event_count += 1
        if event is None:
            event = typed(received)
        if received.torn and isinstance(event, ev.UnknownEvent):
            return event, []
        return event, self.fold(event, received.at if received.at >= 0 else None)

    def fold(self, event: ev.AnyEvent, at: int | None) -> list[Change]:
        """Join one event; `at` is ns since the request. Returns the changes, in order; [] once the run has ended."""
        return [] if self._closed else self._fold(event, at)

    def begin(
        self,
        kind: LegKind,
        request: dict[str, Any] | None,
        at: int | None,
        *,
        calls: Mapping[str, CallTimes] | None = None,
        lost_at: int | None = None,
    ) -> list[Change]:
        """A further request has been sent: the `answer` to approval requests, or the `resume` of a broken stream.

        An answer sets an ended run going again, as one run. `calls`: what this side knows of the answered calls' times.
        """
        leg = Leg(
            index=len(self.legs),
            kind=kind,
            at=at,
            request=request,
            lost_at=lost_at,
            calls=dict(calls or {}),
            first_event=self.event_count,
            run_id=self.legs[-1].run_id if kind == "resume" else None,
        )
        self.legs.append(leg)
        self.lost_at = None
        if kind == "resume":
            return [*self._fold.begin(leg), RunChanged(at, ("connection",))]
        if self.error is not None and self.error.type == "pending_approval":
            self.note = (
                "The agent did not take this message: it had to be answered about an earlier call. Send it again."
            )
        self.status, self.stop_reason, self.error = "running", None, None
        self.stopped_at = self.ended_at = None
        if self.cancellation is not None and self.cancellation.outcome != "asked":  # a Stop of this very request stays
            self.cancellation = None
        self._closed = False
        names = ("status", "stop_reason", "error", "ended", "cancel", "answers", "note")
        return [*self._fold.begin(leg), RunChanged(at, names)]

    def lose(self, at: int) -> list[Change]:
        """The connection broke, and is being taken up again."""
        self.lost_at = at
        return [RunChanged(at, ("connection",))]

    def decided(self, call: ToolCallEntry, *, approve: bool, reason: str | None, at: int | None) -> list[Change]:
        """A person has answered; it is sent when all calls of the pause are answered."""
        call.approval, call.answered_at, call.reason = "approved" if approve else "denied", at, reason
        return [EntryChanged(at, call)]

    def undecided(self, call: ToolCallEntry, at: int | None) -> list[Change]:
        """The answer could not be sent: the call waits again."""
        call.approval, call.answered_at, call.reason = "pending", None, None
        return [EntryChanged(at, call)]

    def stop_waiting(self, at: int | None) -> list[Change]:
        """A run that waited for an answer was cancelled: the server has denied what it asked."""
        changes: list[Change] = []
        for call in self.tool_calls:
            if call.approval == "pending" or (call.approval == "approved" and not call.has_returned):
                changes += self.decided(call, approve=False, reason=None, at=at)
        self.status, self.stop_reason, self.error = "cancelled", "cancelled", None
        return [*changes, RunChanged(at, ("status", "stop_reason", "error"))]

    def cancel_told(self, cancel: Cancel, at: int | None) -> list[Change]:
        """What became of a person's Stop, so far."""
        self.cancellation = cancel
        return [RunChanged(at, ("cancel",))]

    def end(self, at: int | None, error: RunError | None = None, *, cancelled: bool = False) -> list[Change]:
        """The stream is over: nothing more will come. `error` says how if it broke, `cancelled` if we stopped it.

        Idempotent. What the server said last wins over how the connection closed.
        """
        if self.status != "running":
            return []
        self.ended_at = at
        self.status = self._verdict(cancelled)
        self._closed = True
        if self.status == "interrupted" and self.error is None:
            self.error = error or RunError("stream_ended", "The stream ended before the run did.")
        changes: list[Change] = [EntryChanged(at, entry) for entry in self._cut_short()]
        changes.append(RunChanged(at, ("status", "stop_reason", "error", "ended", "events", "note")))
        return changes

    def fail(self, at: int | None, error: RunError) -> list[Change]:
        """The request itself failed: nothing can come any more."""
        self.error = error
        return self.end(at)

    def end_as(self, status: str, at: int | None, error: RunError | None) -> list[Change]:
        """End as a record says that the run ended; what the events themselves say still comes first."""
        if status == "failed" and error is not None and self.error is None:
            return self.fail(at, error)
        return self.end(at, error, cancelled=status == "cancelled")

    def join_server(self, fetched: Mapping[str, Any], at: int | None = None) -> list[Change]:
        """Join what the server was asked for afterwards (see `fetched`), at the time `at`."""
        for name, answer in fetched.items():
            known = self.fetched.get(name)
            self.fetched[name] = _newest([*known, *answer]) if isinstance(known, list) else answer
        return fetched_facts.join(self, self._fold, fetched, at)

    def _prompt(self) -> None:
        request = self.request or {}
        messages: Any = request.get("messages")
        if isinstance(request.get("input"), (str, list)):
            messages = [{"role": "user", "content": request["input"]}]
        # a body sent by someone else may be anything: what is no message is not shown as one
        for message in cast("list[dict[str, Any]]", messages) if isinstance(messages, list) else []:
            if isinstance(message, dict) and message.get("role") in ("user", "system"):  # pyright: ignore[reportUnnecessaryIsInstance]
                kind: Kind = "user" if message["role"] == "user" else "system"
                entry = self.add_entry(Entry, kind, f"{kind}_message", None, 0 if self.timed else None)
                entry.buffer.append(ev.text_of(message.get("content")))

    def opening(self) -> list[Change]:
        """The changes that say what is known before anything arrives: the request. The first of any replay."""
        names = ("uid", "run_id", "agent", "model", "server", "status", "started", "timed", "delivery", "events")
        names += ("max_steps",) if "max_steps" in (self.request or {}) else ()
        changes: list[Change] = [RunChanged(0 if self.timed else None, names)]
        for entry in self.entries:
            if entry.step_index is None and entry.message_id is None:
                changes.append(EntryOpened(entry.first_at, entry))
                changes.append(TextAppended(entry.first_at, entry, entry.text))
        return changes

    def add_entry(
        self, cls: type[Any], kind: Kind, message_type: str, step: Step | None, at: int | None, **more: Any
    ) -> Any:
        """A new entry at the end of the transcript."""
        entry = cls(
            index=len(self.entries),
            kind=kind,
            message_type=message_type,
            step_index=None if step is None else step.index,
            first_at=at,
            last_at=at,
            **more,
        )
        self.entries.append(entry)
        return entry

    # -- how it ends --------------------------------------------------------------------------------------------------

    def _verdict(self, cancelled: bool) -> Status:
        if self.error is not None:
            return "failed"
        reason = self.stop_reason
        if reason is not None:
            if reason == "requires_approval" or reason == "cancelled":
                return reason
            return "completed" if reason in _COMPLETED else "failed"
        if self._fold.done and self.usage_reports and self.era != "modern":
            return "completed"
        return "cancelled" if cancelled else "interrupted"

    def _cut_short(self) -> list[Entry]:
        """The entries that were still growing when a run did not end well."""
        if self.status in ("completed", "requires_approval") or not self.entries:
            return []
        last = self.entries[-1]
        cut: list[Entry] = [
            call for call in self.tool_calls if not call.settled and call.approval not in ("pending", "denied")
        ]
        if not isinstance(last, ToolCallEntry) and last.kind in ("reasoning", "assistant"):
            cut.append(last)
        for entry in cut:
            entry.cut = True
        return cut


def _kind_of(request: dict[str, Any] | None) -> LegKind:
    """What a first request is: recordings may begin with an answer, or in the middle of a stored stream."""
    if "starting_after" in (request or {}):
        return "resume"
    return "answer" if any(answers_in(request)) else "message"


def _newest(rows: list[Any]) -> list[Any]:
    """What was asked for twice, as it was answered last. Several rows of one answer may share an id, but not a type."""
    return list({(row.get("id"), row.get("message_type"), row.get("otid")): row for row in rows}.values())
