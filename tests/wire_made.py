"""Runs as servers make them, made up: Hypothesis strategies for what comes over the wire, in order, in both eras.

Each is a `Made`: the legs of a run with their events and times, and what the server tells of the steps afterwards. The
server's figures agree with each other, as a real one's do; how much of them is sent is drawn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from letta_nb.entries import CallTimes, RunError
from letta_nb.log import Received
from letta_nb.run import Run

MS = 1_000_000
STARTED = datetime(2026, 3, 4, 23, 59, 58, 123_456, UTC)
few = st.sampled_from
texts = st.lists(few(["a", "{", '"k":', " 1}", "é 👩", "\u2028", "\n", "\\", "日本"]), min_size=1, max_size=4)
# what a stream says between its events, or in place of one
NOISE = (
    '{"message_type":"ping","id":"ping-1","run_id":"run-1"}',
    '{"message_type":"from_the_future","id":"x","content":"?"}',
    '{"message_type":"reasoning_message","reasoning":7}',
    "no JSON\nof two lines",
    "half \ud800",
    "[1]",
    '{"message_type":"event_message","id":"n","event_type":"compaction","event_data":{"context_tokens_before":9}}',
    '{"message_type":"summary_message","id":"s","summary":"So far: nothing."}',
)
TOKENS = "prompt_tokens completion_tokens total_tokens cached_input_tokens cache_write_tokens reasoning_tokens".split()


@dataclass
class Made:
    """`legs`: kind, request and the (gap in ns, event, text) of each. `steps`: the server's rows of the steps."""

    modern: bool
    tokens: bool
    timed: bool
    ending: str
    stop_reason: str
    legs: list[tuple[str, dict[str, Any], list[tuple[int, str, str]]]] = field(default_factory=list[Any])
    steps: list[dict[str, Any]] = field(default_factory=list[Any])
    joined: bool = False

    def run(self, uid: str, *, days: int = 0) -> Run:
        """The run live: folded as its events come."""
        (_, request, _), *_ = self.legs
        run = Run(request, started=STARTED + timedelta(days=days), uid=uid, timed=self.timed, model="gpt-4o-mini")
        run.agent_id, run.agent_name, run.provider = f"agent-{uid}", "é", "openai"
        at = 0
        for number, (kind, request, events) in enumerate(self.legs):
            if number:
                calls = {call.tool_call_id or "": CallTimes(at, at) for call in run.tool_calls}
                lost = at if kind == "resume" else None
                run.begin(kind, request, at if self.timed else None, calls=calls, lost_at=lost)  # pyright: ignore[reportArgumentType]
            for gap, event, text in events:
                at += gap
                torn = self.ending == "torn" and (number, text) == (len(self.legs) - 1, events[-1][2])
                run.receive(Received(at if self.timed else -1, event, text.replace("run-1", f"run-{uid}"), torn))
        at += MS
        error = RunError("read_error", "The connection was reset.", "by peer") if self.ending == "torn" else None
        run.end(at if self.timed else None, error, cancelled=self.ending == "cancelled")
        if self.joined:
            run.join_server({"steps": self.steps}, run.ended_at)
        return run


class _Writer:
    """Writes the events of one run; `draw` is Hypothesis's."""

    def __init__(self, draw: Any, made: Made) -> None:
        self.draw, self.made = draw, made
        self.events: list[tuple[int, str, str]] = []
        self.calls = 0
        self.message = 0

    def put(self, event: dict[str, Any] | str, name: str = "") -> None:
        gap = self.draw(few([0, 1, 1_234_567, 50 * MS, 2_000 * MS]))
        self.events.append((gap, name, event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)))

    def say(self, kind: str, step: int, message: str, **its: Any) -> None:
        ids: dict[str, Any] = {"id": message, "date": "2026-03-04T23:59:59+00:00", "otid": its.pop("otid", message)}
        if self.made.modern:
            ids |= {"step_id": f"step-{step}", "run_id": "run-1", "is_err": None, "seq_id": None}
        self.put({**ids, "message_type": kind, **its})
        if self.draw(st.integers(0, 5)) == 0:
            self.put(self.draw(few(NOISE)))

    def text(self, kind: str, name: str, step: int, message: str) -> None:
        pieces = self.draw(texts)
        for piece in pieces if self.made.tokens else ["".join(pieces)]:
            self.say(kind, step, message, otid=f"{message}-{kind}", **{name: piece})

    def step(self, step: int, *, calls: int, asks: bool) -> list[str]:
        """One reply of the model, with so many tool calls and their returns; the ids of those that wait."""
        self.message += 1
        message = f"message-{self.message}"
        if self.draw(st.booleans()):
            self.text("reasoning_message", "reasoning", step, message)
        if self.draw(st.integers(0, 4)) == 0:
            self.say("hidden_reasoning_message", step, message, state="redacted", hidden_reasoning="c2Vh")
        ids = [f"call-{self.calls + n}" for n in range(calls)]
        self.calls += calls
        if not calls or self.draw(st.booleans()):
            self.text("assistant_message", "content", step, message)
        kind = "approval_request_message" if asks else "tool_call_message"
        self.call(kind, step, message, ids)
        if asks:
            return ids
        self.returns(step, ids)
        return []

    def call(self, kind: str, step: int, message: str, ids: list[str]) -> None:
        whole = [{"name": "f", "arguments": "".join(self.draw(texts)), "tool_call_id": one} for one in ids]
        if not self.made.tokens and self.made.modern and whole:
            self.say(kind, step, message, tool_call=whole[0], tool_calls=whole)
            return
        for call in whole:
            cut = self.draw(st.integers(0, len(call["arguments"])))
            rest = {"name": None, "arguments": call["arguments"][cut:], "tool_call_id": call["tool_call_id"]}
            for delta in ({**call, "arguments": call["arguments"][:cut]}, rest) if self.made.tokens else (call,):
                its = {"tool_call": delta, "tool_calls": delta} if self.made.modern else {"tool_call": delta}
                self.say(kind, step, message, **its)

    def returns(self, step: int, ids: list[str]) -> None:
        back = [self.back(one) for one in ids if self.draw(st.integers(0, 9))]
        together = self.made.modern and len(back) > 1 and self.draw(st.booleans())
        for first in back[:1] if together else back:
            self.message += 1
            all_of_them = back if together else [first]
            more = {"tool_returns": all_of_them} if self.made.modern else {}
            self.say("tool_return_message", step, f"message-{self.message}", name="f", **first, **more)

    def back(self, tool_call_id: str) -> dict[str, Any]:
        status = self.draw(few(["success", "error"]))
        return {
            "tool_return": self.draw(few(["", "ok", "Error executing function f: ValueError: no", '{"a": 1}', None])),
            "status": status,
            "tool_call_id": tool_call_id,
            "stdout": self.draw(few([None, [], ["a\n", "b"]])),
            "stderr": self.draw(few([None, ["Traceback (most recent call last)\n", "ValueError: no"]])),
        }

    def end(self, stop_reason: str, usage: dict[str, Any] | None) -> None:
        if self.made.modern:
            self.put({"message_type": "stop_reason", "stop_reason": stop_reason})
        if usage is not None:
            self.put({"message_type": "usage_statistics", **usage})
        self.put("[DONE]")


