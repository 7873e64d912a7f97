"""Did it get worse? `check(new, baseline)` compares two sets of runs: tools called, time, tokens, cost and errors.

Runs are compared with those of the same prompt. A limit is how much is allowed: 1.2 is a fifth more than the baseline,
an error rate of 0.05 five in a hundred more. A figure fails where its whole bootstrap interval lies beyond the limit;
where the figure does and not all of the interval, or there are too few runs for one, more runs would tell, and it is
"unclear". With five runs of each prompt on both sides the prompts are judged by themselves; with fewer, as a sample of
prompts. Where the sides have not as many runs, p95 is that of as many: of five it is not that of two hundred.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING

from letta_nb import bootstrap, words
from letta_nb.errors import InputError, LettaNbError
from letta_nb.limits import MEASURES, SHOWN_DIFFS, Finding, Limits, Verdict, check_limits, measured, short
from letta_nb.pairing import Groups, Sequences, facts, paired
from letta_nb.reading import Reading, Runs

if TYPE_CHECKING:
    import pandas as pd

# steps of a sequence that are laid side by side
_SHOWN_STEPS = 200
# the growth of a sequence's share that makes it another habit
_MOST = 0.5


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
    compared with those of the same one. The limits are those of `Limits`, None to leave one out; times, tokens and cost
    are of runs that completed. Tools are compared one by one, and so is the time of prompts that ran three times and
    more (of others their geometric mean, beside p95 of all): the finding is that of the worst, `diff` has the others.
    Intervals are of these prompts with five runs of each and more; with fewer, of prompts such as these, and wider.
    `strict`: what is unclear fails too. `.raise_for_regression()` raises with a readable diff, `.df` has a row a
    finding. Raises InputError where the two have no prompt in common.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError("confidence is between 0 and 1 (0.95), and resamples at least 1 (2000).")
    limits = Limits(tool_sequence, p95, tool_p95, tokens, cost, error_rate, tool_error_rate)
    check_limits(limits)
    groups, note = paired(*((facts(run) for run in Reading(x)) for x in (baseline, new)))
    sampling = bootstrap.Sampling(confidence, resamples, seed)
    return Check(list(_findings(groups, limits, sampling)), note, strict=strict)


# -- findings ----------------------------------------------------------------------------------------------------------


def _findings(groups: Groups, limits: Limits, sampling: bootstrap.Sampling) -> Iterator[Finding]:
    if limits.tool_sequence:
        yield _sequences(groups, sampling)
    for measure in MEASURES:
        limit: float | None = getattr(limits, measure.limit)
        if limit is not None:
            yield measured(measure, limit, groups, sampling)


def _sequences(groups: Groups, sampling: bootstrap.Sampling) -> Finding:
    other = 0
    diffs: list[str] = []
    for base, new in groups:
        usual = Counter(facts.tools for facts in base)
        strange = Counter(facts.tools for facts in new if facts.tools not in usual)
        other += sum(strange.values())
        for tools, count in strange.most_common(1):
            near = max(usual, key=lambda known, tools=tools: (_alike(known, tools), usual[known]))
            head = f"{short(base[0].prompt)}  ({count} of {len(new)} new runs)"
            diffs.append("\n".join([head, *_diff(near, tools)]))
    every = sum(len(new) for _, new in groups)
    more = [f"and {len(diffs) - SHOWN_DIFFS} more prompts"] if len(diffs) > SHOWN_DIFFS else []
    if other:
        said = f"sequence of tools: {other} of {every} new runs call tools as no run of the baseline does"
        return Finding("tool_sequence", "worse", said, diff="\n".join([*diffs[:SHOWN_DIFFS], *more]))
    return _other_habit(groups, sampling) or Finding(
        "tool_sequence", "ok", f"sequence of tools: as in the baseline, {every} of {every} new runs"
    )


def _other_habit(groups: Groups, sampling: bootstrap.Sampling) -> Finding | None:
    """What most new runs do and hardly any of the baseline did: one odd run does not make it usual."""
    most, _ = Counter(run.tools for _, new in groups for run in new).most_common(1)[0]
    shares = [tuple([[float(run.tools == most)] for run in side] for side in group) for group in groups]
    change = bootstrap.change([(base, new) for base, new in shares], bootstrap.SHARE, sampling)
    if change.low is None or change.low <= _MOST:
        return None
    said = f"{change.new:.0%} of the new runs do what {change.baseline:.0%} of the baseline's did"
    diff = "\n".join(f"      {line}" for line in _told(most[:_SHOWN_STEPS]))
    return Finding("tool_sequence", "worse", f"sequence of tools: {said}", diff=diff)


def _alike(a: Sequences, b: Sequences) -> float:
    """How alike they are in what is shown: all of ten thousand steps would take seconds."""
    return difflib.SequenceMatcher(None, a[:_SHOWN_STEPS], b[:_SHOWN_STEPS], autojunk=False).ratio()


def _told(tools: Sequences) -> list[str]:
    return [words.clean(" and ".join(step)) for step in tools] or ["(no tool)"]


def _diff(base: Sequences, new: Sequences) -> list[str]:
    """The nearest sequence of the baseline and the new one, a step a line."""
    old, now = _told(base), _told(new)
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
