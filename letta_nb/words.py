"""What saved output and terminal text say of a run: its status and end in words, its totals, and texts fit to show.

An agent's output is hostile: `clean` leaves no control character that a terminal would obey or a file could not hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from letta_nb import figures, phases
from letta_nb.entries import Entry, Status, ToolCallEntry
from letta_nb.run import Run

STATUS: dict[Status, str] = {
    "running": "Running",
    "completed": "Completed",
    "requires_approval": "Waiting for approval",
    "interrupted": "Interrupted",
    "cancelled": "Stopped",
    "failed": "Failed",
}
PHASES: dict[phases.PhaseKind, str] = {
    "wait": "waiting",
    "reasoning": "reasoning",
    "arguments": "arguments",
    "tool": "tools",
    "failed": "failed tool",
    "pending": "waiting for you",
    "answer": "answer",
    "unattributed": "unattributed",
}
STEP_WHOLE = "This server sent the step whole: no token times"
CUT_TEXT = "Cut off here."
CUT_JSON = "Cut off here. The text above is as received and is not complete JSON."

# C0 but tab and newline as control pictures; C1, overrides of writing direction and lone surrogates cannot be shown
_SHOWN = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), 0x202D, 0x202E, *range(0xD800, 0xE000)], 0xFFFD),
}
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_WRAPPER = re.compile(r"Error executing function [^\s:]+: ")
_TRACEBACK = "Traceback (most recent call last)"
_ONE_LINE = 72
# ns: what would read "0.0 ms" is left out
_SHORTEST = 50_000
_JSON_MAX = 200_000


def clean(text: str) -> str:
    """`text` without what a terminal would obey or a file could not hold; such characters are shown, not dropped."""
    if not _UNSAFE.search(text):
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)


class Capped(NamedTuple):
    """The start of a text, and how to say that there is more of it ("" if there is not)."""

    text: str
    note: str


def cap(text: str, limit: int, where: str) -> Capped:
    """`text` up to `limit` characters; `where` is the expression that gives the whole."""
    if len(text) <= limit:
        return Capped(text, "")
    return Capped(text[:limit], f"… {figures.size(len(text) - limit)} more, in {where}")


# -- JSON, laid out and not changed ------------------------------------------------------------------------------------


def is_json(text: str) -> bool:
    """A JSON object or array, whole and short enough to lay out."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _JSON_MAX:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def one_line(text: str) -> str:
    """JSON on one line, anything else with single spaces. Only white space changes: no key, number or escape."""
    if not is_json(text):
        return " ".join(text.split())
    return "".join(token + " " * (token in ",:") for token in _TOKEN.findall(text))


def laid_out(text: str) -> str:
    """JSON of up to 72 characters on one line, longer as a tree of two spaces; anything else as received."""
    if not is_json(text):
        return text
    line = one_line(text)
    return line if len(line) <= _ONE_LINE else "".join(_tree(text))


def _tree(text: str) -> Iterator[str]:
    depth, tokens = 0, _TOKEN.findall(text)
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token in "{[":
            depth += 1
            yield token if after in ("}", "]") else token + "\n" + "  " * depth
        elif token in "}]":
            depth -= 1
            yield token if before in ("{", "[") else "\n" + "  " * depth + token
        else:
            yield token + {",": "\n" + "  " * depth, ":": " "}.get(token, "")


# -- a failed call -----------------------------------------------------------------------------------------------------


def error_line(call: ToolCallEntry) -> str:
    """The last line of a failed call's error."""
    lines = [line for line in (call.result or "".join(call.stderr or [])).splitlines() if line.strip()]
    return unwrapped(lines[-1].strip()) if lines else "The tool failed and did not say why."


def unwrapped(text: str) -> str:
    """A failed call's text without the server's own words before it ("Error executing function x: ")."""
    return _WRAPPER.sub("", text, count=1)


def traceback_of(call: ToolCallEntry) -> tuple[str, str]:
    """A failed call's stderr in two: what the tool wrote, and the traceback after it."""
    stderr = "".join(call.stderr or [])
    start = stderr.find(_TRACEBACK) if call.status == "error" else -1
    return (stderr, "") if start < 0 else (stderr[:start], stderr[start:])


