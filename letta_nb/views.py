"""Runs as rows of one grain, with what its columns need worked out once. No pandas here: lists, None for unknown.

`duration_s` of a tool is the server's figure where its step had this one tool, else by arrival where arrival tells it,
else None. `llm_duration_s` by arrival is from the end of the step before (or the request) to the last token. All runs
are read together: ten thousand short runs cost what one long run does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

from letta_nb import prices, words
from letta_nb.entries import ToolCallEntry, Usage
from letta_nb.run import Run


class PerRun(NamedTuple):
    """A column that is the same in all rows of a run: a value a run."""

    values: list[Any]


class Coded(NamedTuple):
    """A column of few different values: each row's place among them."""

    values: list[Any]
    rows: Any


class Numbers:
    """Integers, a row each, as numpy arrays: `known` says which are, and `values` is 0 where one is not.

    What is worked out from them is a few operations and not one a row. As a sequence they are int, or None.
    """

    __slots__ = ("known", "values")

    def __init__(self, values: Any, known: Any) -> None:
        self.values, self.known = values * known, known

    @classmethod
    def of(cls, values: Sequence[int | None]) -> Numbers:
        """The integers of a list; None is not known."""
        import numpy as np

        count = len(values)
        if count and values[0] is None and values.count(None) == count:
            return cls.none(count)
        with suppress(TypeError):
            try:
                return cls(np.array(values, dtype="int64"), np.ones(count, dtype=bool))
            except OverflowError:  # what no server can have counted is not known
                values = [None if value is None or abs(value) >= 2**63 else value for value in values]
        cells = np.array(values, dtype="float64")
        known = ~np.isnan(cells)
        if np.nanmax(np.abs(cells), initial=0) < _EXACT:
            return cls(np.where(known, cells, 0).astype("int64"), known)
        return cls(np.array([value or 0 for value in values], dtype="int64"), known)

    @classmethod
    def none(cls, count: int) -> Numbers:
        """So many that are not known."""
        import numpy as np

        return cls(np.zeros(count, dtype="int64"), np.zeros(count, dtype=bool))

    @classmethod
    def at(cls, rows: Any, values: Numbers, count: int) -> Numbers:
        """So many, of which some rows are known."""
        found = cls.none(count)
        found.values[rows], found.known[rows] = values.values, values.known
        return found

    def __sub__(self, other: Numbers) -> Numbers:
        return Numbers(self.values - other.values, self.known & other.known)

    def where(self, rows: Any) -> Numbers:
        """Only what is in these rows."""
        return Numbers(self.values, self.known & rows)

    def otherwise(self, other: Numbers) -> Numbers:
        """What is not known as the other has it."""
        return Numbers(self.values + other.values * ~self.known, self.known | other.known)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> int | None:
        return int(self.values[row]) if self.known[row] else None

    def __iter__(self) -> Iterator[int | None]:
        rows = zip(self.values.tolist(), self.known.tolist(), strict=True)
        return (value if known else None for value, known in rows)


# a column's values, a row each
Values = list[Any] | PerRun | Coded | Numbers
# integers below it are themselves as floats, which numpy reads faster where some are None
_EXACT = 2.0**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def arrival_tells(run: Run) -> bool:
    """Whether arrival times say when things were made: not of steps that came whole, nor of a stored stream."""
    return run.timed and run.delivery == "token" and "starting_after" not in (run.request or {})


def base(run: Run) -> int:
    """The time of the request, ns since 1970."""
    return (run.started - _EPOCH) // timedelta(microseconds=1) * 1000


def run_id(run: Run) -> str:
    """The wire's, else the Run's own."""
    return run.run_id or run.uid


def step_ids(run: Run) -> list[str]:
    """The wire's, else made of the run's id and the step's place, so that they join."""
    return [step.step_id or f"{run_id(run)}:{step.index}" for step in run.steps]


class View:
    """Several runs as rows of one grain, run after run."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs

    def rows_of(self, run: Run) -> Sequence[Any]:
        """A run's rows; here its only row is the run."""
        return [run]

    @cached_property
    def parts(self) -> list[Sequence[Any]]:
        """The rows of each run."""
        return list(map(self.rows_of, self.runs))

    @cached_property
    def counts(self) -> list[int]:
        return list(map(len, self.parts))

    @cached_property
    def rows(self) -> list[Any]:
        return list(chain.from_iterable(self.parts))

    def per_run(self, value: Callable[[Run], Any]) -> PerRun:
        return PerRun(list(map(value, self.runs)))

    def all_of(self, values: Callable[[Run, Sequence[Any]], Iterable[Any]]) -> list[Any]:
        """Values that are worked out run by run."""
        return list(chain.from_iterable(map(values, self.runs, self.parts)))

    def cost_of(self, run: Run, row: Any) -> float | None:
        """What a row cost in USD; here the run."""
        cost = run.cost
        return None if cost is None else cost.usd

    @cached_property
    def costs(self) -> Values:
        """USD."""
        costs = self.all_of(lambda run, rows: [self.cost_of(run, row) for row in rows])
        return costs if any(cost is not None for cost in costs) else self.per_run(lambda run: None)

    @property
    def price_dates(self) -> Values:
        """The day of each row's price."""
        if isinstance(self.costs, PerRun):
            return self.costs
        days = self.all_of(lambda run, rows: repeat(prices.price_date(run), len(rows)))
        return [None if cost is None else day for cost, day in zip(self.costs, days, strict=True)]

    def numbered(self) -> list[int]:
        """Each row's place in its run."""
        return list(chain.from_iterable(map(range, self.counts)))

    def ids_of_steps(self, indexes: Sequence[int | None]) -> list[str | None]:
        """The step_id of each row, by its step_index."""
        ids: list[str | None] = []
        at = iter(indexes)
        for run, count in zip(self.runs, self.counts, strict=True):
            of_run = step_ids(run)
            ids += [None if index is None else of_run[index] for index in islice(at, count)]
        return ids


def between(start: int | None, end: int | None) -> int | None:
    """How long, where both are known."""
    return None if start is None or end is None else end - start


class ToolView(View):
    def rows_of(self, run: Run) -> Sequence[ToolCallEntry]:
        return run.tool_calls

    def starts(self) -> Values:
        """When a call was complete, which is when its tool could begin; not where it arrived after the tool had run."""
        return self.all_of(
            lambda run, calls: (
                repeat(None, len(calls))
                if run.delivery == "step"
                else [None if "unseen" in call.extra else call.last_at for call in calls]
            )
        )

    @cached_property
    def errors(self) -> list[tuple[str | None, str | None]]:
        return [_error_of(call) if words.failed(call) else (None, None) for call in self.rows]


class UsageView(View):
    def rows_of(self, run: Run) -> Sequence[Usage]:
        return run.usage_reports

    def cost_of(self, run: Run, row: Usage) -> float | None:
        return prices.of_usage(run, row)


_ERROR = re.compile(r"\[?([A-Z][\w.]*)(?:\]|:)\s+(.*)", re.DOTALL)


def _error_of(call: ToolCallEntry) -> tuple[str | None, str]:
    """`ValueError` and its message; the whole text where it names no type."""
    line = words.error_line(call)
    match = _ERROR.fullmatch(line)
    return (match[1], match[2]) if match else (None, line)