def _row(draw: Any, step: int) -> dict[str, Any]:
    """What a modern server tells of a step; a figure that it does not have is null."""
    read, said = draw(st.integers(0, 90_000)), draw(st.integers(0, 900))
    return {
        "id": f"step-{step}",
        "model": draw(few([None, "gpt-4o-mini"])),
        "provider_name": "openai",
        "prompt_tokens": read,
        "completion_tokens": said,
        "total_tokens": read + said,
        "cached_input_tokens": draw(st.none() | st.integers(0, read)),
        "cache_write_tokens": None,
        "reasoning_tokens": draw(st.none() | st.integers(0, said)),
        "llm_request_ns": draw(st.none() | st.integers(1, 10**10)),
        "tool_execution_ns": draw(st.none() | st.integers(1, 10**10)),
        "error_type": None,
        "stop_reason": draw(few([None, "end_turn"])),
    }


def _usage(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the server reports of a leg: the sums of its steps; a kind that no step has is null."""
    usage: dict[str, Any] = {"step_count": len(rows), "context_tokens": 10 * len(rows)}
    for key in TOKENS:
        known = [row[key] for row in rows if row[key] is not None]
        usage[key] = sum(known) if known else None
    return usage


@st.composite
def made_runs(draw: Any) -> Made:
    """Any run that a server could send: of one leg or more, well or badly ended, told of afterwards or not."""
    modern = draw(st.booleans())
    endings = ["done", "done", "done", "no usage", "error", "torn", "cancelled", "cut"]
    made = Made(modern, draw(st.booleans()), draw(few([True, True, True, False])), draw(few(endings)), "end_turn")
    writer = _Writer(draw, made)
    request: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": made.tokens}
    kind, first = "message", 0
    for leg in range(draw(st.integers(1, 3 if modern else 1))):
        counts = draw(st.lists(st.integers(0, 3), min_size=0 if leg == 0 else 1, max_size=3))
        going_on = modern and draw(st.booleans())
        waits: list[str] = []
        for number, calls in enumerate(counts):
            asks = going_on and number == len(counts) - 1 and calls > 0
            waits = writer.step(len(made.steps), calls=calls, asks=asks)
            made.steps.append(_row(draw, len(made.steps)))
        if not waits:
            break
        writer.end("requires_approval", _usage(made.steps[first:]))
        made.legs.append((kind, request, writer.events))
        approvals = [{"type": "approval", "approve": draw(st.booleans()), "tool_call_id": one} for one in waits]
        kind, request = "answer", {"messages": [{"type": "approval", "approvals": approvals}], "stream_tokens": True}
        first, writer.events = len(made.steps), []
        if draw(st.booleans()):  # what was approved runs, in the step that asked
            writer.returns(first - 1, [one["tool_call_id"] for one in approvals if one["approve"]])
    _finish(draw, made, writer, kind, request, first)
    made.joined = modern and draw(st.booleans())
    return made


def _finish(draw: Any, made: Made, writer: _Writer, kind: str, request: dict[str, Any], first: int) -> None:
    """How the last leg ends; a stream may break and be taken up again on its way."""
    usage = _usage(made.steps[first:])
    if made.ending == "error":
        its = {"message_type": "error_message", "error_type": "llm_error", "message": "No.", "run_id": "run-1"}
        writer.put(its if made.modern else {"error": {"message": "No."}}, "error")
        made.stop_reason = "llm_api_error"
    if made.ending in ("done", "no usage", "error"):
        writer.end(made.stop_reason, usage if made.ending == "done" else None)
    elif made.ending == "torn":
        writer.put(draw(few(['{"message_type":"assi', '{"message_type":"assistant_message","id":"m","content":"pa'])))
    events = writer.events
    if made.modern and len(events) > 2 and draw(st.booleans()):
        cut = draw(st.integers(1, len(events) - 1))
        made.legs.append((kind, request, events[:cut]))
        kind, request, events = "resume", {"starting_after": 0}, events[cut:]
    made.legs.append((kind, request, events))
