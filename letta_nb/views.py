"""Runs as rows of one grain, with what its columns need worked out once. No pandas here: lists, and None for unknown.

`duration_s` of a tool is the server's figure where its step had this one tool, else by arrival where arrival tells it,
else None. `llm_duration_s` by arrival is from the end of the step before (or the request) to the last token. All runs
are read together: ten thousand short runs cost what one long run does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate, chain, islice, repeat
from types import NoneType
from typing import Any, Literal, NamedTuple

from letta_nb import phases, prices, words
from letta_nb.entries import Entry, Step, ToolCallEntry, Usage
from letta_nb.run import Run


class PerRun(NamedTuple):
    """A column that is the same in all rows of a run: a value a run."""

    values: list[Any]


# a column's values, a row each
Values = list[Any] | PerRun
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SERVER: dict[str, type] = {
    "prompt_tokens": int,
    "completion_tokens": int,
    "total_tokens": int,
    "cached_input_tokens": int,
    "cache_write_tokens": int,
    "reasoning_tokens": int,
    "context_tokens": int,
    "llm_request_ns": int,
    "model": str,
    "stop_reason": str,
    "error_type": str,
}


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
        return costs if any(costs) else self.per_run(lambda run: None)

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


class StepView(View):
    def rows_of(self, run: Run) -> Sequence[Step]:
        return run.steps

    def cost_of(self, run: Run, row: Step) -> float | None:
        return prices.of_step(run, row)

    @cached_property
    def spans(self) -> tuple[list[int | None], list[int | None]]:
        """Starts and ends."""
        starts: list[int | None] = []
        ends: list[int | None] = []
        for run in self.runs:
            nothing = [None] * len(run.steps)
            first, last = phases.spans(run, phases.stopped_at(run)) if run.timed and run.steps else (nothing, nothing)
            starts += first
            ends += last
        return starts, ends

    @cached_property
    def replies(self) -> tuple[list[int | None], list[int | None]]:
        """First and last token of each step, where arrival tells."""
        firsts: list[int | None] = [None] * sum(self.counts)
        lasts = firsts.copy()
        for entry, row in self._entries(arrival_tells):
            last = entry.last_at
            if last is None or entry.kind not in phases.BLOCKS or "unseen" in entry.extra:
                continue
            known = lasts[row]
            if known is None:
                firsts[row], lasts[row] = entry.first_at, last
            elif last > known:
                lasts[row] = last
        return firsts, lasts

    @cached_property
    def calls(self) -> tuple[list[int], list[ToolCallEntry | None]]:
        """How many calls each step has, and the last of them."""
        counts = [0] * sum(self.counts)
        calls: list[ToolCallEntry | None] = [None] * len(counts)
        for entry, row in self._entries(bool):
            if isinstance(entry, ToolCallEntry):
                counts[row] += 1
                calls[row] = entry
        return counts, calls

    def _entries(self, of: Callable[[Run], bool]) -> Iterator[tuple[Entry, int]]:
        """The entries of steps, each with its step's row."""
        offset = 0
        for run, count in zip(self.runs, self.counts, strict=True):
            for entry in run.entries if of(run) else ():
                if entry.step_index is not None:
                    yield entry, offset + entry.step_index
            offset += count

    @cached_property
    def _reports(self) -> dict[str, list[Any]]:
        """What the server reported of the steps, by key; a few steps at a time, all keys while they are near."""
        reports: list[dict[str, Any]] = [step.server for step in self.rows]
        columns: dict[str, list[Any]] = {key: [] for key in _SERVER}
        for start in range(0, len(reports), 512):
            some = reports[start : start + 512]
            for key, column in columns.items():
                column += [report.get(key) for report in some]
        return columns

    def server(self, key: str) -> Values:
        """A figure or a word of the server's; what is not of its kind is as if it were not there."""
        values, kind = self._reports[key], _SERVER[key]
        kinds = set(map(type, values))
        if kind not in kinds:
            return PerRun([None] * len(self.runs))
        if kinds - {kind, NoneType}:
            return [value if type(value) is kind else None for value in values]
        return values

    @property
    def models(self) -> Values:
        named = self.server("model")
        if isinstance(named, PerRun):
            return self.per_run(lambda run: run.model)
        by_run = self.all_of(lambda run, steps: repeat(run.model, len(steps)))
        return [own or model for own, model in zip(named, by_run, strict=True)]

    @cached_property
    def ttft(self) -> list[int | None]:
        return list(map(between, self.spans[0], self.replies[0]))

    @cached_property
    def llm(self) -> list[int | None]:
        by_arrival = map(between, self.spans[0], self.replies[1])
        by_server = self.server("llm_request_ns")
        if isinstance(by_server, PerRun):
            return list(by_arrival)
        return [arrived if ns is None else ns for ns, arrived in zip(by_server, by_arrival, strict=True)]

    @cached_property
    def tool(self) -> list[int | None]:
        return [call.duration if count == 1 and call else None for count, call in zip(*self.calls, strict=True)]

    @property
    def sources(self) -> Values:
        """Who timed the model and the tool: the server where either figure is its own."""
        asked = self.server("llm_request_ns")
        by_server = repeat(None) if isinstance(asked, PerRun) else asked
        return [
            "server"
            if ns is not None or (tool is not None and call is not None and call.duration_source == "server")
            else None
            if llm is None and tool is None
            else "client"
            for ns, llm, tool, call in zip(by_server, self.llm, self.tool, self.calls[1], strict=False)
        ]

    def errors(self, key: Literal["type", "message"]) -> Values:
        """The run's error stands with the step it broke; the server's own rows name their own."""
        values = self.server("error_type") if key == "type" else PerRun([None] * len(self.runs))
        broken = [i for i, run in enumerate(self.runs) if run.steps and run.error and run.status == "failed"]
        if not any(not phases.settled(self.runs[i]) for i in broken):
            return values
        values = [None] * sum(self.counts) if isinstance(values, PerRun) else values.copy()
        ends = list(accumulate(self.counts))
        for i in broken:
            if not phases.settled(self.runs[i]):
                values[ends[i] - 1] = values[ends[i] - 1] or getattr(self.runs[i].error, key)
        return values


def between(start: int | None, end: int | None) -> int | None:
    """How long, where both are known."""
    return None if start is None or end is None else end - start


class ToolView(View):
    def rows_of(self, run: Run) -> Sequence[ToolCallEntry]:
        return run.tool_calls

    def starts(self) -> Values:
        """When a call was complete, which is when its tool could begin; not where it arrived after the tool had run."""
        return self.all_of(
            lambda run, calls: [
                None if run.delivery == "step" or "unseen" in call.extra else call.last_at for call in calls
            ]
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
