"""Did it get worse? `check(new, baseline)` compares two sets of runs: tools called, time, tokens, cost and errors.

Runs are compared with those of the same prompt. A limit is how much is allowed: 1.2 is a fifth more than the baseline,
an error rate of 0.05 five in a hundred more. A figure fails where its whole bootstrap interval lies beyond the limit;
where the figure does and not all of the interval, or there are too few runs for one, more runs would tell, and it is
"unclear". With five runs of each prompt on both sides the prompts are judged by themselves; with fewer, as a sample of
prompts. Where the sides have not as many runs, p95 is that of as many: of five it is not that of two hundred.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from letta_nb import bootstrap, words
from letta_nb.errors import InputError, LettaNbError
from letta_nb.pairing import Facts, Groups, Sequences, facts, paired
from letta_nb.reading import Reading, Runs

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["ok", "unclear", "worse", "not compared"]
_SHOWN_PROMPT = 60
_SHOWN_DIFFS = 3
# steps of a sequence that are laid side by side
_SHOWN_STEPS = 200
# sums of fractions that are equal may differ in their last digit
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed: for the sequence of tools whether it must be one of the baseline's, for p95 of a run's time
    without what it waited for a person (`p95`) and of a tool's (`tool_p95`), for tokens and cost new over baseline, for
    the share of runs and of tool calls that failed new less baseline. None: not compared."""

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

    `new`, `baseline`: Runs, or paths or patterns of run files; where both have the same agents or models, runs are
    compared with those of the same one. The limits are those of `Limits`, None to leave one out. Tools are compared one
    by one, and the finding is that of the worst.
    Intervals are of these prompts with five runs of each and more; with fewer, of prompts such as these, and wider.
    `strict`: what is unclear fails too. `.raise_for_regression()` raises with a readable diff, `.df` has a row a
    finding. Raises InputError where the two have no prompt in common.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError("confidence is between 0 and 1 (0.95), and resamples at least 1 (2000).")
    limits = Limits(tool_sequence, p95, tool_p95, tokens, cost, error_rate, tool_error_rate)
    for measure in _MEASURES:
        _check_limit(measure, getattr(limits, measure.limit))
    groups, note = paired(*((facts(run) for run in Reading(x)) for x in (baseline, new)))
    sampling = bootstrap.Sampling(confidence, resamples, seed)
    return Check(list(_findings(groups, limits, sampling)), note, strict=strict)


def _check_limit(measure: _Measure, limit: Any) -> None:
    most = math.inf if measure.figure.ratio else 1
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= most):
        what = (
            "times the baseline, such as 1.2"
            if measure.figure.ratio
            else "of all, from 0 to 1, that may fail in addition"
        )
        raise InputError(f"{measure.limit}={limit!r:.80}: a limit is a number ({what}), or None for no limit.")


# -- findings ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Measure:
    """A figure that has a limit: how it is called, and which values of a run it is made of, by tool or as a whole."""

    limit: str
    title: str
    figure: bootstrap.Figure
    values: Callable[[Facts], Mapping[str, Sequence[float]]]
    unit: str


def _whole(*values: float | None) -> dict[str, list[float]]:
    return {"": [value for value in values if value is not None]}


_MEASURES: tuple[_Measure, ...] = (
    _Measure("p95", "time of a run, p95", bootstrap.P95, lambda run: _whole(run.seconds), "s"),
    _Measure("tool_p95", "time of a tool call, p95", bootstrap.P95, lambda run: run.tool_seconds, "s"),
    _Measure("tokens", "tokens a run", bootstrap.MEAN, lambda run: _whole(run.tokens), ""),
    _Measure("cost", "cost of a run", bootstrap.MEAN, lambda run: _whole(run.usd), "USD"),
    _Measure("error_rate", "runs that did not complete", bootstrap.SHARE, lambda run: _whole(1 - run.completed), "%"),
    _Measure("tool_error_rate", "tool calls that failed", bootstrap.SHARE, lambda run: _whole(*run.calls), "%"),
)


