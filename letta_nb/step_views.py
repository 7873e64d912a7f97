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
from letta_nb.views import Coded, Numbers, PerRun, Values, View, arrival_tells, between

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
    def spans(self) -> tuple[Numbers, Numbers]:
        """Starts and ends."""
        starts: list[int | None] = []
        ends: list[int | None] = []
        for run in self.runs:
            nothing = [None] * len(run.steps)
            first, last = phases.spans(run, phases.stopped_at(run)) if run.timed and run.steps else (nothing, nothing)
            starts += first
            ends += last
        return Numbers.of(starts), Numbers.of(ends)

    @cached_property
    def durations(self) -> Numbers:
        start, end = self.spans
        return end - start

    @cached_property
    def _said(self) -> tuple[list[int | None], list[int | None], list[int], list[ToolCallEntry], set[int]]:
        """First and last token of each step, where arrival tells; of each call its step's row, and the call; and the
        rows of steps whose reasoning came.

        One pass over all entries, and no object a row: a hundred thousand of them keep the garbage collector busy.
        """
        firsts: list[int | None] = [None] * sum(self.counts)
        lasts = firsts.copy()
        rows: list[int] = []
        calls: list[Any] = []
        thought: set[int] = set()
        offset, spoken = 0, frozenset(phases.BLOCKS) - {"tool_call"}
        for run, count in zip(self.runs, self.counts, strict=True):
            tells = arrival_tells(run)
            for entry in run.entries:
                row = entry.step_index
                if row is None:
                    continue
                row += offset
                if entry.kind == "tool_call":
                    rows.append(row)
                    calls.append(entry)
                    if "unseen" in entry.extra:
                        continue
                elif entry.kind not in spoken:
                    continue
                elif entry.kind == "reasoning":
                    thought.add(row)
                at = entry.last_at
                if at is None or not tells:
                    continue
                known = lasts[row]
                if known is None:
                    firsts[row], lasts[row] = entry.first_at, at
                elif at > known:
                    lasts[row] = at
            offset += count
        return firsts, lasts, rows, calls, thought

    @cached_property
    def replies(self) -> tuple[Numbers, Numbers]:
        """First and last token of each step, where arrival tells."""
        firsts, lasts, *_ = self._said
        return Numbers.of(firsts), Numbers.of(lasts)

    @cached_property
    def call_counts(self) -> Numbers:
        """How many calls each step has."""
        import numpy as np

        rows = np.array(self._said[2], dtype="int64")
        counts = np.bincount(rows, minlength=sum(self.counts))
        return Numbers(counts, np.ones(len(counts), dtype=bool))

    @cached_property
    def _tools(self) -> tuple[Numbers, Any]:
        """The time of a step's tool where it had one, and whether the server told it."""
        import numpy as np

        rows, calls = self._said[2:4]
        at = np.array(rows, dtype="int64")
        took = Numbers.at(at, Numbers.of([call.duration for call in calls]), sum(self.counts))
        by_server = np.zeros(len(took), dtype=bool)
        by_server[at] = [call.duration_source == "server" for call in calls]
        only = self.call_counts.values == 1
        return took.where(only), by_server & only

    @property
    def tool(self) -> Numbers:
        return self._tools[0]

    @cached_property
    def approval_waits(self) -> Numbers:
        """How long a step's calls waited for a person, from the first request to the last answer."""
        waits = waits_for_answers(zip(*self._said[2:4], strict=True))
        return Numbers.at(list(waits), Numbers.of(list(waits.values())), sum(self.counts))

    @cached_property
    def overheads(self) -> Numbers:
        """What of a step is neither the model, nor its tool, nor waiting for a person, where all of them are known."""
        took, llm, (tool, by_server), waited = self.durations, self.llm, self._tools, self.approval_waits
        # a tool's time by arrival holds what the server did around the call
        known = llm.known & ((tool.known & by_server) | (self.call_counts.values == 0))
        # a server may tell any number: none is taken away that is more than all of it
        fits = (llm.values <= took.values) & (tool.values <= took.values) & (waited.values <= took.values)
        rest = took.values - llm.values - tool.values - waited.values
        # clocks of two machines: what would be negative is not known
        return Numbers(rest, took.known & known & fits & (rest >= 0))

    @cached_property
    def per_token(self) -> Numbers:
        """Time per output token after the first, where arrival tells the time and the server the tokens.

        Reasoning that did not come was over before the first token did. What came all at once tells no time.
        """
        import numpy as np

        said = self.server("completion_tokens")
        if isinstance(said, PerRun):
            return Numbers.none(sum(self.counts))
        (first, last), tokens = self.replies, Numbers.of(said)
        hidden = self.server("reasoning_tokens")
        unseen = Numbers.none(len(tokens)) if isinstance(hidden, PerRun) else Numbers.of(hidden)
        silent = np.ones(len(tokens), dtype=bool)
        silent[list(self._said[4])] = False
        came = tokens.values - unseen.values * silent
        took = last - first
        tells = (came >= 2) & (took.values > 0)
        each = np.rint(took.values / np.where(tells, came - 1, 1)).astype("int64")
        return Numbers(each, took.known & tokens.known & tells)

    @cached_property
    def longest_gaps(self) -> Numbers:
        """The longest time without an event between a reply's first token and its last."""
        import numpy as np

        first, last = self.replies
        rows = np.flatnonzero(first.known & last.known)
        shifts, times = _laid_out(self.runs)
        shift = np.repeat(np.array(shifts, dtype="int64"), self.counts)[rows]
        place: Any = np.searchsorted
        starts = place(times, first.values[rows] + shift)
        ends = place(times, last.values[rows] + shift, side="right") - 1
        some = ends > starts
        bounds = np.column_stack([starts[some], ends[some]]).ravel()
        if not len(bounds):
            return Numbers.none(len(first))
        # every other piece lies between two replies
        longest = np.maximum.reduceat(np.append(np.diff(times), 0), bounds)[::2]
        return Numbers.at(rows[some], Numbers(longest, np.ones(len(longest), dtype=bool)), len(first))

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

    def server(self, key: str) -> list[Any] | PerRun:
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
    def ttft(self) -> Numbers:
        return self.replies[0] - self.spans[0]

    @cached_property
    def _llm_by_server(self) -> Numbers:
        told = self.server("llm_request_ns")
        return Numbers.none(sum(self.counts)) if isinstance(told, PerRun) else Numbers.of(told)

    @cached_property
    def llm(self) -> Numbers:
        return self._llm_by_server.otherwise(self.replies[1] - self.spans[0])

    @property
    def sources(self) -> Values:
        """Who timed the model and the tool: the server where either figure is its own."""
        tool, by_server = self._tools
        server = self._llm_by_server.known | (tool.known & by_server)
        return Coded([None, "client", "server"], (self.llm.known | tool.known | server) * 1 + server)

    @cached_property
    def costs(self) -> Values:
        return super().costs if self._reports else self.per_run(lambda run: None)

    def errors(self, key: Literal["type", "message"]) -> list[Any] | PerRun:
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


