"""Transcripts of agents as newline-delimited JSON: Letta's events, a line each, bare or in Letta Code's envelopes.

`letta -p --output-format stream-json` writes `{"type": "message", "message_type": ...}` for Letta's events, which keep
their shape; pieces of them come as `{"type": "stream_event", "event": {...}}`; `system` (init), `result`, `error`,
`tool_execution_started` and others are Letta Code's own. A `timestamp` tells when a line was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from letta_nb.events import SESSION
from letta_nb.log import Received
from letta_nb.run import Run

_OWN = frozenset(
    "system message stream_event result error retry recovery auto_approval control_request control_response".split()
)

_LAST = (1 << 63) - 1  # ns that a log can hold: 292 years


class Line(NamedTuple):
    """One line: its text, what it holds, and when it was written."""

    text: str
    facts: dict[str, Any]
    at: datetime | None


def is_line(facts: Any) -> bool:
    """Whether a decoded first line begins a transcript."""
    if not isinstance(facts, dict):
        return False
    line = cast("dict[str, Any]", facts)
    return isinstance(line.get("message_type"), str) or line.get("type") in _OWN


def read(text: str) -> list[Run]:
    """The runs of a transcript: one, or one a turn. Raises ValueError for what is no JSON."""
    turns: list[list[Line]] = [[]]
    for line in _lines(text.splitlines() if "\r" in text else text.split("\n")):
        turns[-1].append(line)
        if line.facts.get("type") == "result":
            turns.append([])
    head = [line for line in turns[0] if line.facts.get("type") == "system"]
    return [_run(lines if index == 0 else head + lines) for index, lines in enumerate(turns) if lines]


def _lines(texts: Iterable[str]) -> Iterator[Line]:
    rows = [text for text in texts if text.strip()]
    for index, text in enumerate(rows):
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError) as problem:
            if index < len(rows) - 1:
                raise ValueError(f"line {index + 1} is no JSON: {problem}") from None
            facts = {}  # the writer was stopped in its last line
        if not isinstance(facts, dict):
            raise ValueError(f"line {index + 1} is no JSON object")
        line = cast("dict[str, Any]", facts)
        yield Line(text, line, _time(line.get("timestamp")))


def _run(lines: list[Line]) -> Run:
    times = [line.at for line in lines]
    start = min((at for at in times if at is not None), default=None)
    asked = next((said for line in lines if (said := _asked(line.facts)) is not None), None)
    run = Run(
        None if asked is None else {"messages": [{"role": "user", "content": asked}]},
        started=start,
        timed=all(at is not None for at in times),
        uid=hashlib.sha256("\n".join(line.text for line in lines).encode("utf-8", "surrogatepass")).hexdigest()[:32],
    )
    for line in lines:
        # the clock of a machine may be set back; a log's never
        at = max(_ns(line.at, start), run.log.at[-1] if run.log else 0) if run.timed else -1
        enveloped = "message_type" not in line.facts
        run.receive(Received(at, SESSION if enveloped and line.facts else "", line.text, not line.facts))
    run.end(run.log.at[-1] if run.log and run.timed else None)
    return run


def _asked(facts: dict[str, Any]) -> Any:
    """The user's words, where a transcript of both directions has them."""
    message = facts.get("message") if facts.get("type") == "user" else None
    return cast("dict[str, Any]", message).get("content") if isinstance(message, dict) else None


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _ns(at: datetime | None, start: datetime | None) -> int:
    return 0 if at is None or start is None else min(round((at - start).total_seconds() * 1e9), _LAST)
