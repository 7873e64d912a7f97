"""Events and runs written by hand, as a server writes them, and folded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from letta_nb.log import Received
from letta_nb.run import Run


class Wire:
    """Writes events as a server does and folds them, a millisecond apart."""

    def __init__(self, run: Run | None = None, modern: bool = True) -> None:
        self.run = run or Run()
        self.modern = modern
        self.at = 0
        self.changes: list[Any] = []

    def send(self, message_type: str | None, id: str | None = "message-1", event: str = "", **more: Any) -> list[Any]:
        base: dict[str, Any] = {"message_type": message_type} if message_type else {}
        if id is not None:
            base = {"id": id, "date": "2026-01-02T03:04:05+00:00", **base}
            if self.modern:
                base |= {"name": None, "otid": None, "sender_id": None, "step_id": None, "is_err": None}
                base |= {"seq_id": None, "run_id": "run-1"}
        return self.raw(json.dumps(base | more), event)

    def raw(self, data: str, event: str = "") -> list[Any]:
        self.at += 1_000_000
        changes = self.run.receive(Received(self.at, event, data))[1]
        self.changes += changes
        return changes

    def end(self, **how: Any) -> Run:
        self.changes += self.run.end(self.at, **how)
        return self.run

    # the words that tests need most
    def reasoning(self, text: str, id: str = "message-1", **more: Any) -> list[Any]:
        return self.send("reasoning_message", id, reasoning=text, **more)

    def assistant(self, content: Any, id: str = "message-1", **more: Any) -> list[Any]:
        return self.send("assistant_message", id, content=content, **more)

    def call(self, delta: dict[str, Any] | list[dict[str, Any]], id: str = "message-1", **more: Any) -> list[Any]:
        first = delta[0] if isinstance(delta, list) else delta
        both = {"tool_call": first, "tool_calls": delta} if self.modern else {"tool_call": first}
        return self.send("tool_call_message", id, **both, **more)

    def returned(self, call_id: str, result: Any = "ok", id: str = "message-2", **more: Any) -> list[Any]:
        one = {"tool_return": result, "status": "success", "tool_call_id": call_id, "stdout": None, "stderr": None}
        return self.send("tool_return_message", id, **one, **more)

    def stop(self, reason: str = "end_turn") -> list[Any]:
        return self.send("stop_reason", None, stop_reason=reason)

    def usage(self, **more: Any) -> list[Any]:
        counts = {"completion_tokens": 1, "prompt_tokens": 2, "total_tokens": 3, "step_count": 1}
        return self.send("usage_statistics", None, **counts | more)

    def done(self) -> list[Any]:
        return self.raw("[DONE]")


def texts(run: Run, kind: str) -> list[str]:
    return [entry.text for entry in run.entries if entry.kind == kind]


def arguments(run: Run) -> dict[str | None, str]:
    return {call.tool_call_id: call.arguments for call in run.tool_calls}


def made(
    calls: Sequence[tuple[str, str, str]],
    server: Sequence[dict[str, Any]] = (),
    *,
    seconds: float = 0.05,
    waits: Sequence[float] = (),
    window: int | None = None,
    run_id: str = "run-1",
) -> Run:
    """A run of a step a call (name, arguments, status) and an answer, each tool `seconds` long, the model waited for
    `waits` of seconds; `server`: the server's figures of the steps."""
    run, at = Run({"messages": [{"role": "user", "content": "Go."}], "stream_tokens": True}), 0
    for i, (name, arguments, status) in enumerate([*calls, ("", "", "")]):
        base = {"id": f"message-{i}", "step_id": f"step-{i}", "run_id": run_id}
        call = {"name": name, "arguments": arguments, "tool_call_id": f"call-{i}"}
        returned = {
            "tool_return": "Error: no" if status == "error" else "ok",
            "status": status,
            "tool_call_id": f"call-{i}",
        }
        events: list[tuple[float, dict[str, Any]]] = [
            (waits[i] if i < len(waits) else 0.05, {"message_type": "reasoning_message", "reasoning": "Hm."}),
            (0.05, {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call}),
            (seconds, {"message_type": "tool_return_message", **returned, "id": f"message-{i}-r"}),
        ]
        if not name:
            events[1:] = [(0.05, {"message_type": "assistant_message", "content": "Done."})]
        for gap, event in events:
            at += round(gap * 1e9)
            run.receive(Received(at, "", json.dumps(base | event)))
    run.receive(Received(at, "", json.dumps({"message_type": "stop_reason", "stop_reason": "end_turn"})))
    run.end(at)
    named = {"model": "gpt-4o-mini", "provider_name": "openai", "context_window_limit": window}
    run.join_server({"steps": [{"id": f"step-{i}"} | named | row for i, row in enumerate(server)]})
    return run


def spent(read: int, said: int = 50, **more: int) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said, **more}


LOOKS = [("look", json.dumps({"page": page}), "success") for page in range(3)]
