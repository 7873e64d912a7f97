"""Why was it slow, why was it costly? `explain(run)` says it in sentences, each with the rows that prove it."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from letta_nb import figures, remarks_calls, remarks_time, remarks_tokens, words
from letta_nb.align import line
from letta_nb.errors import InputError
from letta_nb.reading import Reading, Runs
from letta_nb.remarks import Facts, Note
from letta_nb.run import Run
from letta_nb.words import escaped

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "Nothing remarkable: no long wait or slow tool, no repeated or failed call, no jump in tokens or cost."
_WIDTH = 80
_ROWS = 20
_CELL = 60
_GAP = 'style="margin:8px 0 0"'
_LEFT = 'style="text-align:left;vertical-align:top"'
_COLUMNS = {
    "run_id": "string",
    "kind": "string",
    "words": "string",
    "stake_s": "Float64",
    "stake_tokens": "Int64",
    "stake_usd": "Float64",
    "share": "Float64",
    "grain": "string",
    "row_count": "Int64",
}


def explain(run: Runs) -> Explanation:
    """What made a run slow or costly, what matters most first; in a notebook the result shows it with its proof.

    `run`: a Run, or the file of one. Each note has a `kind`, one sentence (`words`), what is at stake (`stake_s`,
    `stake_tokens`, `stake_usd`; None: not known) and `rows`, the rows of its table (`grain`) that prove it. Raises
    InputError for what is not one run.
    """
    found = list(Reading(run, progress=False))
    if len(found) != 1:
        raise InputError(f"One run is explained at a time, not {len(found)}: letta_nb.explain(runs[0]).")
    return Explanation(found[0])


class Explanation:
    """The `notes` about a run; iterable, true if there is one. `unknown`: what could not be judged, and why."""

    def __init__(self, run: Run) -> None:
        facts = Facts(run)
        self.run = run
        self.notes: list[Note] = _notes(facts)
        self.unknown: list[str] = list(_unknown(facts))

    def __iter__(self) -> Iterator[Note]:
        return iter(self.notes)

    def __len__(self) -> int:
        return len(self.notes)

    def __getitem__(self, index: int) -> Note:
        return self.notes[index]

    @property
    def df(self) -> pd.DataFrame:
        """One row a note, in order; `share` is the part of the run that it is about, NA at stake is "not known"."""
        pandas: Any = importlib.import_module("pandas")
        run_id = self.run.run_id or self.run.uid
        rows = [
            (
                run_id,
                its.kind,
                its.words,
                its.stake_s,
                its.stake_tokens,
                its.stake_usd,
                its.share,
                its.grain,
                len(its.rows),
            )
            for its in self.notes
        ]
        return pandas.DataFrame(
            {
                name: pandas.array([row[i] for row in rows], dtype=dtype)
                for i, (name, dtype) in enumerate(_COLUMNS.items())
            }
        )

    # -- text ----------------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        lines = textwrap.wrap(_head(self.run), _WIDTH)
        fate = _fate(self.run)
        lines += _wrapped("     ", fate) if fate else []
        for number, note in enumerate(self.notes, start=1):
            lines += _wrapped(f"{number:>3}  ", f"{note.words} [{_proof(note)}]")
        lines += [] if self.notes or fate else _wrapped("     ", NOTHING)
        for unknown in self.unknown:
            lines += _wrapped("     ", unknown)
        return "\n".join(lines)

    __repr__ = __str__

    # -- HTML ----------------------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """Tags that survive where scripts, styles and classes are stripped; the rows of a note open below it."""
        parts = [f"<p {_GAP}><strong>Why</strong> {escaped(_head(self.run))}</p>"]
        fate = _fate(self.run)
        parts += [f"<p {_GAP}>{escaped(fate)}</p>"] if fate else []
        parts += [_html(number, note) for number, note in enumerate(self.notes)]
        parts += [] if self.notes or fate else [f"<p {_GAP}>{NOTHING}</p>"]
        if self.unknown:
            told = "<br>".join(map(escaped, self.unknown))
            parts.append(f'<p {_GAP}><span style="opacity:.72">{told}</span></p>')
        return "".join(parts)


def _notes(facts: Facts) -> list[Note]:
    """All remarks, what is the largest part of the run first."""
    rules = (*remarks_calls.RULES, *remarks_time.RULES, *remarks_tokens.RULES)
    return sorted((note for rule in rules for note in rule(facts)), key=lambda note: -note.share)


def _head(run: Run) -> str:
    """`Completed, 12.3 s, 4 steps, 7,950 tokens in, 54 out, $0.0012.`"""
    tokens = words.tokens(run)
    facts = [words.STATUS[run.status], *([figures.time(run.ended_at)] if run.ended_at is not None else [])]
    facts += [figures.plural(len(run.steps), "step"), *(told.replace(" in", " tokens in", 1) for told in tokens[:1])]
    facts += [*tokens[1:], *([figures.dollars(run.cost.usd)] if run.cost is not None else [])]
    return f"{', '.join(facts)}."


def _fate(run: Run) -> str:
    """How a run ended that did not end well, or that it goes on; "" for one that did."""
    if run.status == "running":
        return "It goes on: this is what can be said so far."
    verdict = words.verdict(run) if run.status in ("failed", "interrupted") else None
    if verdict is None:
        return ""
    # no transcript stands below, but the notes
    more = "" if verdict.more == words.KEPT else verdict.more
    return " ".join(filter(None, (verdict.sentence, more, verdict.words)))


def _unknown(facts: Facts) -> Iterator[str]:
    """What was not told, so that nothing could be said of it."""
    run = facts.run
    if not run.steps:
        return
    if not run.timed:
        yield "Not judged: times; this recording has none."
    elif run.delivery == "step" and not any("llm_request_ns" in step.server for step in run.steps):
        yield "Not judged: the model's and the tools' own times; this server sent the steps whole."
    if facts.steps["input_tokens"].isna().all():
        yield "Not judged: cache, context and cost by step; the server told no tokens of the steps, or was not asked."


def _proof(note: Note) -> str:
    return f"{figures.plural(len(note.rows), 'row')} of {note.grain}_df"


def _wrapped(start: str, told: str) -> list[str]:
    return textwrap.wrap(words.clean(told), _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def _html(number: int, note: Note) -> str:
    """The sentence, which opens the rows."""
    shown = [name for name in note.shown if name in note.rows.columns]
    head = "".join(f"<th {_LEFT}>{escaped(name)}</th>" for name in shown)
    rows = note.rows[shown].head(_ROWS).itertuples(index=False)
    body = "".join(f"<tr>{''.join(f'<td {_LEFT}>{escaped(_cell(cell))}</td>' for cell in row)}</tr>" for row in rows)
    left = len(note.rows) - _ROWS
    more = (
        f"<p {_GAP}><em>… {figures.plural(left, 'row')} more, in explanation[{number}].rows</em></p>"
        if left > 0
        else ""
    )
    summary = (
        f'<strong>{number + 1}</strong> {escaped(note.words)} <span style="opacity:.72">{escaped(_proof(note))}</span>'
    )
    return f"<details {_GAP}><summary>{summary}</summary><table><tr>{head}</tr>{body}</table>{more}</details>"


def _cell(value: Any) -> str:
    """A cell as people read it; what was not reported is empty."""
    pandas: Any = importlib.import_module("pandas")
    if pandas.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return figures.count(value)
    if hasattr(value, "isoformat"):
        return value.strftime("%H:%M:%S.%f")[:-3]
    return line(str(value), _CELL)
