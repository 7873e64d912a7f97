"""Did it get worse? `check(new, baseline)` compares two sets of runs: tools called, time, tokens, cost and errors.

Runs are compared with those of the same prompt. A limit is how much is allowed: 1.2 is a fifth more than the baseline,
an error rate of 0.05 five in a hundred more. A figure fails where its whole bootstrap interval lies beyond the limit;
where only a part does, or one run of one prompt is all there is, more runs would tell, and it is "unclear". With five
runs of each prompt on both sides the prompts are judged by themselves; with fewer, as a sample of prompts.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from letta_nb import bootstrap, words
from letta_nb.errors import InputError, LettaNbError
from letta_nb.reading import Reading, Runs
from letta_nb.run import Run

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["ok", "unclear", "worse", "not compared"]
Sequences = tuple[tuple[str, ...], ...]
_SHOWN_PROMPT = 60
_SHOWN_DIFFS = 3
# steps of a sequence that are laid side by side
_SHOWN_STEPS = 200
# sums of fractions that are equal may differ in their last digit
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed: for the sequence of tools whether it must be one of the baseline's, for p95 of a run's time
    (`p95`) and of a tool's (`tool_p95`), for tokens and cost new over baseline, for the share of runs and of tool calls
    that failed new less baseline. None: not compared."""

    tool_sequence: bool | None = True
    p95: float | None = 1.2
    tool_p95: float | None = 1.2
    tokens: float | None = 1.1
    cost: float | None = 1.1
    error_rate: float | None = 0.0
    tool_error_rate: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing compared. `change` is new over baseline, of rates new less baseline, and lies between `low` and `high`
    with the confidence asked for (None: too few runs). `words` say it, `diff` shows it."""

    name: str
    verdict: Verdict
    words: str
    baseline: float | None = None
    new: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    diff: str = ""


class Regression(LettaNbError, AssertionError):
    """New runs are worse than their baseline; `check` has all that was compared."""

    def __init__(self, check: Check) -> None:
        super().__init__(str(check))
        self.check = check


class _Facts(NamedTuple):
    """What of a run is compared; the run itself is let go."""

    prompt: str
    tools: Sequences
    completed: float
    seconds: float | None
    tokens: float | None
    usd: float | None
    calls: tuple[float, ...]
    tool_seconds: tuple[float, ...]


def check(
    new: Runs,
    baseline: Runs,
    *,
    tool_sequence: bool | None = True,
    p95: float | None = 1.2,
    tool_p95: float | None = 1.2,
    tokens: float | None = 1.1,
    cost: float | None = 1.1,
    error_rate: float | None = 0.0,
    tool_error_rate: float | None = 0.0,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    strict: bool = False,
) -> Check:
    """Compare new runs with a baseline of the same prompts; the result is true if nothing is worse.

    `new`, `baseline`: Runs, or paths or patterns of run files. The limits are those of `Limits`, None to leave one out.
    Intervals are of these prompts with five runs of each and more; with fewer, of prompts such as these, and wider.
    `strict`: what is unclear fails too. `.raise_for_regression()` raises with a readable diff, `.df` has a row a
    finding. Raises InputError where the two have no prompt in common.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError("confidence is between 0 and 1 (0.95), and resamples at least 1 (2000).")
    limits = Limits(tool_sequence, p95, tool_p95, tokens, cost, error_rate, tool_error_rate)
    for measure in _MEASURES:
        _check_limit(measure, getattr(limits, measure.limit))
    sides = [_by_prompt(_facts(run) for run in Reading(x)) for x in (baseline, new)]
    for side, name in zip(sides, ("baseline", "new"), strict=True):
        if not side:
            raise InputError(f"There are no runs in {name}, so there is nothing to compare.")
    groups = [(sides[0][prompt], sides[1][prompt]) for prompt in sides[1] if prompt in sides[0]]
    if not groups:
        raise InputError("The new runs and the baseline have no prompt in common, so there is nothing to compare.")
    sampling = bootstrap.Sampling(confidence, resamples, seed)
    return Check(list(_findings(groups, limits, sampling)), _left_out(sides), strict=strict)


def _check_limit(measure: _Measure, limit: Any) -> None:
    most = math.inf if measure.ratio else 1
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= most):
        what = "times the baseline, such as 1.2" if measure.ratio else "of all, from 0 to 1, that may fail in addition"
        raise InputError(f"{measure.limit}={limit!r:.80}: a limit is a number ({what}), or None for no limit.")


