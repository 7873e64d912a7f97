"""The runs of the pictures: real servers' recordings with what the server told afterwards, and one made by hand."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

from big_runs import call_events, finished
from js_fixtures import cut, load, server_rows
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from letta_nb.log import Received
from letta_nb.run import Run

__all__ = ["cut", "five_hundred", "fleet", "long_talk", "modern", "timed"]

MS = 1_000_000
WINDOW = 128_000
# prompt tokens of each step; after the fifth the window was compacted
PROMPTS = (61_200, 74_900, 88_300, 103_700, 117_100, 31_400, 38_200, 52_600)
ANSWERS = tuple(180 + 7 * n for n in range(len(PROMPTS)))
FILES = ("outline", "chapter-1", "chapter-2", "chapter-3", "chapter-4", "chapter-5", "appendix", "index")


def modern(name: str) -> Run:
    """A recording of 0.16.8."""
    return load(f"0.16.8/{name}")


def timed(name: str) -> Run:
    """A recording of 0.16.8 with the steps and times that its server told of afterwards."""
    run = modern(f"{name}_tok")
    run.join_server({"steps": server_rows(name)})
    return run


def five_hundred() -> Run:
    """Five hundred calls, some of which fail."""
    return finished(call_events(500))


def long_talk() -> Run:
    """A run whose context window fills up and is compacted: by hand, in the words of 0.16.8."""
    run = Run({"messages": [{"role": "user", "content": "Proofread the whole book."}], "stream_tokens": True})
    run.agent_name, run.model = "proofreader", "gpt-4o-mini"
    at = 0
    for at, event in _talk():
        run.receive(Received(at, "", json.dumps(event)))
    run.end(at + MS)
    rows = [
        {"id": f"step-{n}", "prompt_tokens": read, "completion_tokens": said, "context_window_limit": WINDOW}
        for n, (read, said) in enumerate(zip(PROMPTS, ANSWERS, strict=True))
    ]
    run.join_server({"steps": rows})
    return run


def fleet() -> dict[str, Agent]:
    """Two models for one agent: a quick one, and one that looks things up more often."""
    return {"weather": _weather("swift-1", 60, 1), "careful": _weather("thorough-2", 35, 3)}


def _weather(name: str, pace: int, lookups: int) -> Agent:
    chance = random.Random(name)

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Any]:
        seen = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        if seen < lookups + chance.randint(0, 1):
            city = json.dumps({"city": chance.choice(("Oslo", "Lima", "Pune", "Oz"))})
            yield {0: DeltaToolCall("get_weather", tool_call_id=f"call-{seen}")}
            for start in range(0, len(city), 4):
                yield {0: DeltaToolCall(json_args=city[start : start + 4])}
                await asyncio.sleep(1 / pace)
            return
        for word in "Oslo is the coolest of the three today, with rain in the afternoon: take a coat.".split():
            yield f"{word} "
            await asyncio.sleep(1 / pace)

    async def get_weather(city: str) -> str:
        """The weather in a city."""
        await asyncio.sleep(random.Random(city).uniform(0.2, 0.8))
        if city == "Oz":
            raise LookupError("there is no Oz")
        return "12 degrees, rain"

    return Agent(FunctionModel(stream_function=stream, model_name=name), tools=[get_weather])


def _talk() -> Iterator[tuple[int, dict[str, Any]]]:
    at = 0
    for n, name in enumerate(FILES):
        ids = {"id": f"message-{n}", "date": "2026-11-22T12:00:00+00:00", "step_id": f"step-{n}", "run_id": "run-1"}
        call = {"name": "read_file", "arguments": json.dumps({"path": f"{name}.md"}), "tool_call_id": f"call-{n}"}
        events: list[tuple[int, dict[str, Any]]] = [
            (700, {"message_type": "reasoning_message", "reasoning": f"Next is {name}."}),
            (250, {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call}),
            (900, {"message_type": "tool_return_message", "tool_return": "ok", "status": "success"}),
        ]
        events[-1][1]["tool_call_id"] = call["tool_call_id"]
        if n == 4:
            stats = {
                "trigger": "post_step_context_check",
                "context_tokens_before": 117_308,
                "context_tokens_after": 31_044,
            }
            events.append(
                (1400, {"message_type": "summary_message", "summary": "Read so far.", "compaction_stats": stats})
            )
        for after, event in events:
            at += after * MS
            yield at, ids | event
    yield at + MS, {"message_type": "stop_reason", "stop_reason": "end_turn"}
    usage = {"prompt_tokens": sum(PROMPTS), "completion_tokens": sum(ANSWERS), "total_tokens": sum(PROMPTS + ANSWERS)}
    yield at + MS, {"message_type": "usage_statistics", **usage}
