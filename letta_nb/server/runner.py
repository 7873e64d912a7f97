"""One run: its events to its readers, its record, and its end, whatever that is."""

from __future__ import annotations

import asyncio

from pydantic_ai.exceptions import RunCancelled

from letta_nb.server import wire
from letta_nb.server.approvals import Approvals
from letta_nb.server.failures import Failure, describe
from letta_nb.server.feed import CANCELLED, DONE, Feed
from letta_nb.server.memory import Memory
from letta_nb.server.records import RunRecord
from letta_nb.server.steps import Steps, Turn
from letta_nb.server.transcript import Transcript
from letta_nb.server.wire import Event

_CUT = Failure(
    "error",
    "stream_task_cancelled",
    "Background stream processing was interrupted before completion. Please retry.",
    None,
)


class Run:
    """One request to an agent, being answered. It goes on whether or not anyone reads its feed."""

    def __init__(
        self,
        turn: Turn,
        record: RunRecord,
        feed: Feed,
        transcript: Transcript,
        approvals: Approvals,
        memory: Memory,
    ) -> None:
        self.id = record.id
        self.thread = turn.thread
        self.background = turn.request.background
        self.feed = feed
        self.record = record
        self.error: Exception | None = None
        self._wanted = turn.request.include_return_message_types
        self._told = False
        self._seed = turn.seed
        self._steps = Steps(turn, record, transcript, approvals, memory, self._tell)
        if turn.request.include_pings:
            self.feed.tell(wire.ping(self.id))

    async def execute(self) -> None:
        """Run the agent to its end, whatever that is."""
        try:
            stop_reason = await self._steps.drive()
        except (RunCancelled, asyncio.CancelledError):
            self.cancel()
            self._steps.keep_partial_reply()
        except Exception as error:
            self.error = error
            self._fail(describe(error, after_events=self._told))
        else:
            self.record.finish(stop_reason)
            self.feed.tell(wire.stop_reason(stop_reason))
            self.feed.tell(self.record.usage_statistics())
            self.feed.put(DONE)
        self.feed.close()

    def cancel(self) -> None:
        """End the run for its readers at once; what it is doing winds down behind their backs."""
        self.record.finish("cancelled")
        if not self._seed:
            self.feed.put(CANCELLED)
        if self.background:
            self.feed.put(DONE)
        self.feed.close()
        self._steps.cancel()

    def cut(self) -> None:
        """End the run because the server ends: who reads a background run again must hear that it failed."""
        if self.background:
            self._fail(_CUT)
            self.feed.close()
        self.cancel()

    def _fail(self, failure: Failure) -> None:
        self.record.finish(failure.stop_reason, failure.detail or failure.message)
        tell_failure(self.feed, self.id, failure)
        # a background run's readers stop at the error; the seed era ended every stream with this
        if (not self._told and not self.background) or self._seed:
            self.feed.put(DONE)

    def _tell(self, event: Event) -> None:
        self._told = True
        self.record.first_event()
        if self._wanted is None or event["message_type"] in self._wanted:
            self.feed.tell(event)


def tell_failure(feed: Feed, run_id: str, failure: Failure) -> None:
    """The frames that a failed run ends with."""
    feed.tell(wire.stop_reason(failure.stop_reason))
    feed.tell(wire.error_message(run_id, *failure[1:]), "error")


def tell_cut(feed: Feed, run_id: str) -> None:
    """The end of a background run that a dead server left without one."""
    tell_failure(feed, run_id, _CUT)
    feed.close()
