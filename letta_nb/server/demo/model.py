"""The scripted model: says the script's moves the way a language model streams, at a human pace."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from letta_nb.server.demo.move import Move
from letta_nb.server.demo.script import REMEMBER, next_move
from letta_nb.server.tools import MESSAGE_TOOL

_WORD = re.compile(r"\s*\S{1,12}|\s+")
_PIECE = re.compile(r"[\w.-]+|\s+|[^\w\s]")

Piece = str | dict[int, DeltaThinkingPart] | dict[int, DeltaToolCall]


class ScriptedModel(FunctionModel):
    """Follows the script; `pace` is in tokens a second, 0 for no waiting."""

    def __init__(self, *, pace: float) -> None:
        self._pause = 1 / pace if pace else 0.0
        super().__init__(self._whole, stream_function=self._streamed, model_name="scripted")
        self._system = "letta_nb"

    @property
    def context_window(self) -> int:
        """Nothing is ever too long for it; a figure as models have one."""
        return 32_000

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream a move, with an estimate of the tokens read (the base class has a constant)."""
        stream = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        async with stream as response:
            usage = response._usage  # pyright: ignore[reportPrivateUsage]
            usage.input_tokens = _size(messages)
            yield response

    async def _whole(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = _parts(_move(messages, info))
        pieces = [piece for part in parts for piece in _split(part)]
        await asyncio.sleep(self._pause * len(pieces))
        usage = RequestUsage(input_tokens=_size(messages), output_tokens=len(pieces))
        return ModelResponse(parts=parts, usage=usage)

    async def _streamed(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        for index, part in enumerate(_parts(_move(messages, info))):
            if isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(part.tool_name, tool_call_id=part.tool_call_id)}
            for text in _split(part):
                await asyncio.sleep(self._pause)
                yield _piece(part, index, text)


def _move(messages: list[ModelMessage], info: AgentInfo) -> Move:
    """The script's reply; an agent that has the message tool speaks with it."""
    names = [tool.name for tool in info.function_tools]
    external = [tool for tool in info.function_tools if tool.kind == "external"]
    move = next_move(messages, external, remembers=REMEMBER in names)
    if move.words and MESSAGE_TOOL in names:
        return Move(move.thought, [(MESSAGE_TOOL, {"message": move.words})])
    return move


def _parts(move: Move) -> list[ModelResponsePart]:
    parts: list[ModelResponsePart] = [ThinkingPart(move.thought)]
    if move.words:
        parts.append(TextPart(move.words))
    for name, arguments in move.calls:
        text = json.dumps(arguments, ensure_ascii=False)
        parts.append(ToolCallPart(name, text, tool_call_id=f"call_{uuid4().hex[:20]}"))
    return parts


def _split(part: ModelResponsePart) -> Iterator[str]:
    match part:
        case ThinkingPart(content=text) | TextPart(content=text):
            yield from _WORD.findall(text)
        case ToolCallPart():
            yield from _PIECE.findall(part.args_as_json_str())
        case _:
            return


def _piece(part: ModelResponsePart, index: int, text: str) -> Piece:
    match part:
        case ThinkingPart():
            return {index: DeltaThinkingPart(content=text)}
        case ToolCallPart():
            return {index: DeltaToolCall(json_args=text)}
        case _:
            return text


def _size(messages: list[ModelMessage]) -> int:
    # a rough count that grows with the conversation, as a real one does
    return len(ModelMessagesTypeAdapter.dump_json(messages)) // 16