def waits_for_answers(calls: Iterable[tuple[int, ToolCallEntry]]) -> dict[int, int]:
    """How long the calls of each step waited for a person, in ns; each call with its step."""
    asked: dict[int, list[tuple[int, int]]] = {}
    for step, call in calls:
        if call.approval and approval_wait(call) is not None:
            asked.setdefault(step, []).append((call.last_at or 0, call.answered_at or 0))
    return {step: max(answered for _, answered in times) - min(at for at, _ in times) for step, times in asked.items()}


def approval_wait(call: ToolCallEntry) -> int | None:
    """How long a call waited for a person."""
    return between(call.last_at, call.answered_at) if call.approval else None


def _laid_out(runs: Sequence[Run]) -> tuple[list[int], Any]:
    """The arrivals of all events on one axis, run after run, and by how much each run is shifted."""
    import numpy as np

    shifts: list[int] = []
    parts: list[Any] = []
    shift = 0
    for run in runs:
        shifts.append(shift)
        # of an unrecorded run, and of one without times, no reply's time is asked for
        if run.log and run.timed:
            parts.append(np.frombuffer(run.log.at, dtype="int64") + shift)
            shift = int(parts[-1][-1]) + 1
    return shifts, np.concatenate(parts) if parts else np.array([], dtype="int64")


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
