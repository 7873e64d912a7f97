"""What saved output and terminal text say of a run: its status and end in words, its totals, and texts fit to show.

An agent's output is hostile: `clean` leaves no control character that a terminal would obey or a file could not hold.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from letta_nb import figures, phases
from letta_nb.cleaning import clean as clean
from letta_nb.entries import Cancel, Entry, Status, ToolCallEntry, compaction_of
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
KEPT = "What arrived is kept below."
CUT_TEXT = "Cut off here."
CUT_JSON = "Cut off here. The text above is as received and is not complete JSON."

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_ESCAPED = re.compile(r"\\\\|(?:\\u[0-9a-fA-F]{4})+")
_WRAPPER = re.compile(r"Error executing function [^\s:]+: ")
_TRACEBACK = "Traceback (most recent call last)"
# what the server puts before any error's words, and what says that the model's own connection ended
_ANY_ERROR = "INTERNAL_SERVER_ERROR: "
_BROKE_OFF = re.compile(r"peer closed connection|incomplete chunked read", re.IGNORECASE)
_PLAIN_ID = re.compile(r"[\w-]+")
_ONE_LINE = 72
# characters of a server's words that still stand within a sentence
_SHORT = 80
# ns: what would read "0.0 ms" is left out
_SHORTEST = 50_000
_JSON_MAX = 200_000


class Capped(NamedTuple):
    """The start of a text, and how to say that there is more of it ("" if there is not)."""

    text: str
    note: str


def escaped(text: str) -> str:
    """A text for HTML: nothing of it becomes a tag or an attribute, or steers what shows it."""
    return escape(clean(text))


def cap(text: str, limit: int, where: str) -> Capped:
    """`text` up to `limit` characters; `where` is the expression that gives the whole."""
    if len(text) <= limit:
        return Capped(text, "")
    return Capped(text[:limit], f"… {figures.size(len(text) - limit)} more, in {where}")


# -- JSON, laid out: numbers and keys as they were received ------------------------------------------------------------


def is_json(text: str) -> bool:
    """A JSON object or array, whole and short enough to lay out."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _JSON_MAX:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def lettered(text: str) -> str:
    """JSON with the letters that were escaped, as who writes it in ASCII does; what is not seen stays escaped."""
    return _ESCAPED.sub(_letters, text) if "\\u" in text and is_json(text) else text


def _letters(escaped: re.Match[str]) -> str:
    letters: str = json.loads(f'"{escaped[0]}"')
    seen = all(letter > "\xa0" and not unicodedata.category(letter).startswith(("C", "Zl", "Zp")) for letter in letters)
    return letters if seen else escaped[0]


def one_line(text: str) -> str:
    """JSON on one line, anything else with single spaces."""
    if not is_json(text):
        return " ".join(text.split())
    return "".join(token + " " * (token in ",:") for token in _TOKEN.findall(lettered(text)))


def laid_out(text: str) -> str:
    """JSON of up to 72 characters on one line, longer as a tree of two spaces; anything else as received."""
    if not is_json(text):
        return text
    line = one_line(text)
    return line if len(line) <= _ONE_LINE else "".join(_tree(text))


def _tree(text: str) -> Iterator[str]:
    depth, tokens = 0, _TOKEN.findall(lettered(text))
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
    """How a run stands, where there is something to say: one sentence, one more, and the server's own words.

    `way`: what the reader can do, with what they would type between backticks.
    """

    sentence: str
    more: str = ""
    words: str = ""
    way: str = ""


def verdict(run: Run, *, plain: bool = False) -> Verdict | None:
    """None for a run that went well or goes on. `plain`: without times and ids."""
    after = "" if plain or run.ended_at is None else f" after {figures.time(run.ended_at)}"
    error = run.error
    words = "" if error is None else (error.detail or error.message).removeprefix(_ANY_ERROR)
    if run.status == "failed" and error is not None and error.type == "pending_approval":
        return Verdict(error.message, words=error.detail or "")
    if run.status == "failed":
        step = len(run.steps) + phases.settled(run)
        reason = run.stop_reason or (error.type if error else "error")
        more = KEPT if run.steps else ""
        if reason == "llm_api_error" and _BROKE_OFF.search(words):
            return Verdict(f"The model's stream broke off in step {step}, so the server ended the run.", more, words)
        return Verdict(f"The run failed in step {step}: {reason}.", more, words)
    if run.status == "requires_approval":
        return _asks(run)
    refused = None if run.cancellation is None else _not_stopped(run.cancellation)
    if refused is not None:
        return refused
    if run.status == "interrupted":
        local = error is None or error.type in ("stream_ended", "connection_closed")
        sentence = f"The connection closed{after}, before the run ended."
        known = not plain and run.run_id is not None and _PLAIN_ID.fullmatch(run.run_id)
        way = f'`letta_nb.attach("{run.run_id}")` looks again.' if known else ""
        return Verdict(sentence, "The agent may still be running on the server.", "" if local else words, way)
    if run.status == "cancelled":
        return Verdict(f"You stopped the run{after}.")
    if run.stop_reason == "max_steps":
        limit = (run.request or {}).get("max_steps")
        return Verdict(f"Ended at the step limit{f' ({limit})' if limit else ''}.")
    if run.status == "completed" and not run.steps:
        return Verdict("The model ended its turn without a word.")
    return None


