"""Two runs side by side: `compare(a, b)` aligns their steps, and says where they part and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from letta_nb import (
    align,
    compare_text,
    deltas,
    feed,
    marimo_cells,
    page,
    parting,
    paths,
    record,
    redaction,
    static_html,
)
from letta_nb.align import Side, StepPair
from letta_nb.compare_text import Both
from letta_nb.deltas import Figure
from letta_nb.errors import InputError
from letta_nb.parting import Divergence
from letta_nb.run import Run

if TYPE_CHECKING:
    import pandas as pd

_NO_VIEW = "<p><em>These runs are too large to keep the interactive view here; comparison.pairs has all of it.</em></p>"


def compare(a: Run | str | Path, b: Run | str | Path) -> Comparison:
    """Compare two runs, or files of runs, step by step; in a notebook the result shows both side by side.

    Steps are aligned by the tools they call, else by whether they answer. A difference is other tools, arguments,
    results or answers; not other wording of reasoning, not times. `.divergence` is the first one, `.pairs` are all
    steps, `.figures` the totals, and `.df` has a row a pair. Raises InputError for what is not one run.
    """
    return Comparison(_run(a), _run(b))


def _run(x: Any) -> Run:
    if isinstance(x, Run):
        return x.still()
    if not isinstance(x, str | Path):
        raise InputError(f"A Run or the path of one was expected, not {type(x).__name__}.")
    loaded = record.load(x)
    if isinstance(loaded, list):
        raise InputError(f"{x} holds {len(loaded)} runs. Pass one of them: letta_nb.load gives them as a list.")
    return loaded


class Comparison:
    """Two runs, `a` and `b`, aligned: `pairs`, `divergence` (None where there is none), `figures`."""

    def __init__(self, a: Run, b: Run) -> None:
        self.a = a
        self.b = b
        steps = (align.sides(a), align.sides(b))
        pairs = align.align(*steps)
        part = parting.divergence((a, b), steps, pairs)
        self._both = Both((a, b), steps, pairs, part, deltas.figures_of((a, b), steps))

    @property
    def pairs(self) -> list[StepPair]:
        """The steps of both runs, in order, each beside its like."""
        return self._both.pairs

    @property
    def divergence(self) -> Divergence | None:
        """The first pair that differs, and what each side does in it."""
        return self._both.divergence

    @property
    def figures(self) -> list[Figure]:
        """Times, steps, tokens and cost of both, as people read them."""
        return self._both.figures

    @property
    def df(self) -> pd.DataFrame:
        """One row a pair, deltas are B less A; NA is "not reported" or "no such step", never 0.

        `differs` and `changed_keys` are comma-separated and "" where nothing differs.
        """
        return frame(self._both)

    def __repr__(self) -> str:
        if self.divergence is None:
            return f"<Comparison: no divergence in {len(self.pairs)} step{'s' * (len(self.pairs) != 1)}>"
        return f"<Comparison: {self.divergence}>"

    def __str__(self) -> str:
        return compare_text.text(self._both)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        its = self._without_keys()
        return {"text/html": its._fragment(), "text/plain": str(its)}

    def _display_(self) -> Any:
        """What marimo shows: scripts run there in a frame of their own."""
        return marimo_cells.frame(str(self.to_html()))

    def to_html(self, path: str | Path | None = None) -> str | Path:
        """The comparison as a page that needs no kernel and no network: its HTML, or its path if one is given.

        Without keys of providers, as in a run file.
        """
        html = static_html.document("Compare two Letta runs", self._without_keys()._fragment())
        return paths.told(html, path, "to_html", "compare.html")

    def _without_keys(self) -> Comparison:
        runs = redaction.redacted(self.a), redaction.redacted(self.b)
        return self if runs == (self.a, self.b) else Comparison(*runs)

    def _fragment(self) -> str:
        bare = compare_text.html(self._both)
        data = None if self.a.log is None or self.b.log is None else self.words_for_page()
        return static_html.upgraded(bare, data, _NO_VIEW)

    def words_for_page(self) -> page.Comparison:
        """The comparison in the browser's words."""
        pairs: list[page.Pair] = []
        for pair in self.pairs:
            a, b = self._both.sides(pair)
            pairs.append(
                {
                    "a": pair.a,
                    "b": pair.b,
                    "same": pair.same,
                    "words": pair.words,
                    "difference": deltas.more(a.duration if a else None, b.duration if b else None),
                    "arguments": pair.argument_keys,
                    "result": pair.result_keys,
                }
            )
        part = self.divergence
        return {
            "a": feed.snapshot(self.a),
            "b": feed.snapshot(self.b),
            "figures": [
                {"label": its.label, "a": its.a, "b": its.b, "difference": its.difference, "strong": its.strong}
                for its in self.figures
            ],
            "pairs": pairs,
            "divergence": None if part is None else {"pair": part.pair, "a": part.a, "b": part.b},
        }


# -- as a table --------------------------------------------------------------------------------------------------------


_MEASURES: tuple[tuple[str, Callable[[Side], float | None], str], ...] = (
    ("duration_s", lambda side: None if side.duration is None else side.duration / 1e9, "Float64"),
    ("input_tokens", lambda side: side.input_tokens, "Int64"),
    ("output_tokens", lambda side: side.output_tokens, "Int64"),
)


def frame(both: Both) -> pd.DataFrame:
    """The pairs as a table."""
    import pandas as pd

    array: Any = pd.array
    sides: list[Any] = [both.sides(pair) for pair in both.pairs]
    columns: dict[str, Any] = {
        "step_index_a": array([pair.a for pair in both.pairs], dtype="Int64"),
        "step_index_b": array([pair.b for pair in both.pairs], dtype="Int64"),
        "tool_names_a": array([None if a is None else ", ".join(a.names) for a, _ in sides], dtype="string"),
        "tool_names_b": array([None if b is None else ", ".join(b.names) for _, b in sides], dtype="string"),
        "same": array([pair.same for pair in both.pairs], dtype="boolean"),
        "differs": array([", ".join(pair.differs) for pair in both.pairs], dtype="string"),
        "changed_keys": array([_changed(pair) for pair in both.pairs], dtype="string"),
    }
    for name, get, dtype in _MEASURES:
        a, b = (array([get(its[n]) if its[n] else None for its in sides], dtype=dtype) for n in (0, 1))
        columns |= {f"{name}_a": a, f"{name}_b": b, f"{name}_delta": b - a}
    return pd.DataFrame(columns)


def _changed(pair: StepPair) -> str:
    arguments = [f"arguments.{key}" if key else "arguments" for key in pair.argument_keys]
    return ", ".join(arguments + [f"result.{key}" if key else "result" for key in pair.result_keys])
