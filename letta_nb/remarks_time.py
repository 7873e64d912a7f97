"""Remarks on waiting: for the model, for a person, and for what nobody can attribute.

No time is claimed inside steps that were delivered whole, nor of a stored stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from letta_nb import figures, frames, phases
from letta_nb.remarks import LONG, Facts, Note, names_of
from letta_nb.run import Run
from letta_nb.step_views import approval_wait

_GAPS: dict[phases.PhaseKind, str] = {
    "wait": "while the model was waited for",
    "reasoning": "in the middle of the model's reasoning",
    "arguments": "in the middle of a call's arguments",
    "answer": "in the middle of the answer",
}
_GAP_COLUMNS = ("event_index", "message_type", "received_s", "gap_s", "step_index")


def _longest_gap(facts: Facts) -> Iterator[Note]:
    """The longest time without an event that is no tool's own, nor a person's, nor nobody's (told by other rules)."""
    run = facts.run
    if run.log is None or not run.timed or "starting_after" in (run.request or {}):
        return  # when a stored stream arrives says nothing
    for since, until, before, index, pings in sorted(_gaps(run), key=lambda gap: gap[0] - gap[1]):
        ns = until - since
        if ns < LONG or not facts.weighs(ns):
            return
        if index == len(run.log):
            yield _silent_end(facts, ns, before, pings)
            return
        step, phase = _during(facts.fall, since, until)
        if phase is None or phase.kind not in _GAPS:
            continue
        where = f"{_GAPS[phase.kind]} in step {step + 1}"
        if run.delivery == "step" and phase.source != "server":
            where = f"before step {step + 1} came whole"
        nothing = f"Nothing but {figures.plural(pings, 'ping')}" if pings else "Nothing"
        said = f"{nothing} arrived for {figures.time(ns)}{facts.of_run(ns)}, {where}."
        rows = frames.events_df(run).iloc[[index] if before is None else [before, index]]
        yield Note("longest_gap", said, facts.part(ns), "events", rows, _GAP_COLUMNS, stake_s=ns / 1e9)
        return


def _silent_end(facts: Facts, ns: int, last: int | None, pings: int) -> Note:
    """Nothing arrived any more, until the connection closed."""
    waiting = [call for call in facts.calls if not call.has_returned and call.approval is None]
    of = f", with {names_of(waiting)} not returned" if waiting else ""
    nothing = f"nothing but {figures.plural(pings, 'ping')}" if pings else "nothing"
    said = f"At the end {nothing} arrived for {figures.time(ns)}{facts.of_run(ns)}, until the connection closed{of}."
    events = frames.events_df(facts.run)
    return Note("longest_gap", said, facts.part(ns), "events", events.iloc[[last or 0]], _GAP_COLUMNS, stake_s=ns / 1e9)


def _gaps(run: Run) -> Iterator[tuple[int, int, int | None, int, int]]:
    """From when, until when, after which event, until which (or the end), and the pings between; from an answer or a
    resumed connection where one was sent."""
    begins = {leg.first_event: leg.at or 0 for leg in run.legs}
    since, before, pings = 0, None, 0
    for index, received in enumerate(run.log or ()):
        if index in begins:
            since, before, pings = max(since, begins[index]), None, 0
        if '"message_type":"ping"' in received.data[:400].replace('": "', '":"'):
            pings += 1
            continue
        yield since, received.at, before, index, pings
        since, before, pings = received.at, index, 0
    if run.status == "interrupted" and run.log and run.ended_at is not None:
        yield since, run.ended_at, before, len(run.log), pings


def _during(fall: phases.Waterfall, since: int, until: int) -> tuple[int, phases.Phase | None]:
    """The step and the phase that a time mostly was."""
    best: tuple[int, int, phases.Phase | None] = (0, 0, None)
    for lane in fall.lanes:
        for phase in lane.phases:
            covered = min(until, phase.end) - max(since, phase.start)
            if covered > best[0]:
                best = (covered, lane.step, phase)
    return best[1:]


