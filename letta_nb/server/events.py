"""From pydantic-ai's messages to Letta's complete events, and the identity that the events of one reply share."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_ai.messages import ModelResponsePart, TextPart, ThinkingPart, ToolCallPart, ToolReturnPart

from letta_nb.server import wire
from letta_nb.server.partial_json import string_field
from letta_nb.server.tools import MESSAGE_TOOL, ToolOutput
from letta_nb.server.wire import Event


@dataclass(frozen=True)
class MessageTool:
    """Which tool's calls are spoken messages, and in which argument the words are."""

    enabled: bool = True
    name: str = MESSAGE_TOOL
    kwarg: str = "message"

    def is_called(self, tool_name: str) -> bool:
        """Whether calls of this tool are to be shown as assistant messages."""
        return self.enabled and tool_name == self.name

    def words(self, call: ToolCallPart) -> str | None:
        """The message of a complete call; None if this call is no message."""
        return string_field(arguments_text(call.args), self.kwarg) if self.is_called(call.tool_name) else None


@dataclass
class Reply:
    """One model reply: all its events share an id; each fragment of it has its own otid."""

    step_id: str | None
    run_id: str | None
    message_id: str = field(default_factory=lambda: wire.new_id("message"))
    at: datetime = field(default_factory=wire.now)
    _fragments: dict[object, int] = field(default_factory=dict[object, int])

    def event(self, message_type: str, fragment: object, **own: Any) -> Event:
        """An event of this reply; the same `fragment` key gives the same otid."""
        index = self._fragments.setdefault(fragment, len(self._fragments))
        return wire.message(
            message_type,
            self.message_id,
            wire.date_text(self.at),
            otid=wire.fragment_otid(self.message_id, index),
            step_id=self.step_id,
            run_id=self.run_id,
            **own,
        )

    def reasoning(self, fragment: object, text: str, signature: str | None = None) -> Event:
        """The model's thinking, whole or in part."""
        own = {"source": "reasoner_model", "reasoning": text, "signature": signature}
        return self.event("reasoning_message", fragment, **own)

    def hidden_reasoning(self, fragment: object, part: ThinkingPart) -> Event:
        """Thinking that the provider keeps to itself."""
        state = "redacted" if part.id == "redacted_thinking" else "omitted"
        return self.event("hidden_reasoning_message", fragment, state=state, hidden_reasoning=part.signature)

    def assistant(self, fragment: object, text: str) -> Event:
        """What the agent says, whole or in part."""
        return self.event("assistant_message", fragment, content=text)

    def tool_call_piece(self, call_id: str, *, name: str | None = None, arguments: str | None = None) -> Event:
        """A piece of a call: `tool_calls` is an object, not a list."""
        piece = wire.tool_call(call_id, name=name, arguments=arguments)
        return self.event("tool_call_message", "tool_call", tool_call=piece, tool_calls=dict(piece))

    def tool_calls(self, calls: Sequence[ToolCallPart]) -> Event:
        """Complete calls, made at once; the older `tool_call` key mirrors the first."""
        whole = [wire.tool_call(c.tool_call_id, name=c.tool_name, arguments=arguments_text(c.args)) for c in calls]
        return self.event("tool_call_message", "tool_call", tool_call=dict(whole[0]), tool_calls=whole)

    def approval_piece(self, call_id: str, *, name: str | None = None, arguments: str | None = None) -> Event:
        """A piece of a call that waits for approval."""
        piece = wire.approval_call(call_id, name=name, arguments=arguments)
        request_id = wire.approval_request_id(self.message_id)
        ids = {"step_id": self.step_id, "run_id": self.run_id}
        return wire.approval_request(request_id, wire.date_text(self.at), piece, dict(piece), **ids)

    def tool_returns(
        self, returns: Sequence[ToolReturnPart], outputs: Mapping[str, ToolOutput], name: str | None
    ) -> Event:
        """The returns of a step's calls in one event; the top-level keys mirror the first. `name`: the tool's."""
        entries = [_return_entry(part, outputs.get(part.tool_call_id)) for part in returns]
        own = {key: value for key, value in entries[0].items() if key != "type"}
        event = self.event("tool_return_message", "tool_return", **own, tool_returns=entries)
        return event | {"name": name}


def arguments_text(args: str | Mapping[str, Any] | None) -> str:
    """A call's arguments as the model wrote them; those that a provider parsed, as JSON."""
    return args if isinstance(args, str) else json.dumps(args or {}, ensure_ascii=False)


def _return_entry(part: ToolReturnPart, output: ToolOutput | None) -> Event:
    status = "success" if part.outcome == "success" else "error"
    text = "None" if part.content is None else part.model_response_str(wrap_if_error=False)
    stdout, stderr = (output.stdout, output.stderr) if output else (None, None)
    return wire.tool_return(part.tool_call_id, text, status, stdout, stderr)


def response_events(
    reply: Reply,
    parts: Sequence[ModelResponsePart],
    failed: Collection[str],
    message_tool: MessageTool,
    waiting: Collection[str] = (),
) -> Iterator[Event]:
    """A complete reply as events; calls made at once share one. Those `waiting` for approval are left out.

    A message whose call `failed` is shown as a call.
    """
    calls: list[ToolCallPart] = []
    for index, part in enumerate(parts):
        if isinstance(part, ToolCallPart):
            words = None if part.tool_call_id in failed else message_tool.words(part)
            if part.tool_call_id in waiting:
                continue
            if words is None:
                calls.append(part)
            else:
                yield reply.assistant(index, words)
        elif isinstance(part, TextPart) and part.content:
            yield reply.assistant(index, part.content)
        elif isinstance(part, ThinkingPart) and part.content:
            yield reply.reasoning(index, part.content, part.signature)
        elif isinstance(part, ThinkingPart) and part.signature:
            yield reply.hidden_reasoning(index, part)
    if calls:
        yield reply.tool_calls(calls)


def shown_returns(
    returns: Iterable[ToolReturnPart], parts: Iterable[ModelResponsePart], message_tool: MessageTool
) -> list[ToolReturnPart]:
    """The returns without those of delivered messages, which say nothing that the message does not."""
    spoken = {
        part.tool_call_id for part in parts if isinstance(part, ToolCallPart) and message_tool.words(part) is not None
    }
    return [part for part in returns if part.outcome != "success" or part.tool_call_id not in spoken]
