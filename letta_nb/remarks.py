"""What a remark about a run is, and what the rules that make remarks read: the run, its tables and its totals.

A rule (see `remarks_calls`, `remarks_time`, `remarks_tokens`) looks for one thing, and says it only with the rows that
prove it; it is silent where the wire does not tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from letta_nb import frames, phases
from letta_nb.align import line
from letta_nb.columns import Grain
from letta_nb.entries import ToolCallEntry
from letta_nb.run import Run

Kind = Literal[
    "longest_gap",
    "slowest_tool",
    "calls_together",
    "repeated_calls",
    "failed_calls",
    "approval_wait",
    "unattributed",
    "cache_drop",
    "context_growth",
    "costly_step",
    "reasoning_share",
]
# a part of the run's time that is worth a word, and the shortest time that is (ns); without a whole, only a long one
PART, SHORTEST, LONG = 0.1, 100_000_000, 1_000_000_000


@dataclass(frozen=True, eq=False)
class Note:
    """One remark: a sentence, what is at stake, and `rows`, the rows of the table `grain` that prove it.

    `share`: the part of the run's time, tokens, cost or calls that it is about, at least; notes are ordered by it.
    `shown`: the columns of `rows` that matter here. None at stake is "not known".
    """

    kind: Kind
    words: str
    share: float
    grain: Grain
    rows: Any
    shown: tuple[str, ...]
    stake_s: float | None = None
    stake_tokens: int | None = None
    stake_usd: float | None = None


class Facts:
    """A run and its tables, each made once, when a rule asks for it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.calls = run.tool_calls
        self.fall = phases.waterfall(run)

    @cached_property
    def steps(self) -> Any:
        return frames.steps_df(self.run)

    @cached_property
    def tools(self) -> Any:
        return frames.tools_df(self.run)

    @cached_property
    def tokens(self) -> int | None:
        usage = self.run.usage
        if usage is not None and usage.total_tokens:
            return usage.total_tokens
        return self.sum_of("total_tokens", self.steps.index)

    def sum_of(self, column: str, indexes: Sequence[int]) -> int | None:
        """What steps come to, where there are some and all of them tell."""
        values = self.steps[column].iloc[list(indexes)]
        return int(values.sum()) if len(values) and not values.isna().any() else None

    def part(self, ns: int) -> float:
        """A time as a part of the run's."""
        return min(ns / self.fall.end, 1.0) if self.fall.end else 0.0

    def of_run(self, ns: int) -> str:
        """`, 39% of the run`."""
        return f", {self.part(ns):.0%} of the run" if self.fall.end else ""

    def part_of_tokens(self, tokens: int | None) -> float:
        return min((tokens or 0) / self.tokens, 1.0) if self.tokens else 0.0

    def weighs(self, ns: int) -> bool:
        """Whether a time is worth a word; in a run that nobody timed, only a long one."""
        return ns >= LONG if not self.fall.end else ns >= SHORTEST and self.part(ns) >= PART


def names_of(calls: Sequence[ToolCallEntry]) -> str:
    """`get_weather (2 times), slow_lookup`."""
    counts = Counter(line(call.name or "tool") for call in calls).most_common()
    told = [name if count == 1 else f"{name} ({count} times)" for name, count in counts[:4]]
    return ", ".join([*told, *([f"and {len(counts) - 4} more"] if len(counts) > 4 else [])])
