"""Many runs of one prompt beside each other, a line each on one axis of time: HTML for a cell, text for a terminal.

The HTML has only tags and inline style that survive where scripts and classes are stripped, and colours of the middle,
which read on light and dark; without style the characters of the text waterfall are left.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from letta_nb import figures, phases, text, words
from letta_nb.entries import Status
from letta_nb.errors import HTTPError
from letta_nb.phases import Phase, PhaseKind
from letta_nb.run import Run
from letta_nb.words import escaped

_CELLS = 40
_NOTE = 160
_NOTE_TEXT = 72
_GAP = 'style="margin:8px 0 0"'
_DIM = "opacity:.72"
_BAD = "color:#d8433f"
# as the pictures draw them
_COLOURS: dict[PhaseKind, str] = {
    "wait": "#868e99",
    "reasoning": "#8468cf",
    "arguments": "#b97a0a",
    "tool": "#2f7cc9",
    "failed": "#d8433f",
    "pending": "#a8711a",
    "answer": "#3f8f5f",
    "unattributed": "#868e99",
    "queue": "#868e99",
}
_STATUS: dict[Status, str] = {**words.STATUS, "running": "running", "requires_approval": "waits for approval"}


class Glance(NamedTuple):
    """A run at an instant, as far as a line tells it: read by the thread that shows, made by the one that reads.

    `end` in ns since the request, None while it runs. `note`: what it answered, or why it failed.
    """

    status: Status = "running"
    parts: tuple[Phase, ...] = ()
    end: int | None = None
    steps: int = 0
    calls: int = 0
    failed_calls: int = 0
    tokens: tuple[int | None, int | None] = (None, None)
    usd: float | None = None
    note: str = ""


class Line(NamedTuple):
    """A run of the many: its number and its group ("weather, gpt-4o"); `elapsed` in ns, None before it is sent."""

    number: int
    group: str
    glance: Glance
    elapsed: int | None = None

    @property
    def over(self) -> bool:
        return self.glance.status != "running"


def glance(run: Run, problem: Exception | None = None) -> Glance:
    """What a line tells of a run, as it stands. `problem`: why it was refused."""
    fall = phases.waterfall(run)
    usage, cost = run.usage, run.cost if run.status != "running" else None
    return Glance(
        status=run.status,
        parts=tuple(part for lane in fall.lanes for part in lane.phases),
        end=None if run.status == "running" else run.ended_at or 0,
        steps=len(run.steps),
        calls=len(run.tool_calls),
        failed_calls=sum(map(words.failed, run.tool_calls)),
        tokens=(None, None) if usage is None else (usage.input_tokens, usage.output_tokens),
        usd=None if cost is None else cost.usd,
        note=text.fit(words.clean(_note(run, problem)), _NOTE),
    )


def _note(run: Run, problem: Exception | None) -> str:
    if isinstance(problem, HTTPError):
        return f"HTTP {problem.status_code}: {problem.message}"
    if run.status in ("failed", "interrupted") and run.error is not None:
        return run.error.detail or run.error.message
    if run.pending:
        return f"{run.pending[0].name or 'tool'} needs your approval"
    return run.text or (run.note or "")


# -- what is told of all -----------------------------------------------------------------------------------------------


def heading(lines: Sequence[Line], elapsed: int) -> list[str]:
    """`["12 of 20 done", "4 running", "1 failed", "0:42"]`."""
    over = [line for line in lines if line.over]
    counts = _counts(over)
    running = sum(not line.over and line.elapsed is not None for line in lines)
    told = [f"{len(over)} of {len(lines)} done" if len(over) < len(lines) else figures.plural(len(lines), "run")]
    told += [f"{running} running"] if running else []
    return [*told, *counts, figures.time(elapsed)]


def _counts(lines: Iterable[Line]) -> list[str]:
    """How many ended in each way that is not the good one."""
    statuses = [line.glance.status for line in lines]
    return [
        f"{statuses.count(status)} {words.STATUS[status].lower()}"
        for status in words.STATUS
        if status not in ("running", "completed") and status in statuses
    ]


def group_facts(lines: Sequence[Line]) -> list[str]:
    """`["5 of 5 completed", "median 3.21 s (2.90 s to 4.10 s)", "1,240 tokens in", "54 out", ...]`, of what is over."""
    good = [line.glance for line in lines if line.glance.status == "completed"]
    told = [f"{len(good)} of {len(lines)} completed"]
    times = sorted(its.end or 0 for its in good)
    if len(times) > 1:
        spread = f"{figures.time(times[0])} to {figures.time(times[-1])}"
        told.append(f"median {figures.time(round(statistics.median(times)))} ({spread})")
    for side, name in enumerate(("tokens in", "out")):
        counts = [count for its in good if (count := its.tokens[side]) is not None]
        if counts:
            told.append(f"{figures.count(round(statistics.median(counts)))} {name}")
    costs = [its.usd for its in good if its.usd is not None]
    return told + ([f"{figures.dollars(statistics.median(costs))} each"] if costs else [])


def _groups(lines: Iterable[Line]) -> Iterator[tuple[str, list[Line]]]:
    for name, its in groupby(lines, lambda line: line.group):
        yield name, list(its)


def _axis(lines: Iterable[Line]) -> int:
    return max((line.glance.end or line.elapsed or 0 for line in lines), default=0)


def _parts(line: Line) -> tuple[Phase, ...]:
    """The phases, up to now while it runs: what has not arrived is waited for."""
    its = line.glance
    end = max((part.end for part in its.parts), default=0)
    now = line.elapsed or 0
    return its.parts if line.over or now <= end else (*its.parts, Phase("wait", end, now))


# -- text --------------------------------------------------------------------------------------------------------------


def plain(lines: Sequence[Line]) -> str:
    """The same on each run of the same agents: how each ended, and no time."""
    told = [f"letta  {figures.plural(len(lines), 'run')}"]
    for group, its in _groups(lines):
        told.append(group)
        for line in its:
            note = text.fit(line.glance.note, _NOTE_TEXT) if line.over else ""
            told.append(f"  {line.number:<4}{_word(line)}  {note}".rstrip())
    return "\n".join(told)


def as_text(lines: Sequence[Line], elapsed: int) -> str:
    """The lines with their times, for a terminal."""
    end = _axis(lines)
    told = [", ".join(heading(lines, elapsed))]
    for group, its in _groups(lines):
        told += ["", f"{group}  {', '.join(group_facts(its))}"]
        for line in its:
            cells = text.strip(_parts(line), end, _CELLS) if end else ""
            said = text.fit(_say(line), _NOTE_TEXT)
            told.append(f"  {line.number:<4}{cells:<{_CELLS}}  {_time(line):>9}  {said}".rstrip())
    return "\n".join(told)


def _word(line: Line) -> str:
    if line.over or line.elapsed is not None:
        return _STATUS[line.glance.status].lower()
    return "queued"


def _time(line: Line) -> str:
    at = line.glance.end if line.over else line.elapsed
    return "" if at is None or (line.over and not at) else figures.time(at)


def _say(line: Line) -> str:
    return line.glance.note if line.over and line.glance.note else _word(line)


# -- HTML --------------------------------------------------------------------------------------------------------------


def html(lines: Sequence[Line], elapsed: int) -> str:
    """A table: a line a run under its group's figures, all on one axis of time."""
    first, *more = heading(lines, elapsed)
    head = f'<p {_GAP}><strong>{first}</strong> <span style="{_DIM}">{", ".join(more)}</span></p>'
    end = _axis(lines)
    rows = [row for group, its in _groups(lines) for row in _group(group, its, end)]
    look = "border-collapse:collapse;table-layout:auto;width:100%;margin:8px 0 0"
    return f'{head}<table style="{look}">{"".join(rows)}</table>{_key(lines)}'


