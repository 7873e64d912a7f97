"""The other endpoints: agents, message lists with cursors, runs and steps, and errors in Letta's shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_play import Play, Wire, joined, kinds, of_type, playing

from letta_nb.server import serve

RECORDINGS = Path(__file__).parent / "fixtures" / "0.16.8"
NO_AGENT = "agent-00000000-0000-4000-8000-000000000000"


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def replies(prompt: str, step: int) -> list[Any]:
    if prompt == "tool" and step == 0:
        return [("think", "adding"), ("say", "I add."), ("call", "add", '{"a": 1, "b": 2}')]
    return [("think", "hm"), ("say", f"re {prompt}")]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with playing(replies, add) as client:
        yield client


@pytest.fixture(scope="module")
def chatty(wire: Wire) -> str:
    """An agent with a history of several turns."""
    agent_id = wire.http.post("/v1/agents/", json={"name": "chatty"}).json()["id"]
    for prompt in ("one", "tool", "three", "tool", "five"):
        wire.stream(prompt, agent_id)
    return agent_id


def recorded_body(case: str) -> Any:
    return json.loads((RECORDINGS / f"{case}.json").read_text(encoding="utf-8"))["body"]


def test_health_says_what_it_is(wire: Wire) -> None:
    health = wire.get("/v1/health/")
    assert health["status"] == "ok"
    assert health["version"] == "0.16.8"
    assert health["server"].startswith("letta_nb/")


@pytest.mark.parametrize("path", ["/v1/health", "/v1/agents", "/v1/runs"])
def test_paths_answer_with_and_without_a_slash(wire: Wire, path: str) -> None:
    assert wire.http.get(path).status_code == wire.http.get(f"{path}/").status_code == 200


def test_an_agent_can_be_made_found_and_deleted(wire: Wire) -> None:
    body = {"name": "Ann's", "system": "Be Ann.", "tags": ["t"], "tools": ["add"], "metadata": {"k": 1}}
    made = wire.http.post("/v1/agents/", json=body).json()
    assert wire.get(f"/v1/agents/{made['id']}") == made
    assert (made["name"], made["system"], made["tags"], made["metadata"]) == ("Ann's", "Be Ann.", ["t"], {"k": 1})
    assert [tool["name"] for tool in made["tools"]] == ["add"]
    assert made["tools"][0]["json_schema"]["parameters"]["required"] == ["a", "b"]
    assert [agent["id"] for agent in wire.get("/v1/agents/", name="Ann's")] == [made["id"]]
    assert [agent["id"] for agent in wire.get("/v1/agents/", query_text="ann'")] == [made["id"]]
    assert [agent["id"] for agent in wire.get("/v1/agents/", tags=["t"])] == [made["id"]]
    assert wire.get("/v1/agents/")[0]["id"] == made["id"]
    assert wire.get("/v1/agents/", order="asc")[0]["name"] == "player"
    wire.stream("x", made["id"])
    assert wire.http.delete(f"/v1/agents/{made['id']}").status_code == 200
    assert wire.http.get(f"/v1/agents/{made['id']}").status_code == 404
    assert wire.get("/v1/runs/", agent_id=made["id"]) == []


def test_an_agents_own_system_prompt_tools_and_memory_reach_the_model() -> None:
    play = Play([[("call", "add", '{"a": 1, "b": 2}')], [("say", "ok")]])
    with playing(play, agent=play.agent(add, instructions="Be Play.")) as wire:
        blocks = [{"label": "human", "value": "Name: Ann"}]
        body = {"system": "Be Ann.", "tools": [], "memory_blocks": blocks}
        made = wire.http.post("/v1/agents/", json=body).json()
        found = wire.stream("x", made["id"])
        wire.stream("x", made["id"], system="Be Bob.")
        wire.stream("x", wire.get("/v1/agents/", name="player")[0]["id"])
    assert of_type(found, "tool_return_message")[0]["status"] == "error"
    assert made["system"] == "Be Ann.\n\n<human>\nName: Ann\n</human>"
    said = [messages[-1].instructions for messages in play.seen[::2]]
    assert said == [made["system"], "Be Bob.\n\n<human>\nName: Ann\n</human>", "Be Play."]


@pytest.mark.parametrize("body", [{"model": "openai/gpt-9"}, {"tools": ["nope"]}])
def test_what_cannot_be_served_is_not_promised(wire: Wire, body: dict[str, Any]) -> None:
    answer = wire.http.post("/v1/agents/", json=body)
    assert answer.status_code == 404
    assert "not found" in answer.json()["detail"]


def test_an_unknown_agent_is_404(wire: Wire) -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    for answer in (
        wire.http.post(f"/v1/agents/{NO_AGENT}/messages/stream", json=body),
        wire.http.get(f"/v1/agents/{NO_AGENT}"),
        wire.http.get(f"/v1/agents/{NO_AGENT}/messages"),
        wire.http.delete(f"/v1/agents/{NO_AGENT}"),
    ):
        assert answer.status_code == 404
        assert answer.json() == {"detail": f"Agent with ID {NO_AGENT} not found"}


@pytest.mark.parametrize("case", ["bad_422_agentid", "bad_422_body", "bad_nobody"])
def test_invalid_requests_get_the_recorded_answers(wire: Wire, case: str) -> None:
    request = json.loads((RECORDINGS / f"{case}.json").read_text(encoding="utf-8"))["request"]
    recorded = json.loads((RECORDINGS / f"{case}.sse").read_text(encoding="utf-8"))
    answer = wire.http.request(request["method"], request["path"], json=request["body"])
    assert answer.status_code == 422
    assert answer.json() == recorded


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": [{"role": "user", "content": "x"}], "input": "x"},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"input": "x", "max_steps": 0},
    ],
)
def test_invalid_bodies_are_422_with_the_errors_as_text(wire: Wire, body: dict[str, Any]) -> None:
    answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json=body)
    assert answer.status_code == 422
    assert list(answer.json()) == ["trace_id", "detail"]
    assert answer.json()["detail"].startswith("[{'type': ")


def test_unknown_paths_and_methods(wire: Wire) -> None:
    assert wire.http.get("/v1/nope").json() == {"detail": "Not Found"}
    answer = wire.http.get(f"/v1/agents/{wire.agent_id}/messages/stream")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert wire.http.get("/v1/runs/run-nope").status_code == 404
    assert wire.http.get(f"/v1/agents/{wire.agent_id}/messages?after=message-x").status_code == 404


def test_messages_default_to_newest_first_with_whole_replies(wire: Wire, chatty: str) -> None:
    newest = wire.get(f"/v1/agents/{chatty}/messages")
    assert [event["message_type"] for event in newest[:3]] == ["reasoning_message", "assistant_message", "user_message"]
    assert newest[2]["content"] == "five"
    assert newest[-1]["message_type"] == "system_message"
    types = ["user_message", "system_message"]
    asked = wire.get(f"/v1/agents/{chatty}/messages", include_return_message_types=types)
    assert {event["message_type"] for event in asked} == set(types)


@given(limit=st.integers(1, 25), order=st.sampled_from(["asc", "desc"]), cursor=st.sampled_from(["after", "before"]))
def test_pages_concatenate_to_the_whole_list(wire: Wire, chatty: str, limit: int, order: str, cursor: str) -> None:
    path = f"/v1/agents/{chatty}/messages"
    whole = wire.get(path, order=order)
    assert len(whole) == 24
    collected: list[Any] = []
    position = {} if cursor == "after" else {"before": whole[-1]["id"]}
    tail = [] if cursor == "after" else [event for event in whole if event["id"] == whole[-1]["id"]]
    while page := wire.get(path, order=order, limit=limit, **position):
        assert len({event["id"] for event in page}) <= limit
        collected = [*collected, *page] if cursor == "after" else [*page, *collected]
        position = {cursor: page[-1 if cursor == "after" else 0]["id"]}
    assert collected + tail == whole


@pytest.mark.parametrize("kind", ["runs", "agents", "steps"])
def test_other_lists_page_alike(wire: Wire, chatty: str, kind: str) -> None:
    run_id = wire.get("/v1/runs/", agent_id=chatty)[1]["id"]
    path, params = {
        "runs": ("/v1/runs/", {"agent_id": chatty}),
        "agents": ("/v1/agents/", {}),
        "steps": (f"/v1/runs/{run_id}/steps", {}),
    }[kind]
    whole = wire.get(path, **params)
    assert len(whole) >= 2
    assert wire.get(path, order="asc", **params) == whole[::-1]
    first = wire.get(path, limit=1, **params)
    assert first + wire.get(path, after=first[0]["id"], **params) == whole


def test_a_run_and_its_steps_have_the_recorded_keys(wire: Wire, chatty: str) -> None:
    runs = wire.get("/v1/runs/", agent_id=chatty)
    run = next(run for run in runs if len(wire.get(f"/v1/runs/{run['id']}/steps")) == 2)
    path = f"/v1/runs/{run['id']}"
    last, first = wire.get(f"{path}/steps")
    assert wire.get(path) == run
    assert list(run) == list(recorded_body("v1_multi2_run"))
    assert list(first) == list(recorded_body("v1_multi2_run_steps")[0])
    assert list(wire.get(f"/v1/steps/{first['id']}/metrics")) == list(recorded_body("v1_multi2_step1_metrics"))
    assert list(wire.get(f"{path}/metrics")) == list(recorded_body("v1_multi_run_metrics"))
    usage = wire.get(f"{path}/usage")
    assert list(usage) == list(recorded_body("v1_multi2_run_usage"))
    assert usage["total_tokens"] == first["total_tokens"] + last["total_tokens"] > 0
    assert (run["status"], run["stop_reason"]) == ("completed", "end_turn")
    assert (first["stop_reason"], last["stop_reason"]) == (None, "end_turn")
    assert first["status"] == last["status"] == "success"
    assert run["ttft_ns"] <= run["total_duration_ns"]
    assert wire.get(f"/v1/steps/{first['id']}") == first


def test_a_runs_messages_are_its_stream_with_the_users_words(wire: Wire) -> None:
    found = wire.stream("tool")
    run_id = found[0]["run_id"]
    stored = wire.get(f"/v1/runs/{run_id}/messages")
    assert kinds(stored)[0] == "user_message"
    assert stored[1:] == [event for event in found if event.get("id", "").startswith("message-")]
    step_id = stored[1]["step_id"]
    assert wire.get(f"/v1/steps/{step_id}/messages") == [event for event in stored if event["step_id"] == step_id]


def test_runs_can_be_filtered(wire: Wire, chatty: str) -> None:
    runs = wire.get("/v1/runs/", agent_id=chatty)
    assert len(runs) == 5
    assert wire.get("/v1/runs/", agent_id=chatty, statuses=["completed", "failed"]) == runs
    assert wire.get("/v1/runs/", agent_id=chatty, statuses=["failed"]) == []
    assert wire.get("/v1/runs/", agent_id=chatty, stop_reason="end_turn", limit=2) == runs[:2]
    assert wire.get("/v1/runs/", agent_id=chatty, active=True) == []
    assert wire.get("/v1/runs/", background=True) == []


def test_a_database_file_outlives_the_server(tmp_path: Path) -> None:
    options: dict[str, Any] = {"database": tmp_path / "agents.db"}
    play = Play(replies)
    with playing(play, agent=play.agent(add), **options) as wire:
        first = wire.agent_id
        wire.stream("one")
    with playing(play, agent=play.agent(add), **options) as wire:
        assert wire.agent_id == first
        assert joined(wire.stream("two"), "assistant_message", "content") == "re two"
        assert len(wire.get("/v1/runs/")) == 2
    said = [str(part.content) for message in play.seen[-1] for part in message.parts]
    assert said == ["one", "hm", "re one", "two"]


def test_several_programs_and_the_agents_on_them() -> None:
    first, second = Play(lambda *_: [("say", "first")]), Play(lambda *_: [("say", "second")])
    with serve({"a": first.agent(), "b": second.agent()}) as server:
        wire = Wire(server.url)
        agents = {agent["name"]: agent["id"] for agent in wire.get("/v1/agents/")}
        made = wire.http.post("/v1/agents/", json={"model": "b"}).json()["id"]
        assert joined(wire.stream("x", agents["a"]), "assistant_message", "content") == "first"
        assert joined(wire.stream("x", agents["b"]), "assistant_message", "content") == "second"
        assert joined(wire.stream("x", made), "assistant_message", "content") == "second"
        wire.http.close()


def test_a_limit_beyond_all_counting_is_no_limit(wire: Wire) -> None:
    assert wire.get(f"/v1/agents/{wire.agent_id}/messages", limit=10**30)
    answer = wire.http.post("/v1/runs/run-x/stream", json={"starting_after": 10**30})
    assert answer.status_code == 422


def test_a_wrong_method_is_told_all_right_ones(wire: Wire) -> None:
    answer = wire.http.put("/v1/agents")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
