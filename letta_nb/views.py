"""A run as rows of one grain, with what its columns need worked out once. No pandas here: lists, and None for unknown.

`duration_s` of a tool is the server's figure where its step had this one tool, else by arrival where arrival tells it,
else None. `llm_duration_s` by arrival is from the end of the step before (or the request) to the last token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from types import NoneType
from typing import Any, Literal, NamedTuple, cast

import pydantic_core

from letta_nb import phases, words
from letta_nb.entries import Entry, Step, ToolCallEntry, Usage
from letta_nb.run import Run


class Same(NamedTuple):
    """A column whose rows are all alike."""

    value: Any
    times: int


# a column's values for one run, a row each
Values = list[Any] | Same
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class View:
    """A run's rows of one grain; columns read it. Times in rows are ns since the request."""

    def __init__(self, run: Run) -> None:
        self.run = run
        # a resumed stream repeats what was stored: its arrival times say nothing of when it was made
        self.arrival_tells = run.timed and run.delivery == "token" and "starting_after" not in (run.request or {})

    @cached_property
    def rows(self) -> Sequence[Any]:
        """One object a row; this one's only row is the run."""
        return [self.run]

    def same(self, value: Any) -> Same:
        """One value for all rows."""
        return Same(value, len(self.rows))

    @property
    def base(self) -> int:
        """The request's time, ns since 1970."""
        return (self.run.started - _EPOCH) // timedelta(microseconds=1) * 1000

    def id_of_step(self, indexes: Sequence[int | None]) -> Values:
        ids = [step.step_id for step in self.run.steps]
        return [None if index is None else ids[index] for index in indexes]


def as_list(values: Values) -> list[Any]:
    """The values, written out."""
    return [values.value] * values.times if isinstance(values, Same) else values


class StepView(View):
    @cached_property
    def rows(self) -> Sequence[Step]:
        return self.run.steps

    @cached_property
    def nothing(self) -> list[None]:
        return [None] * len(self.rows)

    @cached_property
    def spans(self) -> tuple[Sequence[int | None], Sequence[int | None]]:
        """Starts and ends."""
        if not self.run.timed or not self.rows:
            return self.nothing, self.nothing
        return phases.spans(self.run, phases.stopped_at(self.run))

    @cached_property
    def replies(self) -> tuple[list[int | None], list[int | None]]:
        """First and last token of each step, where arrival tells."""
        firsts: list[int | None] = [None] * len(self.rows)
        lasts: list[int | None] = [None] * len(self.rows)
        for entry in self.run.entries if self.arrival_tells else ():
            index, last = entry.step_index, entry.last_at
            if index is None or last is None or entry.kind not in phases.BLOCKS or "unseen" in entry.extra:
                continue
            known = lasts[index]
            if known is None:
                firsts[index], lasts[index] = entry.first_at, last
            elif last > known:
                lasts[index] = last
        return firsts, lasts

    @cached_property
    def calls(self) -> tuple[list[int], list[ToolCallEntry | None]]:
        """How many calls each step has, and the last of them."""
        counts, calls = [0] * len(self.rows), list[ToolCallEntry | None](self.nothing)
        for entry in self.run.entries:
            if isinstance(entry, ToolCallEntry) and entry.step_index is not None:
                counts[entry.step_index] += 1
                calls[entry.step_index] = entry
        return counts, calls

    @cached_property
    def reports(self) -> list[dict[str, Any]]:
        """What the server reported of each step; [] where it was not asked."""
        reports = [step.server for step in self.rows]
        return reports if any(reports) else []

    def server(self, key: str, kind: type) -> Values:
        """A figure or a word of the server's; what is not of its `kind` is as if it were not there."""
        if not self.reports:
            return self.same(None)
        values = [report.get(key) for report in self.reports]
        if set(map(type, values)) - {kind, NoneType}:
            return [value if type(value) is kind else None for value in values]
        return values

    @cached_property
    def ttft(self) -> Values:
        if not self.arrival_tells:
            return self.same(None)
        rows = zip(self.replies[0], self.spans[0], strict=True)
        return [None if first is None or start is None else first - start for first, start in rows]

    @cached_property
    def llm(self) -> Values:
        by_server = self.server("llm_request_ns", int)
        if not self.arrival_tells:
            return by_server
        rows = zip(as_list(by_server), self.replies[1], self.spans[0], strict=True)
        return [ns if ns is not None or last is None or start is None else last - start for ns, last, start in rows]

    @cached_property
    def tool(self) -> Values:
        counts, calls = self.calls
        return [call.duration if count == 1 and call else None for count, call in zip(counts, calls, strict=True)]

    @property
    def length(self) -> Values:
        starts, ends = self.spans
        return [None if start is None or end is None else end - start for start, end in zip(starts, ends, strict=True)]

    @property
    def sources(self) -> Values:
        """Who timed the model and the tool: the server where either figure is its own."""
        asked = as_list(self.server("llm_request_ns", int))
        told = zip(asked, as_list(self.llm), self.tool, self.calls[1], strict=True)
        return [
            "server"
            if by_server is not None or (tool is not None and call is not None and call.duration_source == "server")
            else None
            if llm is None and tool is None
            else "client"
            for by_server, llm, tool, call in told
        ]

    def error(self, key: Literal["type", "message"]) -> Values:
        """The run's error stands with the step it broke; the server's own rows name their own."""
        values = self.server("error_type", str) if key == "type" else self.same(None)
        if not self.rows or self.run.status != "failed" or self.run.error is None or phases.settled(self.run):
            return values
        *others, last = as_list(values)
        return [*others, last or getattr(self.run.error, key)]


