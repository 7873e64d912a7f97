"""Where the time of a run went: a lane a step (a lane a call where calls ran side by side), each a row of phases.

A pure function of a Run. The page draws the same from the same words: js/src/phases.ts is its twin, and
tests/fixtures/phases.json holds both to one answer. What nobody measured is `unattributed`, never guessed.

The phases of a step: `wait` from the end of the step before (or the request) to the first token; `reasoning`,
`answer`, `arguments` from a block's own first piece to the next block's first, the last one to the reply's end; `queue`
where a call waits for the rest of the reply; `tool` or `failed` from the reply's end to the return, by the server's
figure where there is one, the rest then `unattributed`; `pending` where a call waits for a person; after the last
token, to the server's stop, `unattributed`. Steps that are delivered whole are one `wait` until they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

from letta_nb.entries import Entry, Source, Step, ToolCallEntry
from letta_nb.run import Run

PhaseKind = Literal["wait", "reasoning", "arguments", "tool", "failed", "pending", "answer", "unattributed", "queue"]
# what a total is told for, in this order; a queue is shown and not counted: other calls' phases cover its time
TOTALS: tuple[PhaseKind, ...] = (
    "wait", "reasoning", "arguments", "tool", "failed", "pending", "answer", "unattributed"
)  # fmt: skip
BLOCKS: dict[str, PhaseKind] = {
    "reasoning": "reasoning",
    "hidden_reasoning": "reasoning",
    "assistant": "answer",
    "tool_call": "arguments",
}


class Phase(NamedTuple):
    """`start` and `end` in ns since the request. `source`: who timed it, None for what nobody did.

    `at_most`: calls returned together, so the phase bounds each of them from above.
    """

    kind: PhaseKind
    start: int
    end: int
    source: Source | None = None
    at_most: bool = False


@dataclass(slots=True)
class Lane:
    """One row of the waterfall. `first`: the step's first lane, which carries its number and its time."""

    step: int
    label: str
    start: int
    end: int
    phases: list[Phase]
    first: bool = True
    entry: int | None = None
    cut: bool = False


@dataclass(slots=True)
class Waterfall:
    """`end`: the length of the time axis in ns. `totals`: ns a kind, overlapping calls counted once, none that is 0.

    `at_most`: the kinds whose total is an upper bound. Nothing at all for a recording without times.
    """

    end: int = 0
    lanes: list[Lane] = field(default_factory=list[Lane])
    totals: dict[PhaseKind, int] = field(default_factory=dict["PhaseKind", int])
    at_most: frozenset[PhaseKind] = frozenset()


def stopped_at(run: Run) -> int | None:
    """When the server said that the run was over; its stop reason, else its usage report, else the stream's end."""
    if run.ended_at is None:
        return None
    if run.stopped_at is not None:
        return run.stopped_at
    reported = run.usage_reports[-1].at if run.usage_reports else None
    return run.ended_at if reported is None else reported


def spans(run: Run, stop: int | None) -> tuple[list[int], list[int]]:
    """Starts and ends of the steps, ns: from the end of the one before to its last event, of the last to `stop`."""
    ends = [step.last_at or 0 for step in run.steps]
    if ends and stop is not None and not settled(run):
        ends[-1] = max(ends[-1], stop)
    firsts = [step.first_at or 0 for step in run.steps]
    return [first if first < end else end for first, end in zip(firsts, [0, *ends], strict=False)], ends


def waterfall(run: Run, now: int | None = None) -> Waterfall:
    """The run's lanes and totals; `now` (ns) is how far a running one has come, by default its last event."""
    if not run.timed:
        return Waterfall()
    stop = stopped_at(run)
    end = run.ended_at
    if end is None:
        end = now if now is not None else (run.log.at[-1] if run.log else 0)
    of_step: list[list[Entry]] = [[] for _ in run.steps]
    for entry in run.entries:
        if entry.step_index is not None:
            of_step[entry.step_index].append(entry)
    lanes: list[Lane] = []
    for step, start, step_end, entries in zip(run.steps, *spans(run, stop), of_step, strict=True):
        draw = _step_lanes if run.delivery == "step" else _token_lanes
        lanes += draw(run, step, entries, start, step_end, end)
    _finish(run, lanes, stop, end)
    return Waterfall(end, lanes, _totals(lanes), frozenset(p.kind for lane in lanes for p in lane.phases if p.at_most))


def settled(run: Run) -> bool:
    """No step is under way and another was awaited: the last one's calls have returned, or it came whole."""
    if run.status in ("completed", "requires_approval"):
        return not run.steps
    if not run.steps or run.delivery == "step":
        return True
    calls = [call for call in run.tool_calls if call.step_index == len(run.steps) - 1]
    return bool(calls) and all(call.has_returned for call in calls)


def _finish(run: Run, lanes: list[Lane], stop: int | None, end: int) -> None:
    """The wait that nothing ended, and the mark of a run that broke."""
    if settled(run):
        last = max((lane.end for lane in lanes), default=0)
        until = max(end if stop is None else stop, last)
        if until > last or not lanes:
            lanes.append(Lane(len(run.steps), "", last, until, [Phase("wait", last, until, "client")]))
    if lanes and run.status in ("failed", "interrupted"):
        lanes[-1].cut = True


def _label(entries: Sequence[Entry]) -> str:
    calls = [entry for entry in entries if isinstance(entry, ToolCallEntry)]
    if calls:
        return calls[0].name or "tool"
    kinds = {entry.kind for entry in entries}
    return "answer" if "assistant" in kinds else "reasoning" if kinds & {"reasoning", "hidden_reasoning"} else ""


# -- a step whose pieces arrived as they were made ---------------------------------------------------------------------


