"""Remarks on tool calls: the slow, the repeated, the failed, and those of whose time only a bound is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from letta_nb import figures, words
from letta_nb.align import line, parsed
from letta_nb.entries import ToolCallEntry
from letta_nb.redaction_rules import MARK
from letta_nb.remarks import SHORTEST, Facts, Kind, Note, names_of
from letta_nb.signatures import ADDED

_TOOL_COLUMNS = ("step_index", "tool_name", "tool_arguments", "tool_status", "duration_s", "duration_source")


def _slowest_tool(facts: Facts) -> Iterator[Note]:
    totals = Counter[str]()
    for call in facts.calls:
        totals[call.name or "tool"] += call.duration or 0
    name, ns = totals.most_common(1)[0] if totals else ("", 0)
    if not facts.weighs(ns):
        return
    its = [index for index, call in enumerate(facts.calls) if (call.name or "tool") == name]
    timed = [index for index in its if facts.calls[index].duration is not None]
    longest = max(facts.calls[index].duration or 0 for index in timed)
    by = " and ".join(sorted({_timer(facts.calls[index]) for index in timed}))
    count = figures.plural(len(its), "call") if timed == its else f"{len(timed)} of {len(its)} calls"
    each = f", the longest {figures.time(longest)}" if len(timed) > 1 else ""
    # one of which many calls took longest may have none that is slow, and of what nobody timed a bound may be more
    slowest = longest == max(call.duration or 0 for call in facts.calls)
    hidden = any((call.at_most or 0) > ns for call in facts.calls if call.duration is None)
    if hidden:
        which = f"Of the tools that were timed, {'the slowest' if slowest else 'the one that took longest in all'}"
    else:
        which = "The slowest tool" if slowest else "The tool that took longest in all"
    said = f"{which} is {line(name)}: {figures.time(ns)}{facts.of_run(ns)}, in {count} timed by {by}{each}."
    yield Note("slowest_tool", said, facts.part(ns), "tools", facts.tools.iloc[timed], _TOOL_COLUMNS, stake_s=ns / 1e9)


def _timer(call: ToolCallEntry) -> str:
    """Who timed a call."""
    return "the server" if call.duration_source == "server" else "this kernel" if call.here else "arrival"


def _calls_together(facts: Facts) -> Iterator[Note]:
    """Calls that nobody timed one by one: their bound is all that is known."""
    bounds = {call.step_index or 0: call.at_most or 0 for call in facts.calls if call.at_most is not None}
    if not bounds:
        return
    step = max(bounds, key=lambda step: bounds[step])
    ns = bounds[step]
    if not facts.weighs(ns):
        return
    rows = [i for i, call in enumerate(facts.calls) if call.step_index == step and call.at_most is not None]
    names = names_of([facts.calls[index] for index in rows])
    longest = facts.run.steps[step].server.get("tool_execution_ns")
    by_server = f"; the server's longest was {figures.time(longest)}" if isinstance(longest, int) else ""
    many = len(rows) > 1
    said = f"{names} in step {step + 1}: {'they returned together' if many else 'it returned'} after at most "
    said += f"{figures.bound(ns)}{facts.of_run(ns)}. Nobody timed {'each of them' if many else 'it'}{by_server}."
    shown = ("step_index", "tool_name", "tool_arguments", "start_time", "end_time", "duration_s")
    yield Note("calls_together", said, facts.part(ns), "tools", facts.tools.iloc[rows], shown, stake_s=ns / 1e9)


def _repeated_calls(facts: Facts) -> Iterator[Note]:
    """A note a tool: the calls whose name and arguments had been there before."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, call in enumerate(facts.calls):
        # of a call that was not streamed, cut short or redacted, the arguments are not known
        if not (call.extra.get("unseen") or call.cut or MARK in call.arguments):
            groups.setdefault((call.name or "tool", _spelled(call.arguments)), []).append(index)
    by_tool: dict[str, list[list[int]]] = {}
    for (name, _), group in groups.items():
        if len(group) > 1:
            by_tool.setdefault(name, []).append(group)
    for name, repeated in by_tool.items():
        most = max(repeated, key=len)
        again = [index for group in repeated for index in group[1:]]
        asked = line(words.one_line(_shown(facts.calls[most[0]].arguments)), 60) or "none"
        results = {facts.calls[index].result for index in most}
        same = "with the same result" if len(results) == 1 else "with other results"
        said = f"{line(name)} was called {len(most)} times with the same arguments, {asked}, {same}"
        more = len(again) - len(most) + 1
        said += f"; {figures.plural(more, 'more call')} repeated others of its arguments" if more else ""
        rows = sorted(index for group in repeated for index in group)
        yield _of_calls(facts, "repeated_calls", said, again, rows)


