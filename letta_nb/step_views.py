"""Runs as steps, and what becomes of a run by its steps: times, tokens and waits. Lists, and None for unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, islice, repeat
from types import NoneType
from typing import Any, Literal

from letta_nb import phases, prices
from letta_nb.entries import Step, ToolCallEntry
from letta_nb.run import Run
from letta_nb.views import PerRun, Values, View, arrival_tells, between

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


class StepView(View):
    """Steps of runs. Times are ns; a step is over when the next may begin."""

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
        firsts: list[int | None] = []
        lasts: list[int | None] = []
        for run, count in zip(self.runs, self.counts, strict=True):
            first: list[int | None] = [None] * count
            last = first.copy()
            for entry in run.entries if arrival_tells(run) else ():
                row, at = entry.step_index, entry.last_at
                if row is None or at is None or entry.kind not in phases.BLOCKS or "unseen" in entry.extra:
                    continue
                known = last[row]
                if known is None:
                    first[row], last[row] = entry.first_at, at
                elif at > known:
                    last[row] = at
            firsts += first
            lasts += last
        return firsts, lasts

    @cached_property
    def _calls(self) -> list[tuple[int, ToolCallEntry]]:
        """The calls of all steps, each with its step's row."""
        found: list[tuple[int, ToolCallEntry]] = []
        offset = 0
        for run, count in zip(self.runs, self.counts, strict=True):
            found += [(offset + call.step_index, call) for call in run.tool_calls if call.step_index is not None]
            offset += count
        return found

    @cached_property
    def calls(self) -> tuple[list[int], list[ToolCallEntry | None]]:
        """How many calls each step has, and the last of them."""
        counts = [0] * sum(self.counts)
        calls: list[ToolCallEntry | None] = [None] * len(counts)
        for row, call in self._calls:
            counts[row] += 1
            calls[row] = call
        return counts, calls

    @cached_property
    def approval_waits(self) -> list[int | None]:
        """How long a step's calls waited for a person, from the first request to the last answer."""
        asked: dict[int, list[tuple[int, int]]] = {}
        for row, call in self._calls:
            if approval_wait(call) is not None:
                asked.setdefault(row, []).append((call.last_at or 0, call.answered_at or 0))
        waits: list[int | None] = [None] * sum(self.counts)
        for row, times in asked.items():
            waits[row] = max(answered for _, answered in times) - min(at for at, _ in times)
        return waits

    @cached_property
    def overheads(self) -> list[int | None]:
        """What of a step is neither the model, nor its tool, nor waiting for a person, where all of them are known."""
        rows = zip(map(between, *self.spans), self.llm, self.tool, self.calls[0], self.approval_waits, strict=True)
        return [
            rest
            if took is not None
            and llm is not None
            and (tool is not None or not count)
            # clocks of two machines: what would be negative is not known
            and (rest := took - llm - (tool or 0) - (waited or 0)) >= 0
            else None
            for took, llm, tool, count, waited in rows
        ]

    @cached_property
    def per_token(self) -> list[int | None]:
        """Time per output token after the first, where arrival tells the time and the server the tokens."""
        said = self.server("completion_tokens")
        if isinstance(said, PerRun):
            return [None] * sum(self.counts)
        return [
            None if took is None or tokens is None or tokens < 2 else round(took / (tokens - 1))
            for took, tokens in zip(map(between, *self.replies), said, strict=True)
        ]

    @cached_property
    def longest_gaps(self) -> list[int | None]:
        """The longest time without an event between a reply's first token and its last."""
        found: list[int | None] = []
        firsts, lasts = self.replies
        for run, count in zip(self.runs, self.counts, strict=True):
            here = slice(len(found), len(found) + count)
            found += _longest_gaps(run, firsts[here], lasts[here])
        return found

    @cached_property
    def _reports(self) -> dict[str, list[Any]]:
        """What the server reported of the steps, by key; a few steps at a time, all keys while they are near."""
        reports: list[dict[str, Any]] = [step.server for step in self.rows]
        if not any(reports):
            return {}
        columns: dict[str, list[Any]] = {key: [] for key in _SERVER}
        for start in range(0, len(reports), 512):
            some = reports[start : start + 512]
            for key, column in columns.items():
                column += [report.get(key) for report in some]
        return columns

    def server(self, key: str) -> Values:
        """A figure or a word of the server's; what is not of its kind is as if it were not there."""
        values, kind = self._reports.get(key, []), _SERVER[key]
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


def approval_wait(call: ToolCallEntry) -> int | None:
    """How long a call waited for a person."""
    return between(call.last_at, call.answered_at) if call.approval else None


def _longest_gaps(run: Run, firsts: list[int | None], lasts: list[int | None]) -> list[int | None]:
    import numpy as np

    found: list[int | None] = [None] * len(firsts)
    replies = [row for row, first in enumerate(firsts) if first is not None and lasts[row] is not None]
    if not replies or not run.log:
        return found
    times = np.frombuffer(run.log.at, dtype="int64")
    starts = np.searchsorted(times, np.array([firsts[row] for row in replies], dtype="int64"))
    ends = np.searchsorted(times, np.array([lasts[row] for row in replies], dtype="int64"), side="right") - 1
    gaps = np.append(np.diff(times), 0)
    some = ends > starts
    bounds = np.column_stack([starts[some], ends[some]]).ravel()
    # every other piece lies between two replies
    longest: list[int] = np.maximum.reduceat(gaps, bounds)[::2].tolist() if len(bounds) else []
    for row, gap in zip(np.array(replies)[some].tolist(), longest, strict=True):
        found[row] = gap
    return found


class RunView(View):
    """Runs, with what their steps and calls add up to."""

    @cached_property
    def steps(self) -> StepView:
        return StepView(self.runs)

    def by_run(self, values: Iterable[int | None]) -> Iterator[list[int | None]]:
        """A figure of the steps, run by run."""
        rest = iter(values)
        return (list(islice(rest, count)) for count in self.steps.counts)

    @property
    def tool(self) -> list[int | None]:
        """The time of all calls, each for itself, where all are known."""
        return [whole(call.duration for call in run.tool_calls) for run in self.runs]


def whole(values: Iterable[int | None]) -> int | None:
    """The sum, where there is something to add and all of it is known."""
    known = list(values)
    return sum(value for value in known if value is not None) if known and None not in known else None


def known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]