def _token_lanes(run: Run, step: Step, entries: list[Entry], start: int, step_end: int, end: int) -> list[Lane]:
    calls = [entry for entry in entries if isinstance(entry, ToolCallEntry)]
    blocks = [entry for entry in entries if entry.kind in BLOCKS and not entry.extra.get("unseen")]
    blocks.sort(key=lambda entry: entry.first_at or 0)
    reply_end = max((entry.last_at or 0 for entry in blocks), default=start)
    firsts = [entry.first_at or 0 for entry in blocks] + [reply_end]
    # without a block no model was waited for: the request answered an approval, and its tool ran
    wait = [Phase("wait", start, firsts[0], "client")] if blocks else []
    lanes = [Lane(step.index, _label(entries), start, step_end, wait, entry=calls[0].index if calls else None)]
    lanes += [Lane(step.index, call.name or "tool", start, step_end, [], False, call.index) for call in calls[1:]]
    by_call = {lane.entry: lane for lane in lanes}
    for block, (begin, until) in zip(blocks, pairwise(firsts), strict=True):
        by_call.get(block.index, lanes[0]).phases.append(Phase(BLOCKS[block.kind], begin, until, "client"))
    for call in calls:
        phases = by_call[call.index].phases
        phases += _after_call(run, call, calls, phases[-1].end if phases else reply_end, reply_end, end)
    return _close(lanes, step_end)


def _after_call(
    run: Run, call: ToolCallEntry, calls: list[ToolCallEntry], since: int, reply_end: int, end: int
) -> list[Phase]:
    """What came after a call's arguments: the rest of the reply, then the tool, or a person's answer."""
    begin = max(since, reply_end)
    queue = Phase("queue", since, begin)
    if call.has_returned:
        return [queue, *_tool(call, begin, call.returned_at or begin)]
    if call.approval == "pending":
        return [queue, Phase("pending", begin, end, "client")]
    if any(other.approval == "pending" for other in calls):
        return [queue, Phase("queue", begin, end)]
    if run.status == "running":
        return [queue, Phase("tool", begin, end, "client")]
    return [queue]


def _tool(call: ToolCallEntry, begin: int, until: int) -> list[Phase]:
    kind: PhaseKind = "failed" if call.status == "error" else "tool"
    if call.at_most is not None:
        return [Phase(kind, begin, until, "client", at_most=True)]
    if call.duration is None:
        return [Phase("unattributed", begin, until)]
    if call.duration_source == "client":
        return [Phase(kind, begin, until, "client")]
    # the server's figure first, though the wire does not say where in the gap it falls
    done = min(begin + call.duration, until)
    return [Phase(kind, begin, done, "server"), Phase("unattributed", done, until)]


def _close(lanes: list[Lane], step_end: int) -> list[Lane]:
    """Drop what took no time, let each lane end with its last phase, and say that the rest of the step is not known."""
    for lane in lanes:
        lane.phases = [phase for phase in lane.phases if phase.end > phase.start]
    last = max((lane.phases[-1].end for lane in lanes if lane.phases), default=lanes[0].start)
    if step_end > last:
        lanes[0].phases.append(Phase("unattributed", last, step_end))
    for lane in lanes:
        lane.end = lane.phases[-1].end if lane.phases else lane.start
        lane.start = lane.phases[0].start if lane.phases else lane.start
    lanes[0].end = max(lane.end for lane in lanes)
    return lanes


# -- a step that arrived whole -----------------------------------------------------------------------------------------


def _step_lanes(run: Run, step: Step, entries: list[Entry], start: int, step_end: int, end: int) -> list[Lane]:
    calls = [entry for entry in entries if isinstance(entry, ToolCallEntry)]
    arrived = step.last_at or start
    lane = Lane(step.index, _label(entries), start, step_end, _by_server(step, calls, start, arrived))
    pending = [call for call in calls if call.approval == "pending" and not call.has_returned]
    if not pending:
        if len(calls) > 1:
            lane.label += f" +{len(calls) - 1}"
        return _close([lane], step_end)
    lane.entry = calls[0].index
    lanes = [lane] + [Lane(step.index, call.name or "tool", arrived, end, [], False, call.index) for call in calls[1:]]
    for call, its in zip(calls, lanes, strict=True):
        its.phases.append(Phase("pending", arrived, end, "client") if call in pending else Phase("queue", arrived, end))
    return _close(lanes, step_end)


def _by_server(step: Step, calls: list[ToolCallEntry], start: int, arrived: int) -> list[Phase]:
    """The server's own figures of a step that came whole, in the order in which they happen; else one long wait."""
    llm_ns = step.server.get("llm_request_ns")
    if not isinstance(llm_ns, int):
        return [Phase("wait", start, arrived, "client")]
    replied = min(start + llm_ns, arrived)
    phases = [Phase("wait", start, replied, "server")]
    if len(calls) == 1 and calls[0].duration_source == "server":
        return phases + _tool(calls[0], replied, arrived)
    return [*phases, Phase("unattributed", replied, arrived)]


# -- totals ------------------------------------------------------------------------------------------------------------


def _totals(lanes: list[Lane]) -> dict[PhaseKind, int]:
    totals: dict[PhaseKind, int] = {}
    for kind in TOTALS:
        ns = _union([phase for lane in lanes for phase in lane.phases if phase.kind == kind])
        if ns:
            totals[kind] = ns
    return totals


def _union(phases: list[Phase]) -> int:
    total, reach = 0, 0
    for phase in sorted(phases, key=lambda phase: phase.start):
        total += max(phase.end - max(phase.start, reach), 0)
        reach = max(reach, phase.end)
    return total