def _approval_wait(facts: Facts) -> Iterator[Note]:
    rows = [index for index, call in enumerate(facts.calls) if approval_wait(call) is not None]
    ns = facts.fall.totals.get("pending", 0)
    if not rows or not facts.weighs(ns):
        return
    names = names_of([facts.calls[index] for index in rows])
    said = f"A person took {figures.patience(ns)}{facts.of_run(ns)}, to answer about {names}."
    shown = ("step_index", "tool_name", "approval", "approval_wait_s")
    yield Note("approval_wait", said, facts.part(ns), "tools", facts.tools.iloc[rows], shown, stake_s=ns / 1e9)


def _unattributed(facts: Facts) -> Iterator[Note]:
    """What nobody timed: between a tool's own time and the next step, and inside steps that came whole."""
    of_step: dict[int, list[phases.Phase]] = {}
    heard = _heard_until(facts.run)
    for lane in facts.fall.lanes:
        found = [phase for phase in lane.phases if phase.kind == "unattributed" and phase.start < heard]
        found = [phase._replace(end=min(phase.end, heard)) for phase in found]
        if found and lane.step < len(facts.run.steps):
            of_step.setdefault(lane.step, []).extend(found)
    spent = {step: _covered(found) for step, found in of_step.items()}
    ns = sum(spent.values())
    if spent and facts.weighs(ns):
        step = max(spent, key=lambda step: spent[step])
        where = (
            f"most of it in step {step + 1} ({figures.time(spent[step])})" if len(spent) > 1 else f"in step {step + 1}"
        )
        said = f"{figures.time(ns)}{facts.of_run(ns)}, that nobody can attribute to the model or a tool, {where}."
        seconds = [spent[step] / 1e9 for step in sorted(spent)]
        rows = facts.steps.iloc[sorted(spent)].assign(unattributed_s=seconds)
        yield _unattributed_note(facts, said, ns, rows, "unattributed_s")
    silent = _silent(facts)
    ns = round(float(silent["duration_s"].fillna(0).sum()) * 1e9)
    if len(silent) and facts.weighs(ns):
        said = f"{figures.plural(len(silent), 'step')} with tools came whole: of {figures.time(ns)}{facts.of_run(ns)}, "
        said += "nobody said what was the model and what the tools."
        yield _unattributed_note(facts, said, ns, silent, "tool_call_count")


def _heard_until(run: Run) -> float:
    """When the last of a broken run arrived: that nothing came any more is told by another rule."""
    if run.status != "interrupted" or run.log is None:
        return math.inf
    return max((since for since, *_ in _gaps(run)), default=math.inf)


def _covered(found: list[phases.Phase]) -> int:
    """The time of phases, what they share counted once."""
    total, reach = 0, 0
    for phase in sorted(found, key=lambda phase: phase.start):
        total += max(phase.end - max(phase.start, reach), 0)
        reach = max(reach, phase.end)
    return total


def _silent(facts: Facts) -> Any:
    """Steps in which tools ran, of whose time neither arrival nor the server tells anything."""
    ran = {call.step_index for call in facts.calls if call.has_returned and facts.run.delivery == "step"}
    asked = {call.step_index for call in facts.calls if call.approval is not None}
    steps = facts.steps.iloc[sorted(step for step in ran - asked if step is not None)]
    return steps[steps["llm_duration_s"].isna() & steps["tool_duration_s"].isna()]


def _unattributed_note(facts: Facts, said: str, ns: int, rows: Any, last: str) -> Note:
    shown = ("step_index", "duration_s", "llm_duration_s", "tool_duration_s", last)
    return Note("unattributed", said, facts.part(ns), "steps", rows, shown, stake_s=ns / 1e9)


RULES: tuple[Callable[[Facts], Iterator[Note]], ...] = (_longest_gap, _approval_wait, _unattributed)