def _spelled(arguments: str) -> str:
    value = _own(arguments)
    return arguments.strip() if value is None else repr(value)


def _own(arguments: str) -> list[tuple[str, str]] | str | None:
    """A tool's own arguments, without what the server has a model say along; None where that cannot be read."""
    value = parsed(arguments)
    return sorted((name, its) for name, its in value.items() if name not in ADDED) if isinstance(value, dict) else value


def _shown(arguments: str) -> str:
    """The arguments as they came, or, where something was said along, what is left."""
    value, own = parsed(arguments), _own(arguments)
    if isinstance(value, dict) and own is not None and len(own) < len(value):
        return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {its}" for name, its in own) + "}"
    return arguments


def _failed_calls(facts: Facts) -> Iterator[Note]:
    rows = [index for index, call in enumerate(facts.calls) if words.failed(call)]
    if not rows:
        return
    calls = [facts.calls[index] for index in rows]
    again = sum(
        any(later.name == call.name and later.step_index != call.step_index for later in facts.calls[index + 1 :])
        for index, call in zip(rows, calls, strict=True)
    )
    said = f"{len(rows)} of {figures.plural(len(facts.calls), 'tool call')} failed: {names_of(calls)}"
    said += f" ({line(words.error_line(calls[-1]), 80)})"
    said += f"; {figures.plural(again, 'time')} the tool was then called again" if again else ""
    yield _of_calls(facts, "failed_calls", said, rows, rows, ("error_type", "error_message"))


def _of_calls(
    facts: Facts, kind: Kind, said: str, stake: list[int], rows: list[int], more: tuple[str, ...] = ()
) -> Note:
    """What calls took, as far as they were timed, and the tokens of the steps in which nothing else was called."""
    times = [ns for index in stake if (ns := facts.calls[index].duration) is not None]
    ns, chosen = sum(times), set(stake)
    of_step: dict[int, set[int]] = {}
    for index, call in enumerate(facts.calls):
        of_step.setdefault(-1 if call.step_index is None else call.step_index, set()).add(index)
    steps = [step for step, its in of_step.items() if its <= chosen and step >= 0]
    tokens = facts.sum_of("total_tokens", steps)
    costs = [f"{figures.time(ns)} of tool time"] if times and ns >= SHORTEST else []
    costs += [f"{figures.count(tokens)} tokens in {figures.plural(len(steps), 'step')}"] if tokens else []
    what = "They" if len(stake) > 1 else "It"
    what = f"{'The repeats' if len(stake) > 1 else 'The repeat'}" if kind == "repeated_calls" else what
    said += f". {what} took {' and '.join(costs)}." if costs else "."
    share = max(facts.part(ns), facts.part_of_tokens(tokens), len(stake) / len(facts.calls))
    columns = (*_TOOL_COLUMNS, *more)
    known = ns / 1e9 if times else None
    return Note(kind, said, share, "tools", facts.tools.iloc[rows], columns, stake_s=known, stake_tokens=tokens)


RULES: tuple[Callable[[Facts], Iterator[Note]], ...] = (_failed_calls, _slowest_tool, _calls_together, _repeated_calls)