class ToolView(View):
    @cached_property
    def rows(self) -> Sequence[ToolCallEntry]:
        return self.run.tool_calls

    def starts(self) -> Values:
        """When a call was complete, which is when its tool could begin; not where it arrived after the tool had run."""
        if self.run.delivery == "step":
            return self.same(None)
        return [None if "unseen" in call.extra else call.last_at for call in self.rows]

    @cached_property
    def errors(self) -> list[tuple[str | None, str | None]]:
        return [_error_of(call) if call.status == "error" else (None, None) for call in self.rows]


class UsageView(View):
    @cached_property
    def rows(self) -> Sequence[Usage]:
        return self.run.usage_reports


class Message(NamedTuple):
    """A joined message as on the wire: a tool's return stands apart from its call."""

    entry: Entry
    message_type: str
    message_id: str | None
    content: str | None
    first_at: int | None
    last_at: int | None


class MessageView(View):
    @cached_property
    def rows(self) -> Sequence[Message]:
        rows: list[Message] = []
        for _, entries in words.groups(self.run):
            calls = [entry for entry in entries if isinstance(entry, ToolCallEntry)]
            rows += [_message(entry) for entry in entries if not entry.extra.get("unseen")]
            # a step's calls return after its reply, in either era
            rows += [_return(call) for call in calls if call.has_returned]
        return rows

    def tool(self, name: str) -> Values:
        return [getattr(row.entry, name) if isinstance(row.entry, ToolCallEntry) else None for row in self.rows]


class EventRow(NamedTuple):
    """What stands in an event, as far as it is JSON."""

    message_type: str | None
    message_id: str | None
    step_id: str | None
    seq_id: int | None


class EventView(View):
    @cached_property
    def rows(self) -> Sequence[EventRow]:
        return [_event_row(received.data) for received in self.run.log or ()]

    @cached_property
    def at(self) -> list[int | None]:
        return [at if at >= 0 else None for at in (self.run.log.at if self.run.log is not None else ())]

    def gaps(self) -> Values:
        return [None if at is None else at - (before or 0) for before, at in pairwise([0, *self.at])]

    @cached_property
    def step_indexes(self) -> Values:
        of_message: dict[str | None, int | None] = {}
        for entry in self.run.entries:
            of_message[entry.message_id] = entry.step_index
            if isinstance(entry, ToolCallEntry) and entry.return_message_id:
                of_message[entry.return_message_id] = entry.step_index
        of_message[None] = None
        of_step = {step.step_id: step.index for step in self.run.steps if step.step_id}
        return [of_step.get(row.step_id or "", of_message.get(row.message_id)) for row in self.rows]


# -- reading rows ------------------------------------------------------------------------------------------------------

_ERROR = re.compile(r"\[?([A-Z][\w.]*)(?:\]|:)\s+(.*)", re.DOTALL)


def _error_of(call: ToolCallEntry) -> tuple[str | None, str]:
    """`ValueError` and its message; the whole text where it names no type."""
    line = words.error_line(call)
    match = _ERROR.fullmatch(line)
    return (match[1], match[2]) if match else (None, line)


def _message(entry: Entry) -> Message:
    content = None if entry.kind == "hidden_reasoning" else entry.text
    return Message(entry, entry.message_type, entry.message_id, content, entry.first_at, entry.last_at)


def _return(call: ToolCallEntry) -> Message:
    at = call.returned_at
    return Message(call, "tool_return_message", call.return_message_id, call.result, at, at)


def _event_row(data: str) -> EventRow:
    try:
        value: Any = pydantic_core.from_json(data)
    except ValueError:
        return EventRow(None, None, None, None)
    if not isinstance(value, dict):
        return EventRow(None, None, None, None)
    event = cast("dict[str, Any]", value)
    kind, message, step, seq = event.get("message_type"), event.get("id"), event.get("step_id"), event.get("seq_id")
    return EventRow(
        kind if isinstance(kind, str) else None,
        message if isinstance(message, str) else None,
        step if isinstance(step, str) else None,
        seq if type(seq) is int else None,
    )