def _key(lines: Iterable[Line]) -> str:
    """What the colours and characters mean, of those that are there."""
    there = {part.kind for line in lines for part in _parts(line)}
    names = [f"{_span(kind, 1)} {word}" for kind, word in words.PHASES.items() if kind in there]
    return f'<p {_GAP}><samp style="{_DIM}">{"  ".join(names)}</samp></p>' if names else ""


def _group(group: str, lines: Sequence[Line], end: int) -> Iterator[str]:
    facts = f'<span style="{_DIM};font-weight:normal">{escaped(", ".join(group_facts(lines)))}</span>'
    name = f"<strong>{escaped(group)}</strong>"
    yield f'<tr><th colspan="6" scope="rowgroup" style="text-align:left;padding:10px 8px 2px">{name} {facts}</th></tr>'
    for line in lines:
        yield f"<tr>{''.join(_cells(line, end))}</tr>"


def _cells(line: Line, end: int) -> Iterator[str]:
    its = line.glance
    right = "text-align:right;padding:1px 8px;white-space:nowrap;font-variant-numeric:tabular-nums"
    left = "text-align:left;padding:1px 8px"
    yield f'<td style="{right};{_DIM}">{line.number}</td>'
    yield f'<td style="{left};white-space:nowrap">{_bar(line, end)}</td>'
    yield f'<td style="{right}">{_time(line)}</td>'
    calls = figures.plural(its.calls, "call") if its.calls else ""
    failed = f' <span style="{_BAD}">{its.failed_calls} failed</span>' if its.failed_calls else ""
    yield f'<td style="{right}">{calls}{failed}</td>'
    tokens = "" if its.tokens[1] is None else f"{figures.count(its.tokens[1])} out"
    yield f'<td style="{right}">{tokens}</td>'
    bad = its.status in ("failed", "interrupted")
    look = _BAD if bad else "" if its.status == "completed" else _DIM
    word = f"{_word(line)}: " if line.over and its.note and its.status != "completed" else ""
    # as much of it as there is room for: the last column takes what the others leave
    fit = "width:100%;max-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    yield f'<td style="{left};{fit};{look}">{escaped(word + _say(line))}</td>'


def _bar(line: Line, end: int) -> str:
    """The line's phases in characters, each kind in its colour."""
    cells = text.filled(_parts(line), end, _CELLS) if end else [None] * _CELLS
    spans = [_span(kind, len(list(its))) for kind, its in groupby(cells)]
    return f'<samp style="white-space:pre;line-height:1.2">{"".join(spans)}</samp>'


def _span(kind: PhaseKind | None, cells: int) -> str:
    return " " * cells if kind is None else f'<span style="color:{_COLOURS[kind]}">{text.MARKS[kind] * cells}</span>'
