"""Conversations, each with its own history and its own lock, and the doors for messages that are not `/stream`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_play import Play, Wire, events, joined, kinds, of_type, playing

from letta_nb.server import serve

RECORDINGS = Path(__file__).parent / "fixtures" / "0.16.8"
NO_CONVERSATION = "conv-00000000-0000-4000-8000-000000000000"
WAITING = [[("say", "half "), ("wait",), ("say", "whole")]]
GO = {"messages": [{"role": "user", "content": "go"}]}


def get_weather(city: str) -> str:
    """The weather."""
    print(f"looking up {city}")
    return f'{{"city": "{city}", "temp_c": 21}}'


ONE = [
    [("think", "I need the weather first."), ("call", "get_weather", '{"city": "Paris"}')],
    [("think", "Got it."), ("say", "It is 21°C in Paris.")],
]


def create(wire: Wire, **body: Any) -> str:
    answer = wire.http.post("/v1/conversations/", params={"agent_id": wire.agent_id}, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def say(wire: Wire, conversation_id: str, prompt: str = "go", **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": prompt}]
    return wire.http.post(f"/v1/conversations/{conversation_id}/messages", json={"messages": messages} | body)


def remembered(play: Play) -> list[str]:
    return [str(part.content) for message in play.seen[-1] for part in message.parts if hasattr(part, "content")]


def test_each_conversation_has_its_own_history() -> None:
    play = Play(lambda prompt, _: [("say", f"re {prompt}")])
    with playing(play) as wire:
        first, second = create(wire), create(wire, summary="the second")
        say(wire, first, "one")
        say(wire, second, "two")
        wire.stream("own")
        say(wire, first, "three")
        assert remembered(play) == ["one", "re one", "three"]
        say(wire, "default", "four", agent_id=wire.agent_id)
        assert remembered(play) == ["own", "re own", "four"]
        listed = {
            key: [event.get("content") for event in wire.get(f"/v1/conversations/{key}/messages", order="asc")][1:]
            for key in (first, second)
        }
        own = wire.get("/v1/conversations/default/messages", agent_id=wire.agent_id)
        everything = wire.get(f"/v1/agents/{wire.agent_id}/messages")
        filtered = wire.get(f"/v1/agents/{wire.agent_id}/messages", conversation_id=second)
        runs = wire.get("/v1/runs/", conversation_id=first)
    assert listed == {first: ["one", "re one", "three", "re three"], second: ["two", "re two"]}
    assert [event["content"] for event in own[:-1]] == ["re four", "four", "re own", "own"]
    assert len(everything) == 3 + 4 + 2 + 4
    assert [event["content"] for event in filtered[:-1]] == ["re two", "two"]
    assert [run["conversation_id"] for run in runs] == [first, first]


def test_they_are_made_found_and_listed() -> None:
    with playing([[("say", "x")]]) as wire:
        first, second = create(wire, summary="About bikes"), create(wire)
        found = wire.get(f"/v1/conversations/{first}")
        assert (found["agent_id"], found["summary"], found["last_message_at"]) == (wire.agent_id, "About bikes", None)
        say(wire, first)
        assert wire.get(f"/v1/conversations/{first}")["last_message_at"] is not None
        assert len(wire.get(f"/v1/conversations/{first}")["in_context_message_ids"]) == 3
        listed = wire.get("/v1/conversations/", agent_id=wire.agent_id)
        assert [row["id"] for row in listed] == [second, first]
        assert wire.get("/v1/conversations/", order="asc", limit=1)[0]["id"] == first
        assert [row["id"] for row in wire.get("/v1/conversations/", after=second)] == [first]
        assert [row["id"] for row in wire.get("/v1/conversations/", summary_search="BIKES")] == [first]
        assert wire.http.get(f"/v1/conversations/{NO_CONVERSATION}").status_code == 404
        assert wire.http.get("/v1/conversations/nope").status_code == 422
        assert say(wire, NO_CONVERSATION).status_code == 404
        assert say(wire, "default").status_code == 404
        assert wire.http.post("/v1/conversations/", params={"agent_id": "agent-x"}).status_code == 404


def shape(found: list[dict[str, Any]]) -> list[list[str]]:
    keys = [list(event) for event in found]
    return [item for index, item in enumerate(keys) if index == 0 or keys[index - 1] != item]


def test_the_stream_and_the_list_have_the_recorded_shape() -> None:
    with playing(ONE, get_weather) as wire:
        conversation_id = create(wire)
        ours = events(say(wire, conversation_id, stream_tokens=True).content)
        listed = wire.get(f"/v1/conversations/{conversation_id}/messages")
    assert shape(ours) == shape(events((RECORDINGS / "conv_multi_tok.sse").read_bytes()))
    theirs = json.loads((RECORDINGS / "conv_messages.json").read_text(encoding="utf-8"))["body"]
    assert [list(event) for event in listed] == [list(event) for event in theirs]


@pytest.mark.parametrize("case", ["own", "conversation"])
def test_one_request_at_a_time(case: str) -> None:
    play = Play(WAITING, piece=9)
    with playing(play) as wire:
        other = Wire(str(wire.http.base_url))
        place = create(wire) if case == "conversation" else wire.agent_id
        path = f"/v1/conversations/{place}/messages"
        with wire.http.stream("POST", path, json=GO | {"stream_tokens": True}) as answer:
            lines = answer.iter_lines()
            run_id = json.loads(next(lines).removeprefix("data: "))["run_id"]
            busy = other.http.post(path, json=GO)
            elsewhere = create(other)
            play.released.set()
            assert say(other, elsewhere).status_code == 200
            assert any("whole" in line for line in lines)
        assert busy.status_code == 409
        assert busy.headers["retry-after"] == "1"
        assert busy.json()["run_id"] == run_id
        assert busy.json()["detail"].startswith("CONFLICT: Cannot send a new message: Another request")
        assert other.http.post(path, json=GO).status_code == 200
        other.http.close()


def test_a_conversation_can_be_cancelled() -> None:
    with playing(Play(WAITING, piece=9)) as wire:
        other = Wire(str(wire.http.base_url))
        place = create(wire)
        with wire.http.stream("POST", f"/v1/conversations/{place}/messages", json=GO) as answer:
            lines = answer.iter_lines()
            run_id = json.loads(next(lines).removeprefix("data: "))["run_id"]
            elsewhere = other.http.post("/v1/conversations/default/cancel", params={"agent_id": other.agent_id})
            cancelled = other.http.post(f"/v1/conversations/{place}/cancel")
            assert any("cancelled" in line for line in lines)
        assert elsewhere.status_code == 409
        assert cancelled.json() == {run_id: "cancelled"}
        again = other.http.post(f"/v1/conversations/{place}/cancel")
        assert again.status_code == 409
        assert again.json()["detail"] == f"CONFLICT: No active runs to cancel for conversation {place}"
        other.http.close()


def test_a_conversations_stream_is_found_by_place_run_or_otid() -> None:
    play = Play(WAITING, piece=9)
    with playing(play) as wire:
        other = Wire(str(wire.http.base_url))
        place = create(wire)
        path = f"/v1/conversations/{place}/stream"
        idle = wire.http.post(path, json={})
        messages = [{"role": "user", "content": "go", "otid": "mine"}]
        body = {"messages": messages, "background": True, "stream_tokens": True}
        with wire.http.stream("POST", f"/v1/conversations/{place}/messages", json=body) as answer:
            lines = answer.iter_lines()
            run_id = json.loads(next(lines).removeprefix("data: "))["run_id"]
            with other.http.stream("POST", path, json={}) as resumed:
                heard = resumed.iter_lines()
                assert run_id in next(heard)
                play.released.set()
                assert any("whole" in line for line in heard)
            list(lines)
        by_run = other.http.post(path, json={"run_id": run_id}).content
        by_otid = other.http.post(path, json={"otid": "mine"}).content
        lost = other.http.post(path, json={"otid": "nope"})
        other.http.close()
    assert by_run == by_otid
    assert joined(events(by_run), "assistant_message", "content") == "half whole"
    assert (lost.status_code, idle.status_code) == (404, 400)
    assert idle.json() == {"detail": "INVALID_ARGUMENT: No active runs found for this conversation."}


def test_an_approval_belongs_to_its_conversation() -> None:
    offer = {"client_tools": [{"name": "kernel_fn"}]}
    with playing([[("call", "kernel_fn", "{}")], [("say", "done")]]) as wire:
        first, second = create(wire), create(wire)
        asked = events(say(wire, first, **offer).content)
        assert kinds(events(say(wire, second, **offer).content)) == kinds(asked)
        call_id = of_type(asked, "approval_request_message")[0]["tool_call"]["tool_call_id"]
        item = {"type": "tool", "tool_call_id": call_id, "tool_return": "1", "status": "success"}
        answer = {"messages": [{"type": "approval", "approvals": [item]}]} | offer
        found = events(wire.http.post(f"/v1/conversations/{first}/messages", json=answer).content)
        assert joined(found, "assistant_message", "content") == "done"
        assert "CONFLICT" in events(say(wire, second).content)[-1]["message"]
        assert "CONFLICT" not in str(wire.stream(**offer))


@pytest.fixture
def whole() -> Iterator[Wire]:
    with playing([[("think", "hm"), ("say", "hi")]]) as wire:
        yield wire


@pytest.mark.parametrize("door", ["agents", "conversations"])
def test_one_answer_has_the_recorded_shape(whole: Wire, door: str) -> None:
    place = whole.agent_id if door == "agents" else create(whole)
    answer = whole.http.post(f"/v1/{door}/{place}/messages", json=GO | {"streaming": False})
    theirs = json.loads((RECORDINGS / "v1_nonstream_messages.json").read_text(encoding="utf-8"))["body"]
    ours = answer.json()
    assert list(ours) == list(theirs)
    assert [list(message) for message in ours["messages"]] == [list(message) for message in theirs["messages"]]
    assert ours["stop_reason"] == theirs["stop_reason"]
    assert list(ours["usage"]) == list(theirs["usage"])
    assert ours["messages"][-1]["content"] == "hi"


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ("letta-client/1.12.1", 200),
        ("@letta-ai/letta-client/1.0.0", 200),
        ("", 200),
        ("python-httpx/0.28.1", 422),
        ("letta-client/0.1.9", 422),
        ("curl", 422),
    ],
)
def test_the_door_that_can_do_both_looks_at_the_sender(whole: Wire, agent: str, status: int) -> None:
    path = f"/v1/agents/{whole.agent_id}/messages"
    answer = whole.http.post(path, json=GO | {"streaming": True}, headers={"User-Agent": agent})
    assert answer.status_code == status
    if status == 422:
        assert answer.json() == {"detail": "streaming=true is only supported for SDK v1.0+ clients."}
        by_header = {"User-Agent": agent, "X-Stainless-Package-Version": "1.12.1"}
        answer = whole.http.post(path, json=GO | {"streaming": True}, headers=by_header)
    theirs = (RECORDINGS / "post_messages_streaming_true_foreign_ua.sse").read_bytes()
    assert kinds(events(answer.content)) == kinds(events(theirs))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": []}, "Messages must not be empty"),
        ({"stream_tokens": True}, "stream_tokens can only be true when streaming=true"),
        ({"include_pings": False, "background": True}, "; background can only be true when streaming=true"),
    ],
)
def test_what_only_a_stream_can_do_is_refused(whole: Wire, body: dict[str, Any], words: str) -> None:
    answer = whole.http.post(f"/v1/agents/{whole.agent_id}/messages", json=GO | body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_failures_have_a_status_when_there_is_no_stream() -> None:
    with playing([[("fail", "down")]]) as wire:
        path = f"/v1/agents/{wire.agent_id}/messages"
        failed = wire.http.post(path, json=GO)
        refused = wire.http.post(path, json={"messages": [{"role": "user", "content": ""}]})
    assert (failed.status_code, failed.json()) == (500, {"detail": "An unknown error occurred"})
    assert (refused.status_code, refused.json()) == (400, {"detail": "Message content is empty or invalid"})


def test_a_cancelled_answer_says_so() -> None:
    entered = threading.Event()

    def slow() -> str:
        """Blocks until the run is cancelled."""
        entered.set()
        threading.Event().wait(5)
        return "late"

    with playing([[("call", "slow", "{}")], [("say", "x")]], slow) as wire, ThreadPoolExecutor() as pool:
        path = f"/v1/agents/{wire.agent_id}/messages"
        waiting = pool.submit(wire.http.post, path, json=GO)
        assert entered.wait(10)
        other = Wire(str(wire.http.base_url))
        other.http.post(f"{path}/cancel")
        assert waiting.result(10).json()["stop_reason"]["stop_reason"] == "cancelled"
        other.http.close()


def test_another_model_can_answer_one_request() -> None:
    first, second = Play(lambda *_: [("say", "first")]), Play(lambda *_: [("say", "second")])
    with serve({"a": first.agent(), "b": second.agent()}) as server:
        wire = Wire(server.url)
        agent_id = wire.get("/v1/agents/", name="a")[0]["id"]
        said = joined(wire.stream(agent_id=agent_id, override_model="b"), "assistant_message", "content")
        body = GO | {"override_model": "openai/nope"}
        unknown = wire.http.post(f"/v1/agents/{agent_id}/messages/stream", json=body)
        wire.http.close()
    assert said == "second"
    assert unknown.status_code == 404
    assert "must be one of" in unknown.json()["detail"]
