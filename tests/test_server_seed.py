"""The seed era: the server speaks as 0.7.16 was recorded speaking."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ApprovalRequired
from pydantic_ai.tools import Tool
from server_play import Play, Wire, playing

from letta_nb.errors import ConfigurationError
from letta_nb.server import serve

RECORDINGS = Path(__file__).parent / "fixtures" / "0.7.16"
NO_AGENT = "agent-00000000-0000-4000-8000-000000000000"
RUN = "run-00000000-0000-4000-8000-000000000000"


def get_weather(city: str) -> str:
    """The weather."""
    print(f"looking up {city}")
    return f'{{"city": "{city}", "temp_c": 21}}'


def get_time() -> str:
    """The time."""
    return "noon"


ONE = [
    [("think", "I need the weather first."), ("call", "get_weather", '{"city": "Paris"}')],
    [("think", "Got it."), ("say", "It is 21°C in Paris.")],
]
HELLO = [[("think", "The user greets me."), ("say", "Hello 🤔!")]]


def data(body: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.decode("ascii").split("\n\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def shapes(found: list[dict[str, Any]]) -> list[Any]:
    """Keys in order, with the keys of a call, and whether a value is null; runs of equal ones folded."""
    told = [[(k, list(v) if isinstance(v, dict) else v is None) for k, v in event.items()] for event in found]
    return [item for index, item in enumerate(told) if index == 0 or told[index - 1] != item]


def recorded(case: str) -> bytes:
    return (RECORDINGS / f"{case}.sse").read_bytes()


@pytest.mark.parametrize(
    ("case", "replies", "tokens"),
    [
        ("memgpt_hello_step", HELLO, False),
        ("memgpt_hello_tok", HELLO, True),
        ("memgpt_one_step", ONE, False),
        ("memgpt_one_tok", ONE, True),
    ],
)
def test_a_stream_has_the_recorded_shape(case: str, replies: Any, tokens: bool) -> None:
    with playing(replies, get_weather, era="seed") as wire:
        body = wire.body(stream_tokens=tokens, background=True, client_tools=[{"name": "f"}])
        name = wire.get("/v1/agents/")[0]["name"]
    assert shapes(data(body)) == shapes(data(recorded(case)))
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"event:" not in body
    assert b'": ' not in body.split(b"\n\n")[0]
    said = [event for event in data(body) if event["message_type"] in ("reasoning_message", "assistant_message")]
    assert {event["name"] for event in said} == {name}


def test_text_is_escaped() -> None:
    with playing(HELLO, era="seed") as wire:
        body = wire.body()
    assert rb"Hello \ud83e\udd14!" in body


def test_a_call_is_told_before_its_tool_runs() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow() -> str:
        """Waits to be let go."""
        entered.set()
        leave.wait(10)
        return "done"

    with playing([[("call", "slow", "{}")], [("say", "x")]], slow, era="seed") as wire:
        path = f"/v1/agents/{wire.agent_id}/messages/stream"
        with wire.http.stream("POST", path, json={"messages": [{"role": "user", "content": "go"}]}) as answer:
            lines = answer.iter_lines()
            assert '"tool_call_message"' in next(lines)
            assert entered.wait(10)
            leave.set()
            assert any('"tool_return_message"' in line for line in lines)


def test_several_calls_are_told_one_by_one() -> None:
    calls = [("call", "get_weather", '{"city": "A"}'), ("call", "get_time", "{}")]
    play = Play([calls, [("say", "x")]])
    with playing(play, agent=play.agent(get_weather, get_time), era="seed") as wire:
        found = data(wire.body())
    assert [event["message_type"] for event in found[:4]] == ["tool_call_message"] * 2 + ["tool_return_message"] * 2
    assert [event["name"] for event in found[2:4]] == ["get_weather", "get_time"]
    assert all("tool_calls" not in event and "tool_returns" not in event for event in found)


@pytest.mark.parametrize("tokens", [False, True])
def test_every_failure_is_the_recorded_one(tokens: bool) -> None:
    with playing([[("fail", "down")]], era="seed") as wire:
        assert wire.body(stream_tokens=tokens) == recorded("memgpt_err500_step")
    with playing([ONE[0], [("say", "half"), ("fail", "down")]], get_weather, era="seed") as wire:
        body = wire.body(stream_tokens=tokens)
    assert body.endswith(recorded("memgpt_err500_step"))
    assert data(body)[0]["message_type"] == "reasoning_message"


def needs_approval() -> str:
    """Not without a word."""
    raise ApprovalRequired


@pytest.mark.parametrize("tokens", [False, True])
def test_what_needs_approval_is_denied(tokens: bool) -> None:
    ran: list[str] = []
    asks = Tool(lambda: ran.append("x"), name="asks", requires_approval=True)
    play = Play([[("call", "asks", "{}"), ("call", "needs_approval", "{}")], [("say", "well")]])
    with playing(play, agent=play.agent(asks, needs_approval), era="seed") as wire:
        found = data(wire.body(stream_tokens=tokens))
    backs = [event for event in found if event["message_type"] == "tool_return_message"]
    assert [(back["status"], "needs approval" in back["tool_return"]) for back in backs] == [("error", True)] * 2
    assert ran == []
    assert found[-2]["content"] in ("well", "l")


@pytest.fixture
def seed() -> Iterator[Wire]:
    with playing(ONE, get_weather, era="seed") as wire:
        yield wire


def test_what_came_later_is_not_there(seed: Wire) -> None:
    assert seed.get("/v1/health/")["version"] == "0.7.16"
    agent_id = seed.agent_id
    for method, path in [
        ("POST", f"/v1/agents/{agent_id}/messages/cancel"),
        ("POST", f"/v1/runs/{RUN}/stream"),
        ("GET", "/v1/conversations/"),
        ("POST", f"/v1/conversations/?agent_id={agent_id}"),
    ]:
        answer = seed.http.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), path


def test_what_was_there_is(seed: Wire) -> None:
    seed.body()
    (run,) = seed.get("/v1/runs/")
    assert len(seed.get(f"/v1/runs/{run['id']}/steps")) == 2
    assert seed.get(f"/v1/runs/{run['id']}/usage")["total_tokens"] > 0


def test_refusals_are_the_recorded_ones(seed: Wire) -> None:
    path = f"/v1/agents/{seed.agent_id}/messages/stream"
    wrong = seed.http.post(path, json={"messages": "x"})
    assert (wrong.status_code, wrong.json()) == (422, json.loads(recorded("bad_422_body")))
    later = seed.http.post(path, json={"input": "x"})
    assert later.json()["detail"][0]["type"] == "missing"
    answer = [{"type": "approval", "approve": True, "approval_request_id": "x"}]
    assert seed.http.post(path, json={"messages": answer}).status_code == 422
    missing = seed.http.post(f"/v1/agents/{NO_AGENT}/messages/stream", json={"messages": []})
    assert missing.status_code == 404
    theirs = json.loads(recorded("bad_404_agent"))["detail"]
    assert missing.json()["detail"].startswith(theirs[: theirs.index("user-")].removesuffix("'"))


def test_messages_are_listed_as_then(seed: Wire) -> None:
    seed.body()
    seed.body()
    path = f"/v1/agents/{seed.agent_id}/messages"
    whole = seed.get(path, limit=100)
    assert [event["message_type"] for event in whole[:5]] == [
        "system_message",
        "user_message",
        "reasoning_message",
        "tool_call_message",
        "tool_return_message",
    ]
    theirs = json.loads((RECORDINGS / "agent_messages.json").read_text(encoding="utf-8"))["body"]
    known = {event["message_type"]: list(event) for event in theirs}
    assert all(list(event) == known[event["message_type"]] for event in whole if event["message_type"] in known)
    ids = list(dict.fromkeys(event["id"] for event in whole))
    assert len(ids) == 11 - 2
    last = seed.get(path, limit=2)
    assert list(dict.fromkeys(event["id"] for event in last)) == ids[-2:]
    assert {event["id"] for event in seed.get(path, after=ids[0], limit=1)} == {ids[1]}
    assert {event["id"] for event in seed.get(path, before=ids[-1], limit=1)} == {ids[-2]}


def test_one_answer_without_a_stream(seed: Wire) -> None:
    path = f"/v1/agents/{seed.agent_id}/messages"
    answer = seed.http.post(path, json={"messages": [{"role": "user", "content": "go"}]}).json()
    assert list(answer) == ["messages", "usage"]
    assert answer["messages"][-1]["content"] == "It is 21°C in Paris."
    assert answer["usage"]["step_count"] == 2


def test_an_era_must_be_known() -> None:
    era: Any = "bronze"
    with pytest.raises(ConfigurationError, match="modern and seed"):
        serve(era=era)


def test_its_document_has_only_what_it_has(seed: Wire) -> None:
    paths = seed.get("/openapi.json")["paths"]
    assert "/v1/agents/{agent_id}/messages/stream" in paths
    assert not [
        path for path in paths if "conversations" in path or path.endswith(("/cancel", "/runs/{run_id}/stream"))
    ]
    body = paths["/v1/agents/{agent_id}/messages/stream"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["$ref"].endswith("/SeedRequest")