def _findings(groups: Groups, limits: Limits, sampling: bootstrap.Sampling) -> Iterator[Finding]:
    if limits.tool_sequence:
        yield _sequences(groups)
    for measure in _MEASURES:
        limit: float | None = getattr(limits, measure.limit)
        if limit is not None:
            yield _measured(measure, limit, groups, sampling)


def _measured(measure: _Measure, limit: float, groups: Groups, sampling: bootstrap.Sampling) -> Finding:
    """The finding of a measure; of one by tool that of the tool that is worst, with what is wrong with others."""
    known = _known(measure, groups)
    if not known:
        return Finding(measure.limit, "not compared", f"{measure.title}: not known on both sides", limit=limit)
    # the more tools, the sooner one of them seems to have changed (Bonferroni)
    sampling = sampling._replace(confidence=1 - (1 - sampling.confidence) / len(known))
    changes = {name: bootstrap.change(its, measure.figure, sampling) for name, its in known.items()}
    found: list[tuple[Verdict, str, bootstrap.Change]] = [
        (_verdict(change, limit), name, change) for name, change in changes.items()
    ]
    found.sort(key=lambda its: (_RANK.index(its[0]), -its[2].change))
    verdict, name, change = found[0]
    said = [_told(measure, name, change), f"allowed {_change(limit, measure)}"]
    said += [f"the most of {len(found)} tools"] if len(found) > 1 else []
    said += [] if name else _gaps(measure, groups)
    others = [f"{other}: {_told(measure, its, more)}" for other, its, more in found[1:] if other != "ok"]
    more = [f"and {len(others) - _SHOWN_DIFFS} more tools"] if len(others) > _SHOWN_DIFFS else []
    return Finding(
        measure.limit,
        verdict,
        f"{measure.title}: {', '.join(said)}",
        *change[:5],
        limit=limit,
        diff="\n".join([*others[:_SHOWN_DIFFS], *more]),
    )


_RANK: tuple[Verdict, ...] = ("worse", "unclear", "ok")


def _known(measure: _Measure, groups: Groups) -> dict[str, list[tuple[bootstrap.Values, bootstrap.Values]]]:
    """What is known on both sides, by tool or as a whole: for each group the values of each run."""
    found: dict[str, list[tuple[bootstrap.Values, bootstrap.Values]]] = {}
    for group in groups:
        base, new = ([measure.values(its) for its in side] for side in group)
        for name in dict.fromkeys(name for its in new for name in its):
            sides = [[its[name] for its in side if its.get(name)] for side in (base, new)]
            if all(sides):
                found.setdefault(name, []).append((sides[0], sides[1]))
    return found


def _verdict(change: bootstrap.Change, limit: float) -> Verdict:
    allowed = limit + _NOISE
    sure = change.low is not None and change.low > allowed
    return "worse" if sure else "unclear" if change.change > allowed else "ok"


def _told(measure: _Measure, name: str, change: bootstrap.Change) -> str:
    what = f"{words.clean(name)} " if name else ""
    runs = f" in {change.runs:,} runs each" if change.runs else ""
    told = f"{_figure(change.baseline, measure.unit)} to {_figure(change.new, measure.unit)}"
    return f"{what}{told}{runs}, {_between(change, measure)}"


def _gaps(measure: _Measure, groups: Groups) -> Iterator[str]:
    """On which side, and of how many runs, what is compared is not known; calls are not in each run."""
    if measure.limit == "tool_error_rate":
        return
    for place, side in ((1, "new"), (0, "baseline")):
        runs = [its for group in groups for its in group[place]]
        told = sum(bool(measure.values(its)[""]) for its in runs)
        if told < len(runs):
            yield f"known of {told:,} of {len(runs):,} {side} runs"


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
    return f"{value:.2f}x" if measure.figure.ratio else f"{value * 100:+.1f} points"


def _sequences(groups: Groups) -> Finding:
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
