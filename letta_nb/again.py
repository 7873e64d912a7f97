"""A Run once more: its history, in order, into another Run. Copies, replays and late pages all go through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from letta_nb.entries import Change, Leg
from letta_nb.log import Received

if TYPE_CHECKING:
    from letta_nb.run import Run


class Again:
    """The part of `Run` that repeats one."""

    @property
    def _run(self) -> Run:
        return cast("Run", self)

    def history(self) -> Iterator[Leg | Received]:
        """Everything in order: each further leg, then the events that came of it."""
        legs = iter(self._run.legs[1:])
        leg = next(legs, None)
        for index, received in enumerate(self._run.log or ()):
            while leg is not None and leg.first_event <= index:
                yield leg
                leg = next(legs, None)
            yield received
        while leg is not None:
            yield leg
            leg = next(legs, None)

    def take(self, item: Leg | Received) -> list[Change]:
        """One item of another run's `history`."""
        if isinstance(item, Received):
            return self._run.receive(item)[1]
        return self._run.begin(item.kind, item.request, item.at, calls=item.calls, lost_at=item.lost_at)

    def follow(self, other: Run) -> list[Change]:
        """All that another run has been, from its beginning; what a page that saw nothing of it has to be told."""
        changes = self._run.opening()
        for item in other.history():
            changes += self._run.take(item)
        return changes + self._run.close_like(other)

    def blank(self, *, record: bool = False) -> Run:
        """The same request with nothing arrived yet: what a replay starts from."""
        from letta_nb.run import Run

        return Run(
            self._run.request,
            started=self._run.started,
            agent_id=self._run.agent_id,
            agent_name=self._run.agent_name,
            model=self._run.model,
            server=self._run.server,
            conversation_id=self._run.conversation_id,
            uid=self._run.uid,
            timed=self._run.timed,
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
        self._run.note = other.note
        changes += self._run.end_as(other.status, other.ended_at, other.error)
        if other.status == "cancelled" and self._run.status == "requires_approval":
            changes += self._run.stop_waiting(other.ended_at)
        return changes + self._run.join_server(other.fetched, self._run.ended_at)
