"""Which runs are compared with which: those of one prompt, and of one agent and model where both sides have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from letta_nb import words
from letta_nb.errors import InputError
from letta_nb.run import Run
from letta_nb.step_views import waits_for_answers

# the tools called, a tuple a step
Sequences = tuple[tuple[str, ...], ...]


class Facts(NamedTuple):
    """What of a run is compared; the run itself is let go. Times are in seconds, that of the run without what it waited
    for a person; `calls` is 1 for each that failed."""

    prompt: str
    agent: str | None
    model: str | None
    tools: Sequences
    completed: float
    seconds: float | None
    tokens: float | None
    usd: float | None
    calls: tuple[float, ...]
    tool_seconds: Mapping[str, Sequence[float]]


Groups = Sequence[tuple[list[Facts], list[Facts]]]
_Key = Callable[[Facts], tuple[str | None, ...]]


def facts(run: Run) -> Facts:
    """What of a run is compared."""
    names: dict[int, list[str]] = {step.index: [] for step in run.steps}
    took: dict[str, list[float]] = {}
    for call in run.tool_calls:
        name = call.name or "tool"
        names.setdefault(-1 if call.step_index is None else call.step_index, []).append(name)
        if call.duration is not None:
            took.setdefault(name, []).append(call.duration / 1e9)
    usage, cost = run.usage, run.cost
    waited = sum(waits_for_answers((call.step_index or 0, call) for call in run.tool_calls).values())
    return Facts(
        prompt=run.prompt,
        agent=run.agent_id,
        # what was asked for: the agent's own is the same for all models of a fan-out
        model=run.trial.request_model if run.trial else (run.request or {}).get("override_model") or run.model,
        # calls of one step have no order among themselves
        tools=tuple(tuple(sorted(its)) for _, its in sorted(names.items()) if its),
        completed=float(run.status in ("completed", "requires_approval")),
        seconds=None if run.ended_at is None or not run.timed else max(run.ended_at - waited, 0) / 1e9,
        tokens=None if usage is None or usage.total_tokens is None else float(usage.total_tokens),
        usd=None if cost is None else cost.usd,
        calls=tuple(float(words.failed(call)) for call in run.tool_calls),
        tool_seconds=took,
    )


def paired(baseline: Iterable[Facts], new: Iterable[Facts]) -> tuple[Groups, str]:
    """The runs of both sides that are compared with each other, and what is to be said of the others.

    Raises InputError where a side has no runs, or the two no prompt in common.
    """
    sides = (list(baseline), list(new))
    for side, name in zip(sides, ("baseline", "new"), strict=True):
        if not side:
            raise InputError(f"There are no runs in {name}, so there is nothing to compare.")
    prompts = _groups(sides, lambda its: (its.prompt,))
    both = {its.prompt for group in prompts for its in group[0]}
    if not both:
        raise InputError("The new runs and the baseline have no prompt in common, so there is nothing to compare.")
    notes = list(_left_out(sides))
    parts: list[Callable[[Facts], str | None]] = [lambda its: its.prompt]
    for what, part in _PARTS.items():
        of_both = [{(its.prompt, part(its)) for its in side if its.prompt in both} for side in sides]
        several = max(len({name for _, name in pairs}) for pairs in of_both) > 1
        if several and of_both[0] == of_both[1]:
            parts.append(part)
        elif several:
            notes.append(f"the runs are of several {what}s, not of the same ones on both sides: they are taken as one")
    groups = _groups(sides, lambda its: tuple(part(its) for part in parts))
    if sum(len(side) for group in groups for side in group) < sum(len(side) for group in prompts for side in group):
        # each agent and each model is on both sides, but not each of them with each
        groups = prompts
    return groups, "; ".join(notes)


_PARTS: Mapping[str, Callable[[Facts], str | None]] = {"agent": lambda its: its.agent, "model": lambda its: its.model}


def _groups(sides: tuple[list[Facts], list[Facts]], key: _Key) -> Groups:
    base, new = (_by(side, key) for side in sides)
    return [(base[name], its) for name, its in new.items() if name in base]


def _by(side: Iterable[Facts], key: _Key) -> dict[tuple[str | None, ...], list[Facts]]:
    found: dict[tuple[str | None, ...], list[Facts]] = {}
    for its in side:
        found.setdefault(key(its), []).append(its)
    return found


def _left_out(sides: tuple[list[Facts], list[Facts]]) -> Iterator[str]:
    base, new = ({its.prompt for its in side} for side in sides)
    for only, where, other in ((base - new, "baseline's", "new runs"), (new - base, "new runs'", "baseline")):
        if only:
            yield f"{len(only)} of the {where} prompts {'is' if len(only) == 1 else 'are'} not in the {other}"
