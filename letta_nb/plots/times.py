"""Where the time of a run went, and of two runs step by step: the page's lanes, by the same phases."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from letta_nb import compare_text, comparison, deltas, figures, phases, words
from letta_nb.align import StepPair
from letta_nb.errors import InputError
from letta_nb.phases import Lane, Phase, PhaseKind
from letta_nb.plots import canvas
from letta_nb.plots.canvas import Key, hatched, hollow, solid
from letta_nb.reading import Reading, Runs
from letta_nb.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# how each kind of phase is drawn, and how high in a row of 1: a line for waiting, a bar for work, a fence for not known
_STYLES: dict[PhaseKind, tuple[dict[str, Any], float]] = {
    "wait": (solid(canvas.WAIT), 0.1),
    "queue": (solid(canvas.WAIT), 0.02),
    "reasoning": (solid(canvas.REASON), 0.5),
    "arguments": (solid(canvas.ARGS), 0.5),
    "tool": (solid(canvas.TOOL), 0.5),
    "failed": (solid(canvas.ERR), 0.5),
    "pending": (hollow(canvas.WARN, "--"), 0.5),
    "answer": (solid(canvas.INK), 0.5),
    "unattributed": (hatched(canvas.FENCE, "||||"), 0.3),
}
_OUTLINES: dict[PhaseKind, dict[str, Any]] = {"tool": hollow(canvas.TOOL), "failed": hollow(canvas.ERR)}
_NO_TIMES = "This recording has no times: there is nothing to draw."
_TOGETHER = "≤ outlined: calls that returned together; nobody timed each"
# row, phase, and where its time begins
_Placed = tuple[float, Phase, int]


def waterfall(run: Runs, ax: Axes | None = None) -> Axes:
    """A lane a step (a lane a call where several ran side by side), each phase where it was in the run's time.

    The key tells each phase's total, of overlapping calls once. Steps that the server sent whole are one grey line.
    """
    run = _one(run)
    fall = phases.waterfall(run)
    if not fall.lanes or not fall.end:
        sentence = "Nothing has arrived in this run yet." if run.status == "running" else "Nothing arrived in this run."
        return canvas.nothing(ax, sentence if run.timed else _NO_TIMES)
    note = _note([run], [fall])
    made = canvas.axes(ax, len(fall.lanes), _title(run, fall.end), list(_keys(fall)), note)
    labels = [
        f"{lane.step + 1 if lane.first else '':>3}  {canvas.name(lane.label or 'waiting')}" for lane in fall.lanes
    ]
    crowded = len(fall.lanes) > canvas.NAMED
    canvas.rows(made, labels, [figures.time(lane.end - lane.start) for lane in fall.lanes])
    _draw(made, [(row, phase, 0) for row, lane in enumerate(fall.lanes) for phase in lane.phases], crowded)
    for row, lane in enumerate(fall.lanes):
        if lane.cut:
            _cut(made, row, lane.end / 1e9)
    canvas.time_axis(made, fall.end / 1e9, "time since the request")
    return canvas.done(made)


def _one(x: Any) -> Run:
    found = list(Reading(x, progress=False))
    if len(found) != 1:
        raise InputError(f"A waterfall shows one run, not {len(found)}: letta_nb.plots.waterfall(runs[0]).")
    return found[0]


def _title(run: Run, end: int) -> str:
    failed = sum(map(words.failed, run.tool_calls))
    facts = [words.STATUS[run.status], figures.time(end), figures.plural(len(run.steps), "step")]
    facts += [f"{figures.plural(failed, 'tool')} failed"] if failed else []
    return ", ".join(facts)


def _note(runs: Iterable[Run], falls: Iterable[phases.Waterfall]) -> str:
    """What the picture does not show, in words."""
    whole = any(run.delivery == "step" for run in runs)
    together = any(fall.at_most for fall in falls)
    return "\n".join(text for text, said in ((words.STEP_WHOLE, whole), (_TOGETHER, together)) if said)


def _keys(fall: phases.Waterfall) -> Iterator[Key]:
    """The legend is the answer: what each kind of phase comes to, and the share of the largest."""
    largest = max(fall.totals.values(), default=0)
    for kind in phases.TOTALS:
        ns = fall.totals.get(kind)
        if ns is None:
            continue
        bound = kind in fall.at_most
        figure = figures.bound if bound else figures.patience if kind == "pending" else figures.time
        share = f", {ns / fall.end:.0%}" if ns == largest and not bound else ""
        yield _key(kind, f"{words.PHASES[kind]} {'≤ ' * bound}{figure(ns)}{share}", bound)


def _key(kind: PhaseKind, told: str, bound: bool) -> Key:
    if kind == "wait":
        return Key({"color": canvas.WAIT, "linewidth": 2}, told, is_line=True)
    return Key(_OUTLINES[kind] if bound else _STYLES[kind][0], told)


def _draw(ax: Any, placed: Iterable[_Placed], crowded: bool, scale: float = 1.0) -> None:
    """The phases, a container of bars a kind; failures last, so that nothing covers them."""
    found: dict[tuple[PhaseKind, bool], list[tuple[float, float, float]]] = {}
    for row, phase, origin in placed:
        bar = (row, (phase.start - origin) / 1e9, (phase.end - phase.start) / 1e9)
        found.setdefault((phase.kind, phase.at_most), []).append(bar)
    for (kind, bound), its in sorted(found.items(), key=lambda item: (item[0][0] == "failed", item[0])):
        style, height = _STYLES[kind]
        tall = height * (1.8 if crowded else scale)
        canvas.bars(ax, kind, _OUTLINES[kind] if bound else style, its, tall)


def _cut(ax: Any, row: float, at: float) -> None:
    ax.plot([at], [row], "x", color=canvas.ERR, markersize=7, markeredgewidth=2, clip_on=False, label="_cut")


# -- two runs ----------------------------------------------------------------------------------------------------------

# rows: between the two of a pair, between pairs, and where the sentence stands that tells how the runs part
_BESIDE, _APART, _PARTED = 0.72, 1.25, 0.9


class _Row(NamedTuple):
    """One side of a pair: `at` which row, whose step, and its lanes; None and none where it has no such step."""

    at: float
    run: str
    number: str
    step: int | None
    lanes: list[Lane]

    @property
    def label(self) -> str:
        named = "" if self.step is None else canvas.name(self.lanes[0].label or "waiting" if self.lanes else "")
        return f"{self.number:>5}  {self.run}  {named}"

    @property
    def duration(self) -> int | None:
        return self.lanes[0].end - self.lanes[0].start if self.lanes else None


def compare(a: Run | str | Path, b: Run | str | Path, ax: Axes | None = None) -> Axes:
    """Two runs step by step, as `letta_nb.compare` aligns them: each step from its own start, all on one scale.

    The red line is where they part: other tools, arguments, results or answers.
    """
    compared = comparison.compare(a, b)
    falls = (phases.waterfall(compared.a), phases.waterfall(compared.b))
    part = compared.divergence
    told = [] if part is None else _parting(str(part), canvas.characters(ax))
    crowding = canvas.crowding(2 * len(compared.pairs))
    room = (0, 0.0) if part is None else (part.pair, (_PARTED + 0.55 * (len(told) - 1)) * crowding)
    found = list(_rows(compared.pairs, falls, room))
    placed = [(row.at, phase, row.lanes[0].start) for row in found for lane in row.lanes for phase in lane.phases]
    end = max((phase.end - origin for _, phase, origin in placed), default=0) / 1e9
    if not end:
        return canvas.nothing(ax, "Neither of these runs has steps with times: there is nothing to draw.")
    note = _note((compared.a, compared.b), falls)
    made = canvas.axes(ax, found[-1].at + 1, _ends(compared, falls), list(_vocabulary(placed)), note)
    canvas.rows(made, [row.label for row in found], list(_sides_times(found)), [row.at for row in found], 2)
    _draw(made, placed, len(found) > canvas.NAMED, 1.2)
    for row in found:
        if row.step is None:
            canvas.beside(made, 0, row.at, "no such step", canvas.AXIS)
        if any(lane.cut for lane in row.lanes):
            _cut(made, row.at, (row.duration or 0) / 1e9)
    if part is not None:
        top = found[2 * part.pair].at - room[1]
        made.axhline(top - 0.2 * crowding, color=canvas.ERR, linewidth=1.5, label="_divergence")
        canvas.beside(made, 0, top + (room[1] - 0.55 * crowding) / 2, "\n".join(told), canvas.ERR)
    canvas.time_axis(made, end, "time since the step's start")
    return canvas.done(made)


def _rows(
    pairs: list[StepPair], falls: tuple[phases.Waterfall, phases.Waterfall], room: tuple[int, float]
) -> Iterator[_Row]:
    """A row each of A and of B a pair, with room (how many rows) above one of the pairs."""
    lanes: list[dict[int, list[Lane]]] = [{}, {}]
    for of_step, fall in zip(lanes, falls, strict=True):
        for lane in fall.lanes:
            of_step.setdefault(lane.step, []).append(lane)
    at = 0.0
    for index, pair in enumerate(pairs):
        at += room[1] * (index == room[0])
        for run, step, of_step in (("A", pair.a, lanes[0]), ("B", pair.b, lanes[1])):
            number = compare_text.numbers(pair) if run == "A" else ""
            yield _Row(at, run, number, step, [] if step is None else of_step.get(step, []))
            at += _BESIDE if run == "A" else _APART


def _sides_times(found: list[_Row]) -> Iterator[str]:
    """Each step's time, and how much longer B took."""
    for a, b in zip(found[::2], found[1::2], strict=True):
        difference = deltas.more(a.duration, b.duration)
        yield "" if a.duration is None else figures.time(a.duration)
        yield "" if b.duration is None else f"{figures.time(b.duration)}  {difference}".rstrip()


def _parting(sentence: str, wide: int) -> list[str]:
    """Where the runs part, on two lines of so many characters at most."""
    told = textwrap.wrap(words.clean(f"First divergence, {sentence[:1].lower()}{sentence[1:]}"), wide)
    return told if len(told) <= 2 else [told[0], f"{told[1][: wide - 1]}…"]


def _ends(compared: comparison.Comparison, falls: tuple[phases.Waterfall, phases.Waterfall]) -> str:
    """`A completed, 16.0 s. B failed, 5.99 s (−10.0 s).`"""
    runs = zip("AB", (compared.a, compared.b), falls, strict=True)
    told = [f"{name} {words.STATUS[run.status].lower()}, {figures.time(fall.end)}" for name, run, fall in runs]
    return f"{'. '.join(told)} ({deltas.more(falls[0].end, falls[1].end)})."


def _vocabulary(placed: Iterable[_Placed]) -> Iterator[Key]:
    """What the colours stand for, without totals: the two runs have each their own."""
    there = {(phase.kind, phase.at_most) for _, phase, _ in placed}
    for kind in phases.TOTALS:
        bounds = [bound for bound in (False, True) if (kind, bound) in there]
        if bounds:
            yield _key(kind, words.PHASES[kind], bounds == [True])
