"""When the spans of a run began and ended, and who says so.

What was measured by arrival is where it was. What the server measured is as long as it says and put where it can first
have begun; where arrival tells, a model's part does not end before the last of what it said arrived. What nobody
measured ("none") is bounded: a model's part from when it could first be asked to the arrival of all it said, a tool's
from when it could first have begun to the arrival of its return; of a step that came whole both are all of it. Without
a bound it has no length: a call that was denied or never returned, a model that said nothing, and what came of a stored
stream, where it may have waited.
"""

from __future__ import annotations

from typing import NamedTuple

from letta_nb.entries import Step, ToolCallEntry
from letta_nb.phases import BLOCKS
from letta_nb.run import Run
from letta_nb.step_views import StepView
from letta_nb.views import arrival_tells


class Timed(NamedTuple):
    """From when to when, ns since the request, and who measured it: "client", "server" or "none"."""

    start: int
    end: int
    source: str

    @property
    def length(self) -> int:
        return self.end - self.start


class SpanTimes:
    """The times of one run's steps and calls. `steps` is the view of this run alone."""

    def __init__(self, run: Run, steps: StepView) -> None:
        self._run = run
        self._steps = steps
        self._starts, self._ends = steps.spans
        self._said = _said(run)
        stored = [leg.lost_at if leg.lost_at is not None else leg.at or 0 for leg in run.legs if leg.kind == "resume"]
        self._stored_from = min(stored, default=None)

    def chat(self, step: Step) -> Timed:
        """The model's part of a step."""
        start, end, took = self._starts[step.index], self._ends[step.index], self._steps.llm[step.index]
        said = self._said.get(step.index)
        if start is None or end is None or took is None:
            at = step.first_at if step.first_at is not None else start or 0
            return self._bounded(start, said, at)
        if not isinstance(step.server.get("llm_request_ns"), int):
            return Timed(start, start + took, "client")
        # clocks of two machines: the model is not asked for longer than its step took
        took = min(took, max(end - start, 0))
        if said is not None and arrival_tells(self._run) and not self._may_have_waited(said):
            start = max(start, min(said, end) - took)
        return Timed(start, start + took, "server")

    def first_chunk(self, step: Step, chat: Timed) -> int | None:
        """ns from the start of a step's span to its first chunk's arrival; None where it came before that."""
        ttft, start = self._steps.ttft[step.index], self._starts[step.index]
        if ttft is None or start is None or start + ttft < chat.start:
            return None
        return start + ttft - chat.start

    def tool(self, call: ToolCallEntry, chat: Timed) -> Timed:
        """A call's own part; `chat` is the model's part of its step."""
        if call.duration is None:
            known = [at for at in (call.returned_at, call.last_at) if at is not None]
            at = known[0] if known else chat.end
            return self._bounded(self._begun(call, chat), call.returned_at, at)
        if call.duration_source == "client" and call.returned_at is not None:
            return Timed(call.returned_at - call.duration, call.returned_at, "client")
        if self._run.delivery == "step":
            # of a step that came whole the server's figures are all there is: the tool ran after the model
            start = chat.end if chat.source == "server" else (call.returned_at or chat.end) - call.duration
        else:
            start = call.last_at if call.last_at is not None else chat.end
        return Timed(max(start, 0), max(start, 0) + call.duration, str(call.duration_source))

    def _begun(self, call: ToolCallEntry, chat: Timed) -> int | None:
        """When a call can first have begun, None for one that never did."""
        if call.approval == "denied" or call.returned_at is None:
            return None
        if call.at_most is not None:
            return call.returned_at - call.at_most
        asked = [other for other in self._run.tool_calls if other.step_index == call.step_index and other.approval]
        answered = [other.started_at for other in asked if other.started_at is not None]
        if answered:
            return max(answered)
        if self._run.delivery == "step" or "unseen" in call.extra:
            # its arguments came with its return, or never
            started = self._starts[call.step_index] if call.step_index is not None else None
            return chat.end if chat.source == "server" else started
        return call.last_at

    def _may_have_waited(self, at: int) -> bool:
        """Whether what arrived then may have been in a store before."""
        return self._stored_from is not None and at >= self._stored_from

    def _bounded(self, start: int | None, end: int | None, at: int) -> Timed:
        """What nobody measured: from `start` to `end` where these bound it, else at the instant `at`."""
        if start is None or end is None or self._may_have_waited(start):
            return Timed(at, at, "none")
        return Timed(min(start, end), end, "none")


def _said(run: Run) -> dict[int, int]:
    """When the last of what the model said in a step arrived, by the step's index."""
    lasts: dict[int, int] = {}
    for entry in run.entries:
        if entry.kind not in BLOCKS or "unseen" in entry.extra:
            continue
        if entry.step_index is not None and entry.last_at is not None:
            lasts[entry.step_index] = max(entry.last_at, lasts.get(entry.step_index, 0))
    return lasts
