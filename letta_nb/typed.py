"""A log read as typed events: parsed when they are looked at, because a million at once would cost gigabytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from letta_nb import events as ev
from letta_nb.log import EventLog, Received


def typed(received: Received) -> ev.AnyEvent:
    """The event of one message; what the stream ended inside of is an UnknownEvent."""
    # a half event is no word of the server's, even if it happens to parse
    if received.torn:
        return ev.UnknownEvent(raw=received.data, problem="the stream ended inside this event")
    return ev.parse(received.data, received.event)


class Events(Sequence[ev.AnyEvent]):
    """A run's events, typed, parsed from the log as they are read."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __len__(self) -> int:
        return len(self._log)

    @overload
    def __getitem__(self, index: int) -> ev.AnyEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[ev.AnyEvent]: ...
    def __getitem__(self, index: int | slice) -> ev.AnyEvent | list[ev.AnyEvent]:
        if isinstance(index, slice):
            return [typed(received) for received in self._log[index]]
        return typed(self._log[index])

    def __iter__(self) -> Iterator[ev.AnyEvent]:
        return map(typed, self._log)

    def __repr__(self) -> str:
        return f"<{len(self)} events>"
