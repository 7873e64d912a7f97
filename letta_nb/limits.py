"""A figure of runs against its limit: how much more than the baseline's is allowed, and how sure it is that it is more.

Times, tokens and cost are those of runs that completed; that others did not is a figure of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from letta_nb import bootstrap, figures, words
from letta_nb.errors import InputError
from letta_nb.pairing import Facts, Groups

Verdict = Literal["ok", "unclear", "worse", "not compared"]
SHOWN_DIFFS = 3
_SHOWN_PROMPT = 60
# sums of fractions that are equal may differ in their last digit
_NOISE = 1e-9
_RANK: tuple[Verdict, ...] = ("worse", "unclear", "ok")


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


def check_limits(limits: Limits) -> None:
    """Raises InputError for what can be no limit."""
    for measure in MEASURES:
        limit = getattr(limits, measure.limit)
        ratio = measure.figure.ratio
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if limit is None or (number and 0 <= limit <= (math.inf if ratio else 1)):
            continue
        what = "times the baseline, such as 1.2" if ratio else "of all, from 0 to 1, that may fail in addition"
        raise InputError(f"{measure.limit}={limit!r:.80}: a limit is a number ({what}), or None for no limit.")


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that has a limit: how it is called, and which values of a run it is made of, by tool or as a whole."""

    limit: str
    title: str
    figure: bootstrap.Figure
    values: Callable[[Facts], Mapping[str, Sequence[float]]]
    unit: str


def _whole(*values: float | None) -> dict[str, list[float]]:
    return {"": [value for value in values if value is not None]}


def _of_completed(run: Facts, value: float | None) -> dict[str, list[float]]:
    return _whole(value if run.completed else None)


MEASURES: tuple[Measure, ...] = (
    Measure("p95", "time of a run, p95", bootstrap.P95, lambda run: _of_completed(run, run.seconds), "s"),
    Measure("tool_p95", "time of a tool call, p95", bootstrap.P95, lambda run: run.tool_seconds, "s"),
    Measure("tokens", "tokens a run", bootstrap.MEAN, lambda run: _of_completed(run, run.tokens), ""),
    Measure("cost", "cost of a run", bootstrap.MEAN, lambda run: _of_completed(run, run.usd), "USD"),
    Measure("error_rate", "runs that did not complete", bootstrap.SHARE, lambda run: _whole(1 - run.completed), "%"),
    Measure("tool_error_rate", "tool calls that failed", bootstrap.SHARE, lambda run: _whole(*run.calls), "%"),
)
_OF_COMPLETED = ("p95", "tokens", "cost")


class _Part(NamedTuple):
    """What a measure is asked of: all runs, or one of so many tools or prompts (`what`), with its `share` of the doubt
    that is allowed. Of many prompts one always seems slower: they are told of only where it is sure."""

    name: str
    title: str
    figure: bootstrap.Figure
    groups: list[tuple[bootstrap.Values, bootstrap.Values]]
    share: float = 1.0
    what: str = ""
    only_if_sure: bool = False


class _Result(NamedTuple):
    part: _Part
    verdict: Verdict
    change: bootstrap.Change


def measured(measure: Measure, limit: float, groups: Groups, sampling: bootstrap.Sampling) -> Finding:
    """The finding of a measure; of several tools or prompts that of the worst, with what is wrong with others."""
    found: list[_Result] = []
    for part in _parts(measure, groups):
        # the more is asked, the sooner something seems to have changed (Bonferroni)
        its = sampling._replace(confidence=1 - (1 - sampling.confidence) * part.share)
        change = bootstrap.change(part.groups, part.figure, its)
        verdict = _verdict(change, limit)
        if verdict == "worse" or not part.only_if_sure:
            found.append(_Result(part, verdict, change))
    if not found:
        return Finding(measure.limit, "not compared", f"{measure.title}: not known on both sides", limit=limit)
    # all runs before a prompt, and where nothing is wrong what was asked first
    ranked = sorted(found, key=_order)
    worst = ranked[0]
    said = [_told(measure, worst), f"allowed {_change(limit, measure)}"]
    said += [f"the most of {worst.part.what}"] if worst.part.what else []
    said += [] if worst.part.name else _gaps(measure, groups)
    others = [f"{its.verdict}: {_told(measure, its)}" for its in ranked if its.verdict != "ok" and its is not worst]
    more = [f"and {len(others) - SHOWN_DIFFS} more"] if len(others) > SHOWN_DIFFS else []
    return Finding(
        measure.limit,
        worst.verdict,
        f"{worst.part.title}: {', '.join(said)}",
        *worst.change[:5],
        limit=limit,
        diff="\n".join([*others[:SHOWN_DIFFS], *more]),
    )


