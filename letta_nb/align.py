"""Two runs step by step: which steps belong together, and how they differ. Pure logic.

Steps are aligned by the longest common subsequence of what they hold: the names of the tools they call, or that they
answer or only reason. Steps between two that fit are paired in order. A difference is other tools, other arguments,
another result or status, another answer; not other wording of reasoning or beside a call, not times, not ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from letta_nb import phases, words
from letta_nb.entries import Status, ToolCallEntry
from letta_nb.run import Run
from letta_nb.signatures import ADDED

# "step": there is none on the other side; "tools": other tools, or none; "end": only one of the runs broke off there
Difference = Literal["step", "tools", "arguments", "result", "answer", "end"]
Signature = tuple[str, ...]
# steps that are aligned at once, and of longer lists: the time is its square
_MOST, _WINDOW = 500, 100
_LINE = 48


@dataclass(slots=True)
class Side:
    """A step of one run: its calls, what it says and thinks, and figures (ns, tokens), None where nobody told.

    `end`: how the run broke off in it, None if it did not. The step of which nothing had come when a run broke has the
    index after the last; it is `empty`.
    """

    index: int
    calls: list[ToolCallEntry] = field(default_factory=list[ToolCallEntry])
    says: str = ""
    thinks: str = ""
    end: Status | None = None
    empty: bool = False
    duration: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def names(self) -> list[str]:
        """The names of the tools it calls, in order, fit for one line."""
        return [line(call.name or "tool") for call in self.calls]

    @property
    def signature(self) -> Signature:
        """What steps are aligned by. Parallel calls have no order."""
        if self.calls:
            return tuple(sorted(call.name or "tool" for call in self.calls))
        return ("", "empty" if self.empty else "answer" if self.says else "reasoning")


@dataclass(slots=True)
class StepPair:
    """Aligned steps: their indexes (None: no such step on that side), and what differs.

    `argument_keys` and `result_keys`: the JSON keys that differ between the calls, "" where a whole text does.
    """

    a: int | None
    b: int | None
    tools_a: list[str]
    tools_b: list[str]
    differs: list[Difference]
    argument_keys: list[str]
    result_keys: list[str]
    words: str

    @property
    def same(self) -> bool:
        return not self.differs


class CallPair(NamedTuple):
    """Two calls of one name, and the keys by which their arguments and their results differ."""

    a: ToolCallEntry
    b: ToolCallEntry
    arguments: list[str]
    result: list[str]


def sides(run: Run) -> list[Side]:
    """The steps of a run, in order, and the one that it broke off before anything came of it."""
    made = [Side(step.index) for step in run.steps]
    for step, side in zip(run.steps, made, strict=True):
        side.input_tokens = _count(step.server.get("prompt_tokens"))
        side.output_tokens = _count(step.server.get("completion_tokens"))
    for entry in run.entries:
        if entry.step_index is None:
            continue
        side = made[entry.step_index]
        if isinstance(entry, ToolCallEntry):
            side.calls.append(entry)
        elif entry.kind == "assistant":
            side.says = f"{side.says}\n\n{entry.text}".strip()
        elif entry.kind == "reasoning":
            side.thinks = f"{side.thinks}\n\n{entry.text}".strip()
    if run.status in ("failed", "interrupted", "cancelled", "running"):
        if phases.settled(run):
            made.append(Side(len(made), empty=True))
        made[-1].end = run.status
    for lane in phases.waterfall(run).lanes:
        if lane.first and lane.step < len(made):
            made[lane.step].duration = lane.end - lane.start
    return made


def _count(value: Any) -> int | None:
    return value if type(value) is int else None


# -- which belong together ---------------------------------------------------------------------------------------------


def matches(a: list[Signature], b: list[Signature]) -> Iterator[tuple[int | None, int | None]]:
    """All of `a` and all of `b`, in order: as many as possible beside their like, the rest between beside each other.

    Long lists are aligned a window at a time, so that the time grows with their length.
    """
    i = j = 0
    for at, to in _anchors(a, b):
        yield from _between(i, at, j, to)
        yield at, to
        i, j = at + 1, to + 1
    yield from _between(i, len(a), j, len(b))


def _between(i: int, a: int, j: int, b: int) -> Iterator[tuple[int | None, int | None]]:
    while i < a or j < b:
        yield (i if i < a else None), (j if j < b else None)
        i, j = i + (i < a), j + (j < b)


def _anchors(a: list[Signature], b: list[Signature]) -> Iterator[tuple[int, int]]:
    window = _MOST if max(len(a), len(b)) <= _MOST else _WINDOW
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:  # never worse than any other choice, and all there is to do for equal runs
            yield i, j
            i, j = i + 1, j + 1
            continue
        found = _longest(a[i : i + window], b[j : j + window])
        more = (len(a) - i > window, len(b) - j > window)
        if any(more):
            # what stands near the window's end may have a better partner behind it
            near = window * 3 // 4
            found = [(x, y) for x, y in found if x < near and y < near] or found
        yield from ((i + x, j + y) for x, y in found)
        if found:
            i, j = i + found[-1][0] + 1, j + found[-1][1] + 1
        elif any(more):
            i, j = i + window * more[0], j + window * more[1]
        else:
            return


def _longest(a: list[Signature], b: list[Signature]) -> list[tuple[int, int]]:
    """The longest common subsequence, as early as it can be."""
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        row, below = lengths[i], lengths[i + 1]
        for j in reversed(range(len(b))):
            row[j] = below[j + 1] + 1 if a[i] == b[j] else max(below[j], row[j + 1])
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def align(a: list[Side], b: list[Side]) -> list[StepPair]:
    """The steps of two runs, side by side."""
    paired = matches([side.signature for side in a], [side.signature for side in b])
    return [_pair(None if i is None else a[i], None if j is None else b[j]) for i, j in paired]


# -- how they differ ---------------------------------------------------------------------------------------------------


def _pair(a: Side | None, b: Side | None) -> StepPair:
    differs: list[Difference] = []
    arguments: list[str] = []
    result: list[str] = []
    if a is None or b is None:
        differs.append("step")
        told = f"only in {'B' if a is None else 'A'}"
    elif a.signature != b.signature:
        differs.append("tools")
        told = "other tools" if a.calls and b.calls else "another step"
    else:
        calls = pair_calls(a, b)
        arguments = list(dict.fromkeys(key for call in calls for key in call.arguments))
        result = list(dict.fromkeys(key for call in calls for key in call.result))
        differs = _differences(a, b, arguments, result)
        told = _words(a, differs)
    return StepPair(
        a=a.index if a else None,
        b=b.index if b else None,
        tools_a=a.names if a else [],
        tools_b=b.names if b else [],
        differs=differs,
        argument_keys=arguments,
        result_keys=result,
        words=told,
    )


def _differences(a: Side, b: Side, arguments: list[str], result: list[str]) -> list[Difference]:
    found: list[Difference] = []
    if arguments:
        found.append("arguments")
    if result:
        found.append("result")
    if not a.calls and a.says.split() != b.says.split():
        found.append("answer")
    if a.end != b.end and not result:
        found.append("end")
    return found


def _words(a: Side, differs: list[Difference]) -> str:
    many = "s" * (len(a.calls) > 1)
    if differs:
        names = {"arguments": "arguments", "result": f"result{many}"}
        other = [names.get(name, name) for name in differs]
        return f"{'an' if other[0] in ('answer', 'end') else ''}other {' and '.join(other)}"
    if a.calls:
        outcome = "result" if all(fate(call) == "returned" for call in a.calls) else "outcome"
        return f"same call{many} and {outcome}{many}"
    return "same answer" if a.says else "same end" if a.empty else "no call and no answer"


def pair_calls(a: Side, b: Side) -> list[CallPair]:
    """The calls of two steps that call the same tools: those of equal arguments together, the rest in order."""
    rest = list(b.calls)
    partners: dict[int, ToolCallEntry] = {}
    for alike in (True, False):
        for n, call in enumerate(a.calls):
            named = [other for other in rest if (other.name or "tool") == (call.name or "tool")]
            fits = [other for other in named if not alike or not _arguments(call, other)]
            if n not in partners and fits:
                partners[n] = fits[0]
                rest = [other for other in rest if other is not fits[0]]
    return [
        CallPair(call, partners[n], _arguments(call, partners[n]), _results(call, partners[n]))
        for n, call in enumerate(a.calls)
        if n in partners
    ]


def _arguments(a: ToolCallEntry, b: ToolCallEntry) -> list[str]:
    """The keys of arguments that differ. What only one of the servers adds to every call is none of the agents'."""
    keys = differing(a.arguments, b.arguments)
    if not set(keys) & set(ADDED):
        return keys
    one, two = parsed(a.arguments), parsed(b.arguments)
    both = set(one) & set(two) if isinstance(one, dict) and isinstance(two, dict) else set[str]()
    return [key for key in keys if key not in ADDED or key in both]


