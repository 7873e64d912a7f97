"""The figures of two runs beside each other, as people read them: times, steps, tokens, cost, and what B has more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from letta_nb import figures, phases, words
from letta_nb.align import Side, line
from letta_nb.entries import Usage
from letta_nb.run import Run

NOT_REPORTED = "not reported"
_ASKED = 160
# ns: what would read "0.0 ms"
_LEAST = 50_000
_TOTALS: tuple[tuple[phases.PhaseKind, str], ...] = (
    ("tool", "Tools"),
    ("failed", "Failed tool"),
    ("wait", "Waiting"),
    ("pending", "Waiting for you"),
)


class Figure(NamedTuple):
    """A line of figures; `difference`: B less A, "" where there is none. `strong`: the one that matters most."""

    label: str
    a: str
    b: str
    difference: str
    strong: bool = False


def figures_of(runs: tuple[Run, Run], steps: tuple[list[Side], list[Side]]) -> list[Figure]:
    """What they were asked where that differs, then times, steps, tokens and cost, as far as either run tells them."""
    made = [*_asked(*runs), *_times(*runs), _counted("Steps", *map(len, steps))]
    failures = [sum(map(words.failed, run.tool_calls)) for run in runs]
    if any(failures):
        made.append(_counted("Failed calls", *failures))
    usages = [run.usage or Usage() for run in runs]
    for label, name in (("Tokens in", "input_tokens"), ("Tokens out", "output_tokens")):
        counts = [getattr(usage, name) for usage in usages]
        if counts != [None, None]:
            made.append(_counted(label, *counts))
    return [*made, *_costs(*runs)]


def _asked(a: Run, b: Run) -> Iterator[Figure]:
    both = (
        ("Agent", a.agent_name or a.agent_id, b.agent_name or b.agent_id),
        ("Model", a.model, b.model),
        ("Prompt", a.prompt, b.prompt),
    )
    for label, one, two in both:
        if one != two:
            yield Figure(label, line(one or "not known", _ASKED), line(two or "not known", _ASKED), "")


def _times(a: Run, b: Run) -> Iterator[Figure]:
    if a.ended_at is None and b.ended_at is None:
        return
    yield _timed("Time", a.ended_at, b.ended_at)._replace(strong=True)
    falls = (phases.waterfall(a), phases.waterfall(b))
    for kind, label in _TOTALS:
        one, two = _total(a, falls[0], kind), _total(b, falls[1], kind)
        if max(one or 0, two or 0) < _LEAST:
            continue
        bounds = [kind in fall.at_most for fall in falls]
        figure = _timed(label, one, two, *bounds)
        yield figure._replace(difference="") if any(bounds) else figure


def _total(run: Run, fall: phases.Waterfall, kind: phases.PhaseKind) -> int | None:
    """ns, None where nobody told: what is in a step that came whole is known from its server only."""
    known = fall.end > 0
    if run.delivery == "step" and kind != "pending":
        known = any(phase.kind == kind and phase.source == "server" for lane in fall.lanes for phase in lane.phases)
    return fall.totals.get(kind, 0) if known else None


def _timed(label: str, a: int | None, b: int | None, *at_most: bool) -> Figure:
    one, two = (_time(ns, bound) for ns, bound in zip((a, b), at_most or (False, False), strict=True))
    return Figure(label, one, two, more(a, b))


def _time(ns: int | None, at_most: bool) -> str:
    if ns is None:
        return "not timed"
    return "none" if ns < _LEAST else f"≤ {figures.bound(ns)}" if at_most else figures.time(ns)


def more(a: int | None, b: int | None) -> str:
    """`−405 ms`: how much longer B took, in ns; "" where one of them is not known."""
    if a is None or b is None:
        return ""
    return _signed(b - a, figures.time(abs(b - a))) if abs(b - a) >= _LEAST else "0 ms"


def _signed(difference: float, figure: str) -> str:
    return ("+" if difference > 0 else "−" if difference < 0 else "") + figure


def _counted(label: str, a: int | None, b: int | None) -> Figure:
    one, two = (NOT_REPORTED if count is None else figures.count(count) for count in (a, b))
    difference = "" if a is None or b is None else _signed(b - a, figures.count(abs(b - a)))
    return Figure(label, one, two, difference)


def _costs(a: Run, b: Run) -> Iterator[Figure]:
    one, two = (None if run.cost is None else run.cost.usd for run in (a, b))
    if one is None and two is None:
        return
    difference = "" if one is None or two is None else _signed(two - one, _dollars(abs(two - one)))
    yield Figure("Cost", _dollars(one), _dollars(two), difference)


def _dollars(usd: float | None) -> str:
    return "not known" if usd is None else figures.dollars(usd)
