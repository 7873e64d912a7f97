"""Runs as large as a page must bear: very many tool calls, or one long stream of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from letta_nb.log import Received
from letta_nb.run import Run

MS = 1_000_000
TOOLS = ("look_up", "roll_die", "fetch")
WORDS = "The **agent** writes a sentence with `code` and a list.".split()


def _ids(number: int, step: int) -> dict[str, Any]:
    """What every event of a modern server has."""
    date = "2026-01-02T03:04:05+00:00"
    return {"id": f"message-{number}", "date": date, "step_id": f"step-{step}", "run_id": "run-1", "is_err": None}


def call_events(count: int) -> Iterator[Received]:
    """So many steps of a thought, a call and its return; one in a hundred fails."""
    at = 0
    for n in range(count):
        ids = _ids(n, n)
        thought = f"Now number {n}, which is as the one before."
        call = {"name": TOOLS[n % 3], "arguments": json.dumps({"key": f"k{n}", "n": n}), "tool_call_id": f"call-{n}"}
        back = {"tool_return": json.dumps({"value": n, "text": "x" * (n % 200)}), "tool_call_id": f"call-{n}"}
        status = "error" if n % 97 == 5 else "success"
        for after, its in (
            (50, {"message_type": "reasoning_message", "reasoning": thought}),
            (30, {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call}),
            (200 + n % 7 * 100, {"message_type": "tool_return_message", "status": status, **back}),
        ):
            at += after * MS
            yield Received(at, "", json.dumps(ids | its))


def token_events(count: int, rate: int = 400) -> Iterator[Received]:
    """So many tokens at so many a second: first all of the reasoning, then all of the answer."""
    for n in range(count):
        said, field, block = ("reasoning", "reasoning", 1) if n < count // 2 else ("assistant", "content", 2)
        word = WORDS[n % len(WORDS)] + " " + ("\n\n" if n % 60 == 59 else "")
        its = _ids(block, 1) | {"message_type": f"{said}_message", field: word}
        yield Received(300 * MS + n * 1000 * MS // rate, "", json.dumps(its))


def finished(events: Iterator[Received]) -> Run:
    """The run of these events, over."""
    run = Run({"messages": [{"role": "user", "content": "Go through all of it."}], "stream_tokens": True})
    run.agent_name, run.model = "big", "gpt-4o-mini"
    at = 0
    for received in events:
        at = received.at or at
        run.receive(received)
    for ending in ('{"message_type":"stop_reason","stop_reason":"end_turn"}', "[DONE]"):
        run.receive(Received(at + MS, "", ending))
    run.end(at + 2 * MS)
    return run