def _results(a: ToolCallEntry, b: ToolCallEntry) -> list[str]:
    outcome = fate(a)
    if outcome != fate(b):
        return [""]
    if outcome == "failed":
        return [""] if words.error_line(a) != words.error_line(b) else []
    return differing(a.result or "", b.result or "") if outcome == "returned" else []


def fate(call: ToolCallEntry) -> Literal["denied", "failed", "returned", "pending", "nothing"]:
    """What became of a call so far."""
    if call.approval == "denied":
        return "denied"
    if call.has_returned:
        return "failed" if words.failed(call) else "returned"
    return "pending" if call.approval == "pending" else "nothing"


def differing(a: str, b: str) -> list[str]:
    """The keys by which two JSON objects differ; [""] for texts that differ and are not both objects."""
    if a == b:
        return []
    one, two = parsed(a), parsed(b)
    if isinstance(one, dict) and isinstance(two, dict):
        return [key for key in one | two if one.get(key) != two.get(key)]
    return [] if one is not None and one == two else [""]


def parsed(text: str) -> dict[str, str] | str | None:
    """An object's values by key, each in one spelling; another value so; None for what is not JSON."""
    if not words.is_json(text):
        return None
    value: Any = json.loads(text)
    try:
        if isinstance(value, dict):
            return {key: _spelled(its) for key, its in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return _spelled(value)
    except RecursionError:
        return None


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def line(text: str, most: int = _LINE) -> str:
    """The start of a text, on one line, fit to be shown."""
    text = " ".join(words.clean(text[: 4 * most]).split())
    return text if len(text) <= most else text[: most - 1] + "…"
