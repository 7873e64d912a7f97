"""Agents for the server's tests: a model that plays what it is told, so that every byte of a run is known."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

from letta_nb.server import serve

Part = tuple[str, ...]
Reply = list[Part]
"""("think", text), ("say", text) or ("call", tool, arguments); ("wait",) holds the stream until released."""


class Play:
    """A model whose n-th reply to a prompt is `replies[n]`, or what a function makes of the prompt and n."""

    def __init__(self, replies: Sequence[Reply] | Callable[[str, int], Reply], *, piece: int = 3) -> None:
        self.replies = replies
        self.piece = piece
        self.released = threading.Event()
        self.seen: list[list[ModelMessage]] = []
        self.model = FunctionModel(stream_function=self.stream, model_name="play")

    def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.seen.append(list(messages))
        prompt, step = _position(messages)
        reply = self.replies(prompt, step) if callable(self.replies) else self.replies[step]
        return self._pieces(reply, len(self.seen))

    async def _pieces(self, reply: Reply, call: int) -> AsyncIterator[Any]:
        for index, (kind, *rest) in enumerate(reply):
            if kind == "fail":
                raise RuntimeError(*rest)
            if kind == "wait":
                while not self.released.is_set():
                    await asyncio.sleep(0.002)
                continue
            text = rest[-1]
            call_id = f"call_{call}_{index}"
            if kind == "call":
                yield {index: DeltaToolCall(rest[0], tool_call_id=call_id)}
            for start in range(0, len(text), self.piece):
                piece = text[start : start + self.piece]
                match kind:
                    case "think":
                        yield {index: DeltaThinkingPart(content=piece)}
                    case "say":
                        yield piece
                    case _:
                        yield {index: DeltaToolCall(json_args=piece)}
            if not text:
                yield ""

    def agent(self, *tools: Any, **options: Any) -> Agent[None, Any]:
        return Agent(self.model, tools=tools, **options)


def _position(messages: list[ModelMessage]) -> tuple[str, int]:
    prompt, step = "", 0
    for message in messages:
        if isinstance(message, ModelResponse):
            step += 1
        elif isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, UserPromptPart):
                    prompt, step = str(part.content), 0
    return prompt, step


class Wire:
    """A bare HTTP client of a server: no types of ours between the test and the bytes."""

    def __init__(self, url: str, **options: Any) -> None:
        # plain HTTP: loading certificates would be half of each test
        self.http = httpx.Client(base_url=url, timeout=10, verify=False, trust_env=False, **options)

    @property
    def agent_id(self) -> str:
        return self.get("/v1/agents/", order="asc")[0]["id"]

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        answer.raise_for_status()
        return answer.json()

    def stream(self, prompt: str = "go", agent_id: str | None = None, **body: Any) -> list[dict[str, Any]]:
        return events(self.body(prompt, agent_id, **body))

    def body(self, prompt: str = "go", agent_id: str | None = None, **body: Any) -> bytes:
        if "messages" not in body and "input" not in body:
            body["messages"] = [{"role": "user", "content": prompt}]
        answer = self.http.post(f"/v1/agents/{agent_id or self.agent_id}/messages/stream", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        return answer.content


def events(body: bytes) -> list[dict[str, Any]]:
    """The JSON events of a body, in order; [DONE] and event names are checked elsewhere, on the bytes."""
    frames = body.decode().split("\n\n")
    data = [line[6:] for frame in frames for line in frame.split("\n") if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def of_type(found: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    return [event for event in found if event["message_type"] in types]


def kinds(found: list[dict[str, Any]]) -> list[str]:
    """The message types in order, repetitions folded."""
    types = [event["message_type"] for event in found]
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


def joined(found: list[dict[str, Any]], message_type: str, key: str) -> str:
    return "".join(event[key] for event in of_type(found, message_type))


@contextmanager
def playing(
    replies: Sequence[Reply] | Callable[[str, int], Reply] | Play, *tools: Any, agent: Any = None, **options: Any
) -> Iterator[Wire]:
    """A server with one agent that plays `replies`, and a client of it."""
    play = replies if isinstance(replies, Play) else Play(replies)
    with serve({"player": agent or play.agent(*tools)}, **options) as server:
        wire = Wire(server.url)
        try:
            yield wire
        finally:
            wire.http.close()