def _order(result: _Result) -> tuple[int, bool, float]:
    whole, calm = not result.part.name, result.verdict == "ok"
    return _RANK.index(result.verdict), not whole, 0.0 if whole and calm else -result.change.change


def _parts(measure: Measure, groups: Groups) -> Iterator[_Part]:
    known = _known(measure, groups)
    if "" not in known:
        what = f"{len(known)} tools" if len(known) > 1 else ""
        for name, its in known.items():
            every = list(its.values())
            yield _Part(words.clean(name), measure.title, measure.figure, every, 1 / len(known), what)
        return
    of_group = known[""]
    every = list(of_group.values())
    if measure.limit != "p95" or len(every) == 1:
        yield _Part("", measure.title, measure.figure, every)
        return
    # one slow prompt is all of a p95, whatever became of the others: each is asked, or their geometric mean
    yield _Part("", measure.title, measure.figure, every, 0.5)
    if min(len(side) for group in every for side in group) < bootstrap.FEWEST_RUNS:
        yield _Part("", "time of a run, geometric mean", bootstrap.GEOMETRIC, every, 0.5)
        return
    for index, its in of_group.items():
        name = _label(groups[index][0][0], groups)
        yield _Part(name, measure.title, measure.figure, [its], 0.5 / len(every), f"{len(every)} prompts", True)


def _known(measure: Measure, groups: Groups) -> dict[str, dict[int, tuple[bootstrap.Values, bootstrap.Values]]]:
    """What is known on both sides, by tool or as a whole: by the group's place, the values of each run."""
    found: dict[str, dict[int, tuple[bootstrap.Values, bootstrap.Values]]] = {}
    for index, group in enumerate(groups):
        base, new = ([measure.values(its) for its in side] for side in group)
        for name in dict.fromkeys(name for its in new for name in its):
            sides = [[its[name] for its in side if its.get(name)] for side in (base, new)]
            if all(sides):
                found.setdefault(name, {})[index] = (sides[0], sides[1])
    return found


def _label(run: Facts, groups: Groups) -> str:
    """A group by its prompt, and by its agent and model where others of that prompt have another."""
    same = [base[0] for base, _ in groups if base[0].prompt == run.prompt]
    parts = [its for its in ("agent", "model") if len({getattr(other, its) for other in same}) > 1]
    return ", ".join([f'"{short(run.prompt)}"', *(words.clean(str(getattr(run, its))) for its in parts)])


def short(prompt: str) -> str:
    """The start of a prompt, on one line."""
    text = " ".join(words.clean(prompt).split())
    return text if len(text) <= _SHOWN_PROMPT else text[: _SHOWN_PROMPT - 1] + "…"


def _verdict(change: bootstrap.Change, limit: float) -> Verdict:
    allowed = limit + _NOISE
    sure = change.low is not None and change.low > allowed
    return "worse" if sure else "unclear" if change.change > allowed else "ok"


def _told(measure: Measure, result: _Result) -> str:
    change, name = result.change, result.part.name
    what = f"{name} " if name else ""
    runs = f" in {change.runs:,} runs each" if change.runs else ""
    told = f"{_figure(change.baseline, measure.unit)} to {_figure(change.new, measure.unit)}"
    return f"{what}{told}{runs}, {_between(change, measure)}"


def _gaps(measure: Measure, groups: Groups) -> Iterator[str]:
    """Of how many runs of which side what is compared is known; calls are not in each run."""
    if measure.limit == "tool_error_rate":
        return
    for place, side in ((1, "new"), (0, "baseline")):
        runs = [its for group in groups for its in group[place]]
        told = sum(bool(measure.values(its)[""]) for its in runs)
        if told < len(runs):
            failed = Counter(its.completed for its in runs)[0.0] if measure.limit in _OF_COMPLETED else 0
            which = "of the" if told == len(runs) - failed else "known of"
            which += f" {told:,} of {len(runs):,} {side} runs"
            yield f"{which} that completed" if told == len(runs) - failed else which


def _between(change: bootstrap.Change, measure: Measure) -> str:
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
    return figures.time(round(value * 1e9)) if unit == "s" else f"{value:,.0f}"


def _change(value: float, measure: Measure) -> str:
    if not measure.figure.ratio:
        return f"{value * 100:+.1f} points"
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"
