"""Where the time of a run went: a lane a step (a lane a call where calls ran side by side), each a row of phases.

A pure function of a Run. The page draws the same from the same words: js/src/phases.ts is its twin, and
tests/fixtures/phases.json holds both to one answer. What nobody measured is `unattributed`, never guessed.

The phases of a step: `wait` from the end of the step before (or the request) to the first token; `reasoning`,
`answer`, `arguments` from a block's own first piece to the next block's first, the last one to the reply's end; `queue`
where a call waits for the rest of the reply, or for the answers to others; `tool` or `failed` from the reply's end to
the return, by the server's figure where there is one, the rest then `unattributed`; `pending` where a call waits for a
person, and then the tool from when it could begin; after the last token, to the server's stop, `unattributed`. Steps
that are delivered whole are one `wait` until they arrive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
    answered = max((leg.at or 0 for leg in run.legs if leg.kind == "answer"), default=0)
    reported = run.usage_reports[-1].at if run.usage_reports else None
    return run.ended_at if reported is None or reported < answered else reported


def spans(run: Run, stop: int | None) -> tuple[list[int], list[int]]:
    """Starts and ends of the steps, ns: from the end of the one before to its last event, of the last to `stop`."""
    starts: list[int] = []
    ends: list[int] = []
    end = 0
    answered = any(isinstance(its, ToolCallEntry) and its.answered_at is not None for its in run.entries)
    lasts = map(_last_of, run.steps, _by_step(run)) if answered else [step.last_at or 0 for step in run.steps]
    for step, last in zip(run.steps, lasts, strict=True):
        first = step.first_at
        starts.append(end if first is None or first > end else first)
        if last > end:
            end = last
        ends.append(end)
    if starts and stop is not None and not settled(run):
        ends[-1] = max(end, stop)
    return starts, ends


def _by_step(run: Run) -> list[list[Entry]]:
    of_step: list[list[Entry]] = [[] for _ in run.steps]
    for entry in run.entries:
        if entry.step_index is not None:
            of_step[entry.step_index].append(entry)
    return of_step


def _calls(entries: Iterable[Entry]) -> list[ToolCallEntry]:
    return [entry for entry in entries if isinstance(entry, ToolCallEntry)]


def _last_of(step: Step, entries: Sequence[Entry]) -> int:
    """When a step was over. After a person's answer it goes on, and then ends with what is known of its calls."""
    calls = _calls(entries)
    if all(call.answered_at is None for call in calls):
        return step.last_at or 0
    known = [entry.last_at for entry in entries]
    known += [at for call in calls for at in (call.answered_at, call.started_at, call.returned_at)]
    return max(at for at in known if at is not None)


def _end(run: Run, now: int | None) -> int:
    """How far the run has come: to its end, or to now; a person who is waited for takes time after the end."""
    if run.ended_at is None:
        return now if now is not None else (run.log.at[-1] if run.log else 0)
    if run.status != "requires_approval":
        return run.ended_at
    known = [at for call in run.tool_calls for at in (call.answered_at, call.started_at, call.returned_at)]
    return max(run.ended_at, now or 0, *(at for at in known if at is not None))


def waterfall(run: Run, now: int | None = None) -> Waterfall:
    """The run's lanes and totals; `now` (ns) is how far one has come that goes on, by default its last event."""
    if not run.timed:
        return Waterfall()
    stop, end = stopped_at(run), _end(run, now)
    lanes: list[Lane] = []
    for step, start, step_end, entries in zip(run.steps, *spans(run, stop), _by_step(run), strict=True):
        draw = _step_lanes if run.delivery == "step" else _token_lanes
        lanes += draw(run, step, entries, start, step_end, end)
    _finish(run, lanes, stop, end)
    # a person may answer a call of a run that had failed long before
    end = max([end, *(lane.end for lane in lanes)])
    return Waterfall(end, lanes, _totals(lanes), frozenset(p.kind for lane in lanes for p in lane.phases if p.at_most))


def settled(run: Run) -> bool:
    """No step is under way and another was awaited: the last one's calls are over, or it came whole."""
    if run.status in ("completed", "requires_approval"):
        return not run.steps
    calls = [call for call in run.tool_calls if call.step_index == len(run.steps) - 1]
    if not run.steps or (run.delivery == "step" and all(call.approval is None for call in calls)):
        return True
    return bool(calls) and all(map(_is_over, calls))


def _is_over(call: ToolCallEntry) -> bool:
    """Denied, or seen to return: when a return came that was fetched later, nobody knows."""
    return call.approval == "denied" or (call.has_returned and call.return_source != "server")


