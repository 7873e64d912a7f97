"""The official client drives the server, and its types accept every event and every answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from letta_client import BadRequestError, ConflictError, Letta
from letta_client.types.agents import Message, Run
from letta_client.types.agents.letta_streaming_response import LettaStreamingResponse
from pydantic import TypeAdapter
from pydantic_ai.tools import Tool
from server_play import Play, Wire, playing

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
        for prompt in (
            "Weather in Oslo, should I bike?",
            "Compare Paris and Atlantis",
            "2 + 2",
            "who are you?",
            "Rent a bike in Oslo",
        ):
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

DANGEROUS = [
    [("think", "Careful."), ("call", "danger", '{"target": "x"}'), ("call", "danger", '{"target": "y"}')],
    [("say", "Done.")],
]
KERNEL_FN: Any = {"name": "kernel_fn", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}


class Sdk:
    """The official client on a server with one agent, whose dangerous tool keeps a list."""

    def __init__(self, replies: Any) -> None:
        self.destroyed: list[str] = []
        self.play = replies if isinstance(replies, Play) else Play(replies)

    def danger(self, target: str) -> str:
        """Destroy something."""
        self.destroyed.append(target)
        return f"destroyed {target}"

    @contextmanager
    def client(self) -> Iterator[tuple[Letta, str]]:
        agent = self.play.agent(Tool(self.danger, requires_approval=True))
        with playing(self.play, agent=agent) as wire:
            client = Letta(base_url=str(wire.http.base_url), api_key="none")
            yield client, wire.agent_id
            client.close()


def go(prompt: str = "go") -> Any:
    return [{"role": "user", "content": prompt}]


def waiting(said: list[Any]) -> list[str]:
    """The ids of the calls that a stream ended waiting for."""
    ids = dict[str, None]()
    for event in said:
        if event.message_type == "approval_request_message":
            calls = event.tool_calls if isinstance(event.tool_calls, list) else [event.tool_calls]
            ids |= dict.fromkeys(call.tool_call_id for call in calls)
    return list(ids)


def words(*decisions: tuple[str, bool, str | None]) -> Any:
    approvals = [
        {"type": "approval", "tool_call_id": call_id, "approve": approve, "reason": reason}
        for call_id, approve, reason in decisions
    ]
    return [{"type": "approval", "approvals": approvals}]


@pytest.mark.parametrize("tokens", [False, True])
def test_it_approves_and_denies_calls_made_at_once(tokens: bool) -> None:
    sdk = Sdk(DANGEROUS)
    with sdk.client() as (client, agent_id):
        said = list(client.agents.messages.stream(agent_id, messages=go(), stream_tokens=tokens))
        assert said[-2].stop_reason == "requires_approval"
        state = client.agents.retrieve(agent_id).pending_approval
        assert state is not None
        first, second = waiting(said)
        assert [call.tool_call_id for call in state.tool_calls] == [first, second]
        with pytest.raises(ConflictError, match="PENDING_APPROVAL"):
            client.agents.messages.create(agent_id, messages=go("hello?"))
        answer = words((first, False, "not x"), (second, True, None))
        said = list(client.agents.messages.stream(agent_id, messages=answer, stream_tokens=tokens))
        listed = client.agents.messages.list(agent_id, order="asc").items
        pending = client.agents.retrieve(agent_id).pending_approval
    assert pending is None
    assert sdk.destroyed == ["y"]
    (back,) = [event for event in said if event.message_type == "tool_return_message"]
    assert [(entry.tool_call_id, entry.status) for entry in back.tool_returns] == [
        (first, "error"),
        (second, "success"),
    ]
    assert "approval_response_message" in [message.message_type for message in listed]


def test_it_approves_through_the_door_without_a_stream() -> None:
    sdk = Sdk(DANGEROUS)
    with sdk.client() as (client, agent_id):
        asked = client.agents.messages.create(agent_id, messages=go())
        assert asked.stop_reason.stop_reason == "requires_approval"
        ids = waiting(asked.messages)
        done = client.agents.messages.create(agent_id, messages=words(*[(i, True, None) for i in ids]))
    assert sdk.destroyed == ["x", "y"]
    assert done.messages[-1].content == "Done."
    assert done.usage.total_tokens > 0


@pytest.mark.parametrize("tokens", [False, True])
def test_it_runs_a_tool_of_its_own(tokens: bool) -> None:
    sdk = Sdk([[("call", "kernel_fn", '{"a": 7}')], [("say", "It is 49.")]])
    with sdk.client() as (client, agent_id):
        options: Any = {"client_tools": [KERNEL_FN], "stream_tokens": tokens}
        said = list(client.agents.messages.stream(agent_id, messages=go(), **options))
        (call_id,) = waiting(said)
        base = {"type": "tool", "tool_call_id": call_id, "tool_return": "49", "status": "success"}
        answer: Any = [{"type": "approval", "approvals": [base]}]
        said = list(client.agents.messages.stream(agent_id, messages=answer, **options))
    text = "".join(str(event.content) for event in said if event.message_type == "assistant_message")
    assert text == "It is 49."


def test_it_streams_through_the_other_door() -> None:
    with Sdk([[("say", "hi")]]).client() as (client, agent_id):
        said = list(client.agents.messages.create(agent_id, messages=go(), streaming=True))
    assert [event.message_type for event in said][1:] == ["assistant_message", "stop_reason", "usage_statistics"]


def test_it_resumes_a_background_run() -> None:
    with Sdk([[("think", "hm"), ("say", "one two three")]]).client() as (client, agent_id):
        stream = client.agents.messages.stream(agent_id, messages=go(), stream_tokens=True, background=True)
        said = list(stream)
        run_id = said[0].run_id
        again = list(client.runs.messages.stream(run_id))
        rest = list(client.runs.messages.stream(run_id, starting_after=3))
        (run,) = client.runs.list(agent_id=agent_id, background=True).items
        pings = [
            event for event in client.agents.messages.stream(agent_id, messages=go()) if event.message_type == "ping"
        ]
        with pytest.raises(BadRequestError, match="not created in background mode"):
            list(client.runs.messages.stream(pings[0].run_id))
    assert again == said
    assert rest == said[3:]
    assert (run.id, run.background) == (run_id, True)
    assert [event.seq_id for event in said[:-2]] == list(range(1, len(said) - 1))


def test_it_cancels() -> None:
    play = Play([[("say", "half "), ("wait",), ("say", "whole")]])
    with Sdk(play).client() as (client, agent_id):
        stream = client.agents.messages.stream(agent_id, messages=go(), stream_tokens=True)
        run_id = next(event.run_id for event in stream if event.message_type == "assistant_message")
        assert client.agents.messages.cancel(agent_id, run_ids=[run_id]) == {run_id: "cancelled"}
        assert [event.stop_reason for event in stream if event.message_type == "stop_reason"] == ["cancelled"]
        with pytest.raises(ConflictError, match="No active runs"):
            client.agents.messages.cancel(agent_id)
        assert client.runs.retrieve(run_id).stop_reason == "cancelled"


def test_it_holds_conversations() -> None:
    play = Play(lambda prompt, _: [("say", f"re {prompt}")])
    with Sdk(play).client() as (client, agent_id):
        first = client.conversations.create(agent_id=agent_id, summary="first")
        second = client.conversations.create(agent_id=agent_id)
        assert [c.id for c in client.conversations.list(agent_id=agent_id)] == [second.id, first.id]
        assert client.conversations.retrieve(first.id).summary == "first"
        said = list(client.conversations.messages.create(first.id, messages=go("one")))
        assert said[-1].message_type == "usage_statistics"
        list(client.conversations.messages.create(second.id, messages=go("two"), background=True))
        listed = client.conversations.messages.list(first.id, order="asc").items
        assert [message.message_type for message in listed] == ["system_message", "user_message", "assistant_message"]
        (run,) = client.runs.list(conversation_id=second.id).items
        again = list(client.conversations.messages.stream(second.id, run_id=run.id))
        assert again[-1].message_type == "usage_statistics"
        with pytest.raises(ConflictError):
            client.conversations.cancel(first.id)
