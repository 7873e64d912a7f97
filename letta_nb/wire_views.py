"""Messages and events as rows: what was on the wire, joined and as received."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

import pydantic_core

from letta_nb import words
from letta_nb.entries import Entry, ToolCallEntry
from letta_nb.log import Received
from letta_nb.run import Run
from letta_nb.views import Values, View


class Message(NamedTuple):
    """A joined message as on the wire: a tool's return stands apart from its call."""

    entry: Entry
    message_type: str
    message_id: str | None
    content: str | None
    first_at: int | None
    last_at: int | None


class MessageView(View):
    def rows_of(self, run: Run) -> Sequence[Message]:
        rows: list[Message] = []
        for _, entries in words.groups(run):
            calls = [entry for entry in entries if isinstance(entry, ToolCallEntry)]
            rows += [_message(entry) for entry in entries if not entry.extra.get("unseen")]
            # a step's calls return after its reply, in either era
            rows += [_return(call) for call in calls if call.has_returned]
        return rows

    def tool(self, name: str) -> Values:
        return [getattr(row.entry, name) if isinstance(row.entry, ToolCallEntry) else None for row in self.rows]


def _message(entry: Entry) -> Message:
    content = None if entry.kind == "hidden_reasoning" else entry.text
    return Message(entry, entry.message_type, entry.message_id, content, entry.first_at, entry.last_at)


def _return(call: ToolCallEntry) -> Message:
    at = call.returned_at
    return Message(call, "tool_return_message", call.return_message_id, call.result, at, at)


class EventRow(NamedTuple):
    """An event as received, and the ids in it, as far as it is JSON."""

    received: Received
    message_type: str | None = None
    message_id: str | None = None
    step_id: str | None = None
    seq_id: int | None = None

    @property
    def at(self) -> int | None:
        return self.received.at if self.received.at >= 0 else None


class EventView(View):
    def rows_of(self, run: Run) -> Sequence[EventRow]:
        return [_event_row(received) for received in run.log or ()]

    def gaps(self) -> Values:
        """Time since the event before; of the first, since the request."""
        return self.all_of(lambda _, rows: _gaps([row.at for row in rows]))

    @cached_property
    def step_indexes(self) -> list[int | None]:
        return self.all_of(_step_indexes)


def _gaps(times: list[int | None]) -> list[int | None]:
    return [None if at is None else at - (before or 0) for before, at in zip([0, *times], times, strict=False)]


def _step_indexes(run: Run, rows: Sequence[EventRow]) -> list[int | None]:
    """By step_id, else by the message that the event is a piece of."""
    of_message: dict[str | None, int | None] = {}
    for entry in run.entries:
        of_message[entry.message_id] = entry.step_index
        if isinstance(entry, ToolCallEntry):
            of_message[entry.return_message_id] = entry.step_index
    of_message[None] = None
    of_step = {step.step_id: step.index for step in run.steps if step.step_id}
    return [of_step.get(row.step_id or "", of_message.get(row.message_id)) for row in rows]


def _event_row(received: Received) -> EventRow:
    try:
        value: Any = pydantic_core.from_json(received.data)
    except (ValueError, TypeError):  # TypeError: a lone surrogate, which is no text that JSON could hold
        return EventRow(received)
    if not isinstance(value, dict):
        return EventRow(received)
    event = cast("dict[str, Any]", value)
    kind, message, step, seq = event.get("message_type"), event.get("id"), event.get("step_id"), event.get("seq_id")
    return EventRow(
        received,
        kind if isinstance(kind, str) else None,
        message if isinstance(message, str) else None,
        step if isinstance(step, str) else None,
        seq if type(seq) is int else None,
    )
