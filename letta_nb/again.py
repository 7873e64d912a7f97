"""A Run once more: its history, in order, into another Run. Copies, replays and late pages all go through it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, cast

from letta_nb.entries import Change, Leg, RunChanged
from letta_nb.log import Received

if TYPE_CHECKING:
    from letta_nb.run import Run


class Again:
    """The part of `Run` that repeats one."""

    @property
    def _run(self) -> Run:
        return cast("Run", self)

    def history(self, skip: int = 0) -> Iterator[Leg | Received]:
        """All that is here now, in order: each further leg, then the events that came of it. Not the first `skip`.

        Another thread may go on adding: what is added stands behind, so that nothing is missed or told twice.
        """
        log = self._run.log
        # counted before the legs: one that begins from now on stands behind the events that are still to come
        count = self._run.event_count if log is None else len(log)
        legs = [leg for leg in self._run.legs[1:] if leg.first_event <= count]
        told = sum(leg.first_event + number < skip for number, leg in enumerate(legs))
        index = skip - told
        events = iter(()) if log is None else islice(log.since(index), max(count - index, 0))
        for leg in legs[told:]:
            yield from islice(events, leg.first_event - index)
            yield leg
            index = leg.first_event
        yield from events

    def take(self, item: Leg | Received) -> list[Change]:
        """One item of another run's `history`."""
        if isinstance(item, Received):
            return self._run.receive(item)[1]
        return self._run.begin(item.kind, item.request, item.at, calls=item.calls, lost_at=item.lost_at)

    def follow(self, other: Run) -> Iterator[list[Change]]:
        """All that another run has been, from its beginning; what a page that saw nothing of it has to be told.

        In parts, each to be told before the next is made: a change points at what goes on changing.
        """
        yield self._run.opening()
        for item in other.history():
            yield self._run.take(item)
        yield self._run.close_like(other)

    def blank(self, *, record: bool = False) -> Run:
        """The same request with nothing arrived yet: what a replay starts from."""
        from letta_nb.run import Run

        return Run(
            self._run.request,
            started=self._run.started,
            agent_id=self._run.agent_id,
            agent_name=self._run.agent_name,
            model=self._run.model,
            provider=self._run.provider,
            server=self._run.server,
            conversation_id=self._run.conversation_id,
            uid=self._run.uid,
            timed=self._run.timed,
            redacted=self._run.redacted,
            trial=self._run.trial,
            record=record,
        )

    def still(self) -> Run:
        """The run as it stands: itself once it has ended, else a copy that no other thread goes on changing."""
        if self._run.status != "running" or self._run.log is None:
            return self._run
        copy = self._run.blank(record=True)
        for item in self._run.history():
            copy.take(item)
        return copy

    def close_like(self, other: Run) -> list[Change]:
        """End a replay as `other` ended, with what its server told afterwards."""
        changes: list[Change] = []
        for mine, theirs in zip(self._run.tool_calls, other.tool_calls, strict=False):
            if mine.approval == "pending" and theirs.approval in ("approved", "denied"):  # and not sent yet
                approve = theirs.approval == "approved"
                changes += self._run.decided(mine, approve=approve, reason=theirs.reason, at=theirs.answered_at)
        if other.cancellation is not None:
            changes += self._run.cancel_told(other.cancellation, other.cancellation.asked_at)
        if other.status == "running":
            return changes
        if other.note != self._run.note:
            self._run.note = other.note
            changes.append(RunChanged(other.ended_at, ("note",)))
        changes += self._run.end_as(other.status, other.ended_at, other.error)
        if other.status == "cancelled" and self._run.status == "requires_approval":
            changes += self._run.stop_waiting(other.ended_at)
        return changes + self._run.join_server(other.fetched, self._run.ended_at)