# -- the run -----------------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """How a run ended, where there is something to say: one sentence, one more, and the server's own words."""

    sentence: str
    more: str = ""
    words: str = ""


def verdict(run: Run, *, plain: bool = False) -> Verdict | None:
    """None for a run that went well or goes on. `plain`: without times."""
    after = "" if plain or run.ended_at is None else f" after {figures.time(run.ended_at)}"
    error = run.error
    words = "" if error is None else error.detail or error.message
    if run.status == "interrupted":
        local = error is None or error.type in ("stream_ended", "connection_closed")
        sentence = f"The connection closed{after}, before the run ended."
        return Verdict(sentence, "The agent may still be running on the server.", "" if local else words)
    if run.status == "cancelled":
        return Verdict(f"You stopped the run{after}.")
    if run.status == "failed":
        step = len(run.steps) + phases.settled(run)
        reason = run.stop_reason or (error.type if error else "error")
        more = "What arrived is kept below." if run.steps else ""
        return Verdict(f"The run failed in step {step}: {reason}.", more, words)
    if run.status == "requires_approval":
        waiting = sum(call.approval == "pending" for call in run.tool_calls)
        return Verdict(f"{figures.plural(waiting, 'call')} {'waits' if waiting == 1 else 'wait'} for your answer.")
    if run.stop_reason == "max_steps":
        limit = (run.request or {}).get("max_steps")
        return Verdict(f"Ended at the step limit{f' ({limit})' if limit else ''}.")
    if run.status == "completed" and not run.steps:
        return Verdict("The model ended its turn without a word.")
    return None


def tokens(run: Run) -> list[str]:
    """`["7,950 in (512 cached)", "54 out (22 reasoning)"]`; [] when nothing was reported."""
    usage = run.usage
    if usage is None:
        return []
    sides = (
        (usage.input_tokens, "in", usage.cache_read_input_tokens, "cached"),
        (usage.output_tokens, "out", usage.reasoning_output_tokens, "reasoning"),
    )
    return [
        f"{figures.count(total)} {side}" + (f" ({figures.count(part)} {name})" if part else "")
        for total, side, part, name in sides
        if total is not None
    ]


def totals(waterfall: phases.Waterfall, least: float = 0.0) -> str:
    """`tools 11.4 s (93%), waiting 372 ms, ...`, the largest first; `least`: the share under which one is left out."""
    parts: list[str] = []
    for kind, ns in sorted(waterfall.totals.items(), key=lambda item: -item[1]):
        if ns < _SHORTEST or (ns < least * waterfall.end and kind != "unattributed"):
            continue
        bound = kind in waterfall.at_most
        share = "" if parts or bound or not waterfall.end else f" ({ns * 100 / waterfall.end:.0f}%)"
        parts.append(f"{PHASES[kind]} {'≤ ' * bound}{figures.time(ns)}{share}")
    return ", ".join(parts)


def took(call: ToolCallEntry) -> str:
    """A call's time, `≤ 10.6 s` where only a bound is known, "" where nothing is."""
    if call.at_most is not None:
        return f"≤ {figures.time(call.at_most)}"
    return "" if call.duration is None else figures.time(call.duration)


def compaction(entry: Entry) -> str:
    """What a compaction's row says."""
    facts: dict[str, Any] = entry.extra.get("facts") or {}
    before, after = facts.get("context_tokens_before"), facts.get("context_tokens_after")
    if not isinstance(before, int) or not isinstance(after, int):
        return "Context compacted"
    return f"Context compacted  {figures.count(before)} to {figures.count(after)} tokens"


def groups(run: Run) -> list[tuple[int | None, list[Entry]]]:
    """The transcript by step, in order; what belongs to no step stands alone, under None."""
    by_step: dict[int, list[Entry]] = {}
    order: list[tuple[int | None, list[Entry]]] = []
    for entry in run.entries:
        if entry.step_index is None:
            order.append((None, [entry]))
        elif entry.step_index in by_step:
            by_step[entry.step_index].append(entry)
        else:
            by_step[entry.step_index] = [entry]
            order.append((entry.step_index, by_step[entry.step_index]))
    return order


def last_answer(run: Run) -> Entry | None:
    """The answer that a reader came for."""
    return next((entry for entry in reversed(run.entries) if entry.kind == "assistant"), None)