def arriving(run: Run, call: ToolCallEntry) -> bool:
    """More of a call's arguments is awaited: nothing has come after them, and they are not complete."""
    if run.status != "running" or run.delivery == "step" or call.has_returned:
        return False
    return run.entries[-1] is call and not _complete(call.arguments)


def _complete(arguments: str) -> bool:
    if not arguments.rstrip().endswith(("}", "]")):
        return False
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


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
    calls = _calls(entries)
    if calls:
        return calls[0].name or "tool"
    kinds = {entry.kind for entry in entries}
    return "answer" if "assistant" in kinds else "reasoning" if kinds & {"reasoning", "hidden_reasoning"} else ""


# -- a step whose pieces arrived as they were made ---------------------------------------------------------------------


def _token_lanes(run: Run, step: Step, entries: list[Entry], start: int, step_end: int, end: int) -> list[Lane]:
    calls, blocks = _calls(entries), _blocks(entries)
    blocks.sort(key=lambda entry: entry.first_at or 0)
    reply_end = max((entry.last_at or 0 for entry in blocks), default=start)
    if any(arriving(run, call) for call in calls):
        reply_end = max(reply_end, end)
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


def _blocks(entries: Sequence[Entry]) -> list[Entry]:
    """What the model said, as it was streamed: not what was fetched, nor calls that only their return told of."""
    return [
        entry
        for entry in entries
        if entry.kind in BLOCKS and entry.first_at is not None and not entry.extra.get("unseen")
    ]


def _after_call(
    run: Run, call: ToolCallEntry, calls: list[ToolCallEntry], since: int, reply_end: int, end: int
) -> list[Phase]:
    """What came after a call's arguments: the rest of the reply, a person's answers, then the tool."""
    begin = max(since, reply_end)
    phases = [Phase("queue", since, begin)]
    if _waits(call):
        return [*phases, Phase("pending", begin, end, "client")]
    if call.answered_at is not None:
        phases.append(Phase("pending", begin, call.answered_at, "client"))
        begin = max(begin, call.answered_at)
    if call.approval == "denied":
        return phases
    start = _start(run, call, calls, begin)
    if start is None:
        going = run.status in ("running", "requires_approval")
        return [*phases, Phase("queue", begin, end)] if going else phases
    # the answers of one reply are sent together, and functions of this kernel run one after the other
    phases.append(Phase("queue", begin, start))
    if call.has_returned:
        return phases + _tool(call, start, call.returned_at or start)
    return [*phases, Phase("tool", start, end, "client")]


def _waits(call: ToolCallEntry) -> bool:
    return call.approval == "pending" and not call.has_returned


def _start(run: Run, call: ToolCallEntry, calls: list[ToolCallEntry], begin: int) -> int | None:
    """When a call's tool could begin, None if it has not."""
    asked = [other for other in calls if other.approval is not None]
    at = call.started_at
    if asked and call.approval is None:
        # it needs no approval, but its server goes on when the others are answered, and functions of this kernel done
        gates = [
            at
            for other in asked
            for at in (other.answered_at, other.started_at, other.returned_at if other.here else None)
        ]
        at = max((gate for gate in gates if gate is not None), default=None)
    if call.has_returned:
        return begin if at is None else max(begin, min(at, call.returned_at or at))
    if call.here and at is not None and run.status in ("running", "requires_approval"):
        return max(begin, at)
    if run.status != "running" or any(map(_waits, asked)):
        return None
    return max(begin, at or 0)


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
    calls = _calls(entries)
    if any(_waits(call) or call.answered_at is not None or call.started_at is not None for call in calls):
        return _asked_lanes(run, step, entries, start, step_end, end)
    lane = Lane(step.index, _label(entries), start, step_end, _by_server(step, calls, start, step.last_at or start))
    if len(calls) > 1:
        lane.label += f" +{len(calls) - 1}"
    return _close([lane], step_end)


def _asked_lanes(run: Run, step: Step, entries: list[Entry], start: int, step_end: int, end: int) -> list[Lane]:
    """The step came whole up to a person's answer; then each call has a lane of its own."""
    calls = _calls(entries)
    arrived = max((entry.last_at or start for entry in _blocks(entries)), default=start)
    head = Lane(
        step.index, _label(entries), start, step_end, _by_server(step, [], start, arrived), entry=calls[0].index
    )
    lanes = [head] + [Lane(step.index, call.name or "tool", arrived, end, [], False, call.index) for call in calls[1:]]
    for call, lane in zip(calls, lanes, strict=True):
        lane.phases += _after_call(run, call, calls, arrived, arrived, end)
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
