"""How events are written: as 0.16.8 does, or as the servers of the first half of 2025 did (0.7.16 was recorded)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from letta_nb import sse
from letta_nb.server.wire import Event

EraName = Literal["modern", "seed"]
VERSIONS: dict[EraName, str] = {"modern": "0.16.8", "seed": "0.7.16"}

_SEED_BASE = ("id", "date", "name", "message_type", "otid")
_SEED_OWN: dict[str, tuple[str, ...]] = {
    "system_message": ("sender_id", "step_id", "content"),
    "user_message": ("sender_id", "step_id", "content"),
    "reasoning_message": ("sender_id", "step_id", "source", "reasoning", "signature"),
    "hidden_reasoning_message": ("sender_id", "step_id", "state", "hidden_reasoning"),
    "assistant_message": ("sender_id", "step_id", "content"),
}
_SEED_USAGE = ("message_type", "completion_tokens", "prompt_tokens", "total_tokens", "step_count", "run_ids")
# every failure is worded like this, whatever it was
_SEED_FAILURE = {"error": "Stream failed (internal error occurred)"}


class Speech(Protocol):
    """Writes the events of one run."""

    def frames(self, event: Event, name: str | None) -> Iterator[bytes]:
        """The event as SSE messages; `name` is that of the SSE event."""
        ...


class Modern:
    """As 0.16.8 writes."""

    def frames(self, event: Event, name: str | None) -> Iterator[bytes]:
        """The event as it is; text without a UTF-8 form (lone surrogates) goes out as JSON escapes."""
        try:
            yield sse.encode(event, name)
        except UnicodeEncodeError:
            yield sse.encode(json.dumps(event, separators=(",", ":")), name)


class Seed:
    """As 0.7.16 writes: fewer keys, ASCII, one call an event, and an id only in a call's first piece."""

    def __init__(self, agent_name: str) -> None:
        self._agent_name = agent_name
        self._tools: dict[str, str] = {}

    def frames(self, event: Event, name: str | None) -> Iterator[bytes]:
        """The event in that form, if there was such an event."""
        for told in self.told(event):
            if "tool_call" in told:
                told = {key: value for key, value in told.items() if key not in ("sender_id", "step_id")}
            elif "step_id" in told:
                told["step_id"] = None
            yield sse.encode(json.dumps(told, separators=(",", ":")))

    def listed(self, events: Iterable[Event]) -> list[Event]:
        """Events as lists of messages have them."""
        return [told for event in events for told in self.told(event)]

    def told(self, event: Event) -> Iterator[Event]:
        """The event in that form."""
        kind = event["message_type"]
        if kind == "error_message":
            yield dict(_SEED_FAILURE)
        elif kind == "usage_statistics":
            yield {key: event[key] for key in _SEED_USAGE}
        elif kind == "tool_call_message":
            yield from self._calls(event)
        elif kind == "tool_return_message":
            yield from self._returns(event)
        elif kind in _SEED_OWN:
            own = self._base(event) | {key: event[key] for key in _SEED_OWN[kind]}
            if kind == "reasoning_message":
                own["source"] = "non_reasoner_model"
            yield own

    def _base(self, event: Event) -> Event:
        spoken = event["message_type"] not in ("user_message", "system_message")
        return {key: event[key] for key in _SEED_BASE} | ({"name": self._agent_name} if spoken else {})

    def _calls(self, event: Event) -> Iterator[Event]:
        whole: list[Event] | Event = event["tool_calls"]
        if isinstance(whole, list):
            calls = whole
            self._tools |= {call["tool_call_id"]: call["name"] for call in calls}
        else:
            piece: Event = event["tool_call"]
            call_id, first = piece["tool_call_id"], "name" in piece
            if first:
                self._tools[call_id] = piece["name"]
            calls = [piece if first else {"arguments": piece["arguments"]}]
        for call in calls:
            yield self._base(event) | {"sender_id": None, "step_id": event["step_id"], "tool_call": call}

    def _returns(self, event: Event) -> Iterator[Event]:
        for entry in event["tool_returns"]:
            own = {key: value for key, value in entry.items() if key != "type"}
            name = self._tools.get(entry["tool_call_id"], event["name"])
            yield self._base(event) | {"name": name, "sender_id": None, "step_id": event["step_id"]} | own