def saying(run: Run) -> tuple[Verdict, bool] | None:
    """What the page says under its header, and whether it is a note and no news; None if there is nothing to say."""
    # what a run waits for stands in its transcript
    said = None if run.status == "requires_approval" else verdict(run)
    if said is not None:
        return said, False
    if broken := connection(run):
        return Verdict(broken), run.lost_at is None or run.status != "running"
    return None if run.note is None else (Verdict(run.note), True)


def _asks(run: Run) -> Verdict:
    waiting = len(run.pending)
    if not waiting:
        return Verdict("The run stopped for an approval.")
    way = f'Answer {"it" if waiting == 1 else "them"} from Python: `run.approve()` or `run.deny("why")`.'
    return Verdict(f"{figures.plural(waiting, 'call')} {'waits' if waiting == 1 else 'wait'} for your answer.", way=way)


def _not_stopped(cancel: Cancel) -> Verdict | None:
    """A person pressed Stop, and the server did not stop the run: what it said."""
    there = "The agent may still be running there."
    if cancel.outcome == "unsupported":
        return Verdict("This server cannot stop a run; only the connection was closed.", there)
    if cancel.outcome == "unheard":
        return Verdict("The server did not answer Stop within 2 s; only the connection was closed.", there)
    if cancel.outcome == "nothing":
        return _quoting("The server had nothing to stop", cancel.words)
    if cancel.outcome == "refused":
        return _quoting("The server refused to stop the run", cancel.words, there)
    return None


def _quoting(sentence: str, said: str | None, more: str = "") -> Verdict:
    """The server's words within the sentence if they are short, else under it."""
    said = (said or "").strip()
    if len(said) > _SHORT or "\n" in said:
        return Verdict(f"{sentence}.", more, said)
    return Verdict(f"{sentence}: {said.rstrip('.')}." if said else f"{sentence}.", more)


def connection(run: Run) -> str:
    """That the connection was lost, and what came of it; "" if it never was."""
    resumed = [leg for leg in run.legs if leg.kind == "resume" and leg.lost_at is not None]
    times = len(resumed) + (run.lost_at is not None)
    if not times:
        return ""
    lost = resumed[-1].lost_at if run.lost_at is None else run.lost_at
    often = f" {times} times, last" if times > 1 else ""
    sentence = f"The connection was lost{often} after {figures.time(lost or 0)}"
    if run.lost_at is None:
        back = (resumed[-1].at or 0) - (lost or 0)
        return f"{sentence} and taken up again {figures.time(max(back, 0))} later; nothing is missing."
    return f"{sentence}. Trying again." if run.status == "running" else f"{sentence} and could not be taken up again."


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
        figure = figures.bound if bound else figures.patience if kind == "pending" else figures.time
        parts.append(f"{PHASES[kind]} {'≤ ' * bound}{figure(ns)}{share}")
    return ", ".join(parts)


def failed(call: ToolCallEntry) -> bool:
    """What a person denied did not fail."""
    return call.status == "error" and call.approval != "denied"


def fate(run: Run, call: ToolCallEntry, *, plain: bool = False) -> str:
    """`needs your approval`, `approved after 0:42`, `denied: too risky`; "" for a call that nobody was asked about."""
    if call.approval is None:
        return ""
    if call.approval == "pending":
        return "wants to run in this kernel" if call.here else "needs your approval"
    others = [other for other in run.pending if other.step_index == call.step_index]
    if others and not call.has_returned:
        which = "call is" if len(others) == 1 else f"{len(others)} calls are"
        return f"{call.approval}; goes on when the other {which} answered"
    if call.approval == "denied":
        return f"denied: {' '.join(call.reason.split())}" if call.reason else "denied"
    if call.answered_at is not None and call.last_at is not None and not plain:
        return f"approved after {figures.patience(call.answered_at - call.last_at)}"
    # a function of this kernel that needs no approval
    return "" if call.here and call.answered_at is None else "approved"


def notes(run: Run, call: ToolCallEntry, *, plain: bool = False) -> list[str]:
    """What is known of a call beside its arguments and its return; `plain`: without times, and whatever else varies."""
    here = call.here and call.approval != "pending"
    fetched = call.return_source == "server" and not plain
    return [
        note
        for note in (
            fate(run, call, plain=plain),
            "in this kernel" if here else "",
            "fetched after the run" if fetched else "",
        )
        if note
    ]


def took(call: ToolCallEntry) -> str:
    """A call's time, `≤ 10.6 s` where only a bound is known, "" where nothing is."""
    if call.at_most is not None:
        return f"≤ {figures.bound(call.at_most)}"
    return "" if call.duration is None else figures.time(call.duration)


def compaction(entry: Entry) -> str:
    """What a compaction's row says."""
    _, before, after = compaction_of(entry)
    if before is None or after is None:
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
