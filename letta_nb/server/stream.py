"""pydantic-ai's events of one model reply, told as Letta's: the protocol adapter that `UIEventStream` is made for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
)
from pydantic_ai.ui import UIEventStream

from letta_nb import sse
from letta_nb.server.approvals import Pending
from letta_nb.server.events import MessageTool, Reply, arguments_text, response_events, shown_returns
from letta_nb.server.partial_json import StringField
from letta_nb.server.tools import ToolOutput
from letta_nb.server.wire import Event


class ReplyStream(UIEventStream[None, Event, Any, Any]):
    """The events of one step. With `tokens`, pieces as they come; without, everything when the tools are done."""

    def __init__(
        self, reply: Reply, message_tool: MessageTool, *, tokens: bool, waits: Callable[[str], bool] = lambda _: False
    ) -> None:
        super().__init__()
        # whether calls of the tool of that name wait for the client
        self.waits = waits
        self.reply = reply
        self.message_tool = message_tool
        self.tokens = tokens
        self._call_ids: dict[int, str] = {}
        self._waiting: set[int] = set()
        self._spoken: dict[int, StringField] = {}

    def encode_event(self, event: Event) -> str:
        """The event as an SSE message."""
        return sse.encode(event).decode()

    async def handle_part_start(self, event: PartStartEvent) -> AsyncIterator[Event]:
        """The first piece of a part; a call's name and id go before its arguments."""
        if not self.tokens:
            return
        index, part = event.index, event.part
        if isinstance(part, TextPart) and part.content:
            yield self.reply.assistant(index, part.content)
        elif isinstance(part, ThinkingPart) and part.content:
            yield self.reply.reasoning(index, part.content, part.signature)
        elif isinstance(part, ToolCallPart):
            self._call_ids[index] = part.tool_call_id
            if self.waits(part.tool_name):
                self._waiting.add(index)
                yield self.reply.approval_piece(part.tool_call_id, name=part.tool_name)
            elif self.message_tool.is_called(part.tool_name):
                self._spoken[index] = StringField(self.message_tool.kwarg)
            else:
                yield self.reply.tool_call_piece(part.tool_call_id, name=part.tool_name)
            for piece in self._arguments(index, part.args):
                yield piece

    async def handle_part_delta(self, event: PartDeltaEvent) -> AsyncIterator[Event]:
        """A further piece; empty ones say nothing and are not sent."""
        if not self.tokens:
            return
        index, delta = event.index, event.delta
        if isinstance(delta, TextPartDelta) and delta.content_delta:
            yield self.reply.assistant(index, delta.content_delta)
        elif isinstance(delta, ThinkingPartDelta) and delta.content_delta:
            yield self.reply.reasoning(index, delta.content_delta, delta.signature_delta)
        elif isinstance(delta, ToolCallPartDelta):
            for piece in self._arguments(index, delta.args_delta):
                yield piece

    async def handle_part_end(self, event: PartEndEvent) -> AsyncIterator[Event]:
        """What only the whole part tells: hidden reasoning, and a message call without a message, sent as the call."""
        if not self.tokens:
            return
        part = event.part
        if isinstance(part, ThinkingPart) and part.signature and not part.content:
            yield self.reply.hidden_reasoning(event.index, part)
        elif isinstance(part, ToolCallPart) and event.index in self._spoken and not self._spoken[event.index].found:
            yield self.reply.tool_call_piece(part.tool_call_id, name=part.tool_name)
            yield self.reply.tool_call_piece(part.tool_call_id, arguments=arguments_text(part.args))

    def reply_end(
        self, response: ModelResponse, failed: Collection[str], pending: Pending | None, *, told: bool = False
    ) -> Iterator[Event]:
        """What is due of the reply itself when its step is over: all that was not `told`, what is `pending` last."""
        asked = {call.tool_call_id for call in pending.calls} if pending else set[str]()
        if not self.tokens:
            if not told:
                yield from response_events(self.reply, response.parts, failed, self.message_tool, asked)
            if pending:
                yield pending.event()
            return
        streamed = {self._call_ids[index] for index in self._waiting}
        # which calls a tool's own code would defer, nobody knew while they streamed
        for call in pending.calls if pending else ():
            if call.tool_call_id not in streamed:
                yield self.reply.approval_piece(call.tool_call_id, name=call.name, arguments=call.arguments)

    def returns(
        self,
        response: ModelResponse,
        returns: Sequence[ToolReturnPart],
        outputs: Mapping[str, ToolOutput],
        after: Reply,
        name: str | None,
    ) -> Iterator[Event]:
        """The returns of the step's calls, as `after`."""
        if shown := shown_returns(returns, response.parts, self.message_tool):
            yield after.tool_returns(shown, outputs, name)

    def _arguments(self, index: int, piece: str | Mapping[str, Any] | None) -> Iterator[Event]:
        if not piece:
            return
        text = arguments_text(piece)
        if index in self._waiting:
            yield self.reply.approval_piece(self._call_ids[index], arguments=text)
        elif (spoken := self._spoken.get(index)) is None:
            yield self.reply.tool_call_piece(self._call_ids[index], arguments=text)
        elif words := spoken.feed(text):
            yield self.reply.assistant(index, words)
