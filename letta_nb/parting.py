"""Where two runs part, in words: the first of their aligned steps that differ, and what each side does in it."""

from __future__ import annotations

from typing import NamedTuple

from letta_nb import words
from letta_nb.align import Difference, Side, StepPair, fate, line, pair_calls, parsed
from letta_nb.entries import ToolCallEntry
from letta_nb.run import Run


class Divergence(NamedTuple):
    """Where two runs part: the first of the pairs that differ, and what each side does in it."""

    pair: int
    where: str
    a: str
    b: str

    @property
    def sentence(self) -> str:
        return f"A {self.a}, B {self.b}."

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


def divergence(runs: tuple[Run, Run], steps: tuple[list[Side], list[Side]], pairs: list[StepPair]) -> Divergence | None:
    """The first pair that differs, in words for each side; None where none does."""
    number = next((number for number, pair in enumerate(pairs) if not pair.same), None)
    if number is None:
        return None
    pair = pairs[number]
    a = None if pair.a is None else steps[0][pair.a]
    b = None if pair.b is None else steps[1][pair.b]
    if a is None or b is None:
        # where one run has a step more, the other one is at its next step, or over
        rest = pairs[number:]
        nexts = [next((its.a for its in rest if its.a is not None), None)]
        nexts.append(next((its.b for its in rest if its.b is not None), None))
        told = [
            _gone(run) if at is None else deed(run, its[at]) for run, its, at in zip(runs, steps, nexts, strict=True)
        ]
    else:
        told = _deeds(runs, a, b, pair.differs[0])
    return Divergence(number, _where(pair), *told)


def _where(pair: StepPair) -> str:
    a, b = pair.a, pair.b
    if a is None or b is None or a == b:
        return f"Step {1 + (b or 0 if a is None else a)}"
    return f"Step {a + 1} of A, step {b + 1} of B"


def _deeds(runs: tuple[Run, Run], a: Side, b: Side, first: Difference) -> list[str]:
    if first == "tools":
        return [deed(runs[0], a), deed(runs[1], b)]
    if first == "answer":
        return [f"answers {quoted(side.says)}" for side in (a, b)]
    if first == "end":
        return [_ends(run, side) if side.end else "goes on" for run, side in zip(runs, (a, b), strict=True)]
    calls = pair_calls(a, b)
    if first == "arguments":
        call = next(call for call in calls if call.arguments)
        return [f"calls {line(its.name or 'tool')} {_given(its, call.arguments)}" for its in (call.a, call.b)]
    call = next(call for call in calls if call.result)
    return [_got(its, call.result) for its in (call.a, call.b)]


def deed(run: Run, side: Side) -> str:
    """What one side does in a step where the other does something else."""
    if side.empty:
        return _ends(run, side)
    if side.calls:
        names = side.names if len(side.calls) < 5 else [*side.names[:3], f"{len(side.calls) - 3} more"]
        return f"calls {', '.join(names[:-1])}{' and ' * (len(names) > 1)}{names[-1]}"
    if side.end:
        return f"{_ends(run, side)} in mid-{'answer' if side.says else 'thought'}"
    return f"answers {quoted(side.says)}" if side.says else "ends without a word"


def _ends(run: Run, side: Side) -> str:
    if side.end == "failed":
        reason = run.stop_reason or (run.error.type if run.error else "") or "error"
        in_model = reason.startswith("llm_")
        return "fails in the model call" if in_model and side.empty else f"fails ({line(reason)})"
    return {"interrupted": "loses the connection", "cancelled": "is stopped"}.get(side.end or "", "is still running")


def _gone(run: Run) -> str:
    """What is said of a run that has no further step."""
    return {
        "failed": "has failed",
        "interrupted": "has lost the connection",
        "cancelled": "was stopped",
        "requires_approval": "waits for an approval",
        "running": "is still running",
    }.get(run.status, "has ended")


def _given(call: ToolCallEntry, keys: list[str]) -> str:
    told = of_keys(call.arguments, keys)
    return f"with {told}" if told else f"without {line(', '.join(keys))}"


def _got(call: ToolCallEntry, keys: list[str]) -> str:
    name, outcome = line(call.name or "tool"), fate(call)
    if outcome == "returned":
        return f"gets {of_keys(call.result or '', keys) or 'nothing'} from {name}"
    if outcome == "failed":
        return f"sees {name} fail with {quoted(words.error_line(call))}"
    return {
        "denied": f"is denied {name}",
        "pending": f"waits for an approval of {name}",
        "nothing": f"does not hear back from {name}",
    }[outcome]


def of_keys(text: str, keys: list[str]) -> str:
    """The part of a JSON object under some of its keys, `city "Paris", days 3`; all of what is no object."""
    value = parsed(text)
    if isinstance(value, dict) and "" not in keys:
        return line(", ".join(f"{key} {value[key]}" for key in keys if key in value))
    return line(words.one_line(text)) if value is not None or len(text.split()) < 2 else quoted(text)


def quoted(text: str) -> str:
    """In quotation marks, without the full stop: it stands within a sentence."""
    return f'"{line(text).rstrip(".")}"'