def _facts(run: Run) -> _Facts:
    calls = run.tool_calls
    names: dict[int, list[str]] = {step.index: [] for step in run.steps}
    for call in calls:
        names.setdefault(-1 if call.step_index is None else call.step_index, []).append(call.name or "tool")
    usage, cost = run.usage, run.cost
    return _Facts(
        prompt=run.prompt,
        # calls of one step have no order among themselves
        tools=tuple(tuple(sorted(its)) for _, its in sorted(names.items()) if its),
        completed=float(run.status in ("completed", "requires_approval")),
        seconds=None if run.ended_at is None or not run.timed else run.ended_at / 1e9,
        tokens=None if usage is None or usage.total_tokens is None else float(usage.total_tokens),
        usd=None if cost is None else cost.usd,
        calls=tuple(float(words.failed(call)) for call in calls),
        tool_seconds=tuple(call.duration / 1e9 for call in calls if call.duration is not None),
    )


def _by_prompt(facts: Iterable[_Facts]) -> dict[str, list[_Facts]]:
    found: dict[str, list[_Facts]] = {}
    for its in facts:
        found.setdefault(its.prompt, []).append(its)
    return found


def _left_out(sides: list[dict[str, list[_Facts]]]) -> str:
    base, new = (set(side) for side in sides)
    parts = [
        f"{len(only)} of the {where}'s prompts are not in the {other}"
        for only, where, other in ((base - new, "baseline", "new runs"), (new - base, "new runs", "baseline"))
        if only
    ]
    return "; ".join(parts).replace("new runs's", "new runs'")


# -- findings ----------------------------------------------------------------------------------------------------------

_Groups = Sequence[tuple[list[_Facts], list[_Facts]]]


@dataclass(frozen=True, slots=True)
class _Measure:
    """A figure that has a limit: how it is called, and which values of a run it is made of."""

    limit: str
    title: str
    figure: bootstrap.Figure
    values: Callable[[_Facts], Iterable[float | None]]
    unit: str
    ratio: bool = True


_MEASURES: tuple[_Measure, ...] = (
    _Measure("p95", "time of a run, p95", bootstrap.p95, lambda run: [run.seconds], "s"),
    _Measure("tool_p95", "time of a tool call, p95", bootstrap.p95, lambda run: run.tool_seconds, "s"),
    _Measure("tokens", "tokens a run", bootstrap.mean, lambda run: [run.tokens], ""),
    _Measure("cost", "cost of a run", bootstrap.mean, lambda run: [run.usd], "USD"),
    _Measure("error_rate", "runs that did not complete", bootstrap.mean, lambda run: [1 - run.completed], "%", False),
    _Measure("tool_error_rate", "tool calls that failed", bootstrap.mean, lambda run: run.calls, "%", False),
)


def _findings(groups: _Groups, limits: Limits, sampling: bootstrap.Sampling) -> Iterator[Finding]:
    if limits.tool_sequence:
        yield _sequences(groups)
    for measure in _MEASURES:
        limit: float | None = getattr(limits, measure.limit)
        if limit is None:
            continue
        values = [(_known(base, measure), _known(new, measure)) for base, new in groups]
        known = [(base, new) for base, new in values if base and new]
        change = bootstrap.change(known, measure.figure, sampling, ratio=measure.ratio) if known else None
        yield _measured(measure, limit, change)


def _known(side: Iterable[_Facts], measure: _Measure) -> list[float]:
    return [value for facts in side for value in measure.values(facts) if value is not None]


def _measured(measure: _Measure, limit: float, change: bootstrap.Change | None) -> Finding:
    if change is None:
        return Finding(measure.limit, "not compared", f"{measure.title}: not known on both sides", limit=limit)
    allowed = limit + _NOISE
    sure = change.low is not None and change.low > allowed
    verdict: Verdict = "worse" if sure else "unclear" if change.change > allowed else "ok"
    told = f"{_figure(change.baseline, measure.unit)} to {_figure(change.new, measure.unit)}"
    said = f"{measure.title}: {told}, {_between(change, measure)}, allowed {_change(limit, measure)}"
    return Finding(measure.limit, verdict, said, *change, limit=limit)


def _between(change: bootstrap.Change, measure: _Measure) -> str:
    """`1.20x (1.05x to 1.31x)`; one figure where all resamples agree."""
    if change.low is None or change.high is None:
        return f"{_change(change.change, measure)} (too few runs for an interval)"
    low, its, high = (_change(value, measure) for value in (change.low, change.change, change.high))
    return its if low == its == high else f"{its} ({low} to {high})"


