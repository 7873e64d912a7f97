"""A comparison of two runs as text for a terminal and `text/plain`, and as bare HTML (see `bare`)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from letta_nb import deltas, figures, words
from letta_nb.align import Side, StepPair, fate, line
from letta_nb.deltas import Figure
from letta_nb.entries import ToolCallEntry
from letta_nb.parting import Divergence
from letta_nb.run import Run

NO_DIVERGENCE = "No divergence: same calls, same results, same answer."
# so many equal steps in a row are told as one line, where there are more steps than one looks over; as in the page
_MANY, _FEW = 4, 12
_SHORT = 160
_WIDTH = 80
_ROWS = 400
_GAP = 'style="margin:8px 0 0"'
# a host whose own style leaves no room between the cells of a table would run them together
_CELL_STYLE = 'style="text-align:left;vertical-align:top;padding:0 16px 2px 0"'


class Both(NamedTuple):
    """Two runs, their steps, how these lie side by side, where they part, and their figures."""

    runs: tuple[Run, Run]
    steps: tuple[list[Side], list[Side]]
    pairs: list[StepPair]
    divergence: Divergence | None
    figures: list[Figure]

    def sides(self, pair: StepPair) -> tuple[Side | None, Side | None]:
        """The two steps of a pair."""
        a, b = self.steps
        return None if pair.a is None else a[pair.a], None if pair.b is None else b[pair.b]


def runs_of_same(pairs: Sequence[StepPair]) -> Iterator[list[StepPair]]:
    """The pairs, many equal ones in a row together, each other one alone."""
    for same, group in groupby(pairs, key=lambda pair: pair.same):
        found = list(group)
        if same and len(found) >= _MANY and len(pairs) > _FEW:
            yield found
        else:
            yield from ([pair] for pair in found)


def numbers(pair: StepPair) -> str:
    """`3`, or `3/4` where the two runs count differently."""
    known = [str(index + 1) for index in (pair.a, pair.b) if index is not None]
    return "/".join(dict.fromkeys(known))


# -- a step on one line ------------------------------------------------------------------------------------------------


def told(run: Run, side: Side | None) -> list[str]:
    """What one side of a pair holds, a line a call."""
    if side is None:
        return ["no such step"]
    lines = [_call(call) for call in side.calls]
    if side.end == "failed":
        lines.append(line(run.stop_reason or (run.error.type if run.error else "error"), _SHORT))
    elif side.end is not None:
        lines.append(words.STATUS[side.end].lower())
    if not side.calls and side.says:
        lines.insert(0, line(side.says, _SHORT))
    return lines or ["no call and no answer"]


def _call(call: ToolCallEntry) -> str:
    start = f"{line(call.name or 'tool')} {line(words.one_line(call.arguments), _SHORT)}".rstrip()
    outcome = fate(call)
    if outcome == "failed":
        return f"{start} → {line(words.error_line(call), _SHORT)}"
    if outcome == "returned":
        return f"{start} → {line(words.one_line(call.result or ''), _SHORT)}".rstrip()
    return f"{start} ({ {'denied': 'denied', 'pending': 'needs your approval'}.get(outcome, 'no return') })"


# -- text --------------------------------------------------------------------------------------------------------------


def text(both: Both) -> str:
    """The comparison in lines, without times, counts of tokens and ids: the same whenever the runs did the same."""
    rows = [row for start, told in _lines(both) for row in _wrapped(start, told)]
    return "\n".join([f"letta compare  {_ends(both)}", "", *_wrapped("    ", parting(both)), "", *rows])


def parting(both: Both) -> str:
    """`First divergence, step 2: A calls roll_die, B fails in the model call.`"""
    if both.divergence is None:
        return NO_DIVERGENCE
    sentence = str(both.divergence)
    return f"First divergence, {sentence[:1].lower()}{sentence[1:]}"


def _ends(both: Both) -> str:
    return ", ".join(f"{name} {words.STATUS[run.status].lower()}" for name, run in zip("AB", both.runs, strict=True))


def _wrapped(start: str, told: str) -> list[str]:
    return textwrap.wrap(told, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]


def _lines(both: Both) -> Iterator[tuple[str, str]]:
    """What stands at the left of each line, and the line."""
    for group in runs_of_same(both.pairs):
        pair, a, b = group[0], *both.sides(group[0])
        start = f"{numbers(pair):<6}"
        if len(group) > 1:
            yield f"{numbers(pair)}-{numbers(group[-1])}  ", figures.plural(len(group), "same step")
        elif pair.same:
            for row in told(both.runs[0], a):
                yield start, row
                start = " " * 6
            yield start, pair.words
        else:
            for name, run, side in zip("AB", both.runs, (a, b), strict=True):
                for row in told(run, side):
                    yield f"{start}{name}  ", row
                    start, name = " " * 6, " "


# -- HTML --------------------------------------------------------------------------------------------------------------


def html(both: Both) -> str:
    """The comparison in tags that survive where scripts, styles and classes are stripped."""
    named = (_shared(run.agent_name or run.agent_id for run in both.runs), _shared(run.model for run in both.runs))
    who = ", ".join(filter(None, named))
    parts = [f"<p {_GAP}><strong>Compare</strong> {_text(who + '. ' if who else '')}{_ends(both)}.</p>"]
    facts = [("", "A", "B", "B − A"), *(figure[:4] for figure in both.figures)]
    parts.append(f"<table>{''.join(_row(*fact) for fact in facts)}</table>")
    parts.append(f"<p {_GAP}><strong>{_text(parting(both))}</strong></p>")
    groups = list(runs_of_same(both.pairs))
    parts.append(f"<table>{_row('Step', 'A', 'B', 'B − A')}{''.join(_pair(both, group) for group in groups[:_ROWS])}")
    parts.append("</table>")
    if len(groups) > _ROWS:
        parts.append(f"<p {_GAP}><em>… {figures.plural(len(groups) - _ROWS, 'row')} more, in comparison.pairs</em></p>")
    return "".join(parts)


def _shared(named: Iterable[str | None]) -> str | None:
    """What both runs have, if it is the same: a difference stands among the figures."""
    one, two = named
    return one if one == two else None


def _pair(both: Both, group: list[StepPair]) -> str:
    pair = group[0]
    if len(group) > 1:
        return _row(f"{numbers(pair)} to {numbers(group[-1])}", figures.plural(len(group), "same step"), "", "")
    a, b = both.sides(pair)
    one = "\n".join(told(both.runs[0], a))
    two = pair.words if pair.same else "\n".join(told(both.runs[1], b))
    time = deltas.more(a.duration if a else None, b.duration if b else None)
    return _row(numbers(pair), one, two, time)


def _row(label: str, *cells: str) -> str:
    told = "".join(f"<td {_CELL_STYLE}>{_text(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row" {_CELL_STYLE}>{_text(label)}</th>{told}</tr>'


def _text(value: str) -> str:
    return escape(words.clean(value)).replace("\n", "<br>")
