"""The official client drives the server, and its types accept every event and every answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from letta_client import Letta
from letta_client.types.agents import Message, Run
from letta_client.types.agents.letta_streaming_response import LettaStreamingResponse
from pydantic import TypeAdapter
from server_play import Wire, playing

from letta_nb.server import serve

# the SDK marks the endpoint as deprecated
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


def add(a: float, b: float) -> float:
    """Add two numbers."""
    print("adding")
    return a + b


REPLIES = [
    [("think", "Add."), ("call", "add", '{"a": 1, "b": 2}'), ("call", "add", '{"a": "x"}')],
    [("think", "Say."), ("say", "It is 3.")],
]


@pytest.fixture
def letta() -> Iterator[tuple[Letta, Wire]]:
    with playing(REPLIES, add, message_tool=False) as wire:
        client = Letta(base_url=str(wire.http.base_url), api_key="none")
        yield client, wire
        client.close()


def test_it_creates_streams_and_lists(letta: tuple[Letta, Wire]) -> None:
    client, _ = letta
    agent = client.agents.create(name="sdk", system="Be kind.", memory_blocks=[{"label": "human", "value": "Ann"}])
    assert client.agents.retrieve(agent.id).name == "sdk"
    for tokens in (False, True):
        stream = client.agents.messages.stream(
            agent.id,
            messages=[{"role": "user", "content": "go"}],
            stream_tokens=tokens,
            use_assistant_message=True,
            assistant_message_tool_name="send_message",
            assistant_message_tool_kwarg="message",
            include_pings=True,
        )
        said = list(stream)
        text = "".join(str(event.content) for event in said if event.message_type == "assistant_message")
        assert text == "It is 3."
        assert [said[0].message_type, said[-2].message_type, said[-1].message_type] == [
            "ping",
            "stop_reason",
            "usage_statistics",
        ]
    listed = list(client.agents.messages.list(agent.id, limit=2, order="asc"))
    assert [message.message_type for message in listed][:2] == ["system_message", "user_message"]
    assert len([m for m in listed if m.message_type == "user_message"]) == 2
    runs = client.runs.list(agent_id=agent.id).items
    assert [run.status for run in runs] == ["completed", "completed"]
    steps = client.runs.steps.list(runs[0].id).items
    assert client.steps.metrics.retrieve(steps[-1].id).tool_execution_ns is not None
    assert client.runs.usage.retrieve(runs[0].id).total_tokens > 0
    assert client.runs.messages.list(runs[0].id).items[0].message_type == "user_message"
    assert "sdk" in [a.name for a in client.agents.list()]
    assert client.health().status == "ok"
    client.agents.delete(agent.id)
    assert "sdk" not in [a.name for a in client.agents.list()]


@pytest.mark.parametrize("body", [{}, {"stream_tokens": True}, {"use_assistant_message": False, "stream_tokens": True}])
@pytest.mark.parametrize("message_tool", [False, True])
def test_its_types_accept_every_event_strictly(body: dict[str, Any], message_tool: bool) -> None:
    streamed, listed = TypeAdapter[Any](LettaStreamingResponse), TypeAdapter[Any](Message)
    with serve(pace=0, message_tool=message_tool) as server:
        wire = Wire(server.url)
        for prompt in ("Weather in Oslo, should I bike?", "Compare Paris and Atlantis", "2 + 2", "who are you?"):
            for event in wire.stream(prompt, **body):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    typed = streamed.validate_python(event)
                assert typed.message_type == event["message_type"]
                assert not typed.model_extra or set(typed.model_extra) <= KNOWN_EXTRAS
        for event in wire.get(f"/v1/agents/{wire.agent_id}/messages"):
            assert listed.validate_python(event).message_type == event["message_type"]
        for run in wire.get("/v1/runs/"):
            Run.model_validate(run)
        wire.http.close()


KNOWN_EXTRAS = {"tool_returns", "is_err"}
"""On the wire of 0.16.8 but not in some classes of the SDK's union."""