def _figure(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1%}"
    if unit == "USD":
        return f"${value:.2g}" if value >= 1e-4 or not value else f"${value:.7f}"
    return f"{value:,.3g} {unit}" if unit else f"{value:,.0f}"


def _change(value: float, measure: _Measure) -> str:
    return f"{value:.2f}x" if measure.ratio else f"{value * 100:+.1f} points"


def _sequences(groups: _Groups) -> Finding:
    other = 0
    diffs: list[str] = []
    for base, new in groups:
        usual = Counter(facts.tools for facts in base)
        strange = Counter(facts.tools for facts in new if facts.tools not in usual)
        other += sum(strange.values())
        for tools, count in strange.most_common(1):
            near = max(usual, key=lambda known, tools=tools: (_alike(known, tools), usual[known]))
            head = f"{_short(base[0].prompt)}  ({count} of {len(new)} new runs)"
            diffs.append("\n".join([head, *_diff(near, tools)]))
    every = sum(len(new) for _, new in groups)
    more = [f"and {len(diffs) - _SHOWN_DIFFS} more prompts"] if len(diffs) > _SHOWN_DIFFS else []
    if not other:
        return Finding("tool_sequence", "ok", f"sequence of tools: as in the baseline, {every} of {every} new runs")
    said = f"sequence of tools: {other} of {every} new runs call tools as no run of the baseline does"
    return Finding("tool_sequence", "worse", said, diff="\n".join([*diffs[:_SHOWN_DIFFS], *more]))


def _alike(a: Sequences, b: Sequences) -> float:
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def _diff(base: Sequences, new: Sequences) -> list[str]:
    """The nearest sequence of the baseline and the new one, a step a line."""
    old, now = ([words.clean(" and ".join(step)) for step in side] or ["(no tool)"] for side in (base, new))
    lines: list[str] = []
    matcher = difflib.SequenceMatcher(None, old[:_SHOWN_STEPS], now[:_SHOWN_STEPS], autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            lines += [f"      {line}" for line in old[start:end]]
            continue
        lines += [f"    - {line}" for line in old[start:end]]
        lines += [f"    + {line}" for line in now[new_start:new_end]]
    more = max(len(old), len(now)) - _SHOWN_STEPS
    return [*lines, f"      and {more} more steps"] if more > 0 else lines


def _short(prompt: str) -> str:
    text = " ".join(words.clean(prompt).split())
    return text if len(text) <= _SHOWN_PROMPT else text[: _SHOWN_PROMPT - 1] + "…"


class Check:
    """What was compared: `findings`, and whether it `passed`."""

    def __init__(self, findings: list[Finding], note: str = "", *, strict: bool = False) -> None:
        self.findings = findings
        self.note = note
        self._fails: set[Verdict] = {"worse", "unclear"} if strict else {"worse"}

    @property
    def failed(self) -> list[Finding]:
        """What is worse; with `strict` also what is unclear."""
        return [finding for finding in self.findings if finding.verdict in self._fails]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def __bool__(self) -> bool:
        return self.passed

    def raise_for_regression(self) -> Check:
        """Raise `Regression`, an AssertionError, if something is worse; else returns this."""
        if not self.passed:
            raise Regression(self)
        return self

    @property
    def df(self) -> pd.DataFrame:
        """A row a finding."""
        import pandas as pd

        names = [field.name for field in fields(Finding)]
        rows = {name: [getattr(finding, name) for finding in self.findings] for name in names}
        texts = {"name", "verdict", "words", "diff"}
        return pd.DataFrame(
            {name: pd.array(its, dtype="string" if name in texts else "Float64") for name, its in rows.items()}
        )

    def __str__(self) -> str:
        lines = [self._head()]
        for finding in self.findings:
            lines.append(f"  {finding.verdict:<12}  {finding.words}")
            lines += [f"      {line}" for line in finding.diff.splitlines()]
        return "\n".join([*lines, *([self.note + "."] if self.note else [])])

    __repr__ = __str__

    def _head(self) -> str:
        counts = Counter(finding.verdict for finding in self.findings)
        every = len(self.findings)
        parts = [f"{counts['worse']} of {every} got worse than the baseline allows"] if counts["worse"] else []
        if counts["unclear"]:
            parts.append(f"{counts['unclear']} of {every} unclear: more runs of each prompt, on both sides, would tell")
        return f"{'; '.join(parts) or 'No regression'}."

    def _repr_html_(self) -> str:
        return f'<pre style="font-family:monospace">{escape(str(self))}</pre>'
