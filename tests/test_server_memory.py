"""Memory blocks of the embedded server's agents: told in Letta's shapes, edited by the agent's own tools, kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from letta_client import Letta
from pydantic_ai.messages import ModelRequest
from server_play import Play, Wire, joined, of_type, playing

from letta_nb.client import Client
from letta_nb.server import serve

RECORDED = json.loads(
    (Path(__file__).parent / "fixtures/0.16.8/agent_create_memgpt_v2_agent.json").read_text(encoding="utf-8")
)["body"]
HUMAN = {"label": "human", "value": "Name: Ann"}


def calls(tool: str, **arguments: Any) -> list[Any]:
    return [[("call", tool, json.dumps(arguments))], [("say", "done")]]


def agent(wire: Wire, **more: Any) -> dict[str, Any]:
    made = wire.http.post("/v1/agents/", json={"memory_blocks": [HUMAN, {"label": "x", "value": "1"}], **more}).json()
    assert isinstance(made, dict)
    return made


def the_return(wire: Wire, agent_id: str) -> dict[str, Any]:
    (back,) = of_type(wire.stream("go", agent_id), "tool_return_message")
    return back


def test_blocks_have_the_recorded_shape() -> None:
    with playing([[("say", "hi")]]) as wire:
        made = agent(wire)
        path = f"/v1/agents/{made['id']}/core-memory/blocks"
        listed = wire.get(path, order="asc")
        assert [list(block) for block in listed] == [list(RECORDED["blocks"][0])] * 2
        assert made["blocks"] == made["memory"]["blocks"] == listed
        assert wire.get(path) == listed[::-1]
        assert wire.get(path, limit=1, order="asc") == wire.get(path, before=listed[1]["id"], order="asc") == listed[:1]
        assert wire.get(path, after=listed[0]["id"], order="asc") == listed[1:]
        assert wire.get(f"{path}/human") == listed[0]
        assert wire.http.get(f"{path}/nobody").status_code == 404
        assert wire.http.get(path, params={"after": "block-none"}).status_code == 404


def test_the_official_client_reads_them() -> None:
    with playing([[("say", "hi")]]) as wire, Letta(base_url=str(wire.http.base_url), api_key="none") as letta:
        made = agent(wire)
        assert sorted(str(block.label) for block in letta.agents.blocks.list(made["id"])) == ["human", "x"]
        block = letta.agents.blocks.retrieve("human", agent_id=made["id"])
        assert (block.value, block.limit) == ("Name: Ann", 100_000)


@pytest.mark.parametrize(
    ("tool", "said", "after"),
    [
        ("memory_insert", {"new_string": "Likes tea."}, "Name: Ann\nLikes tea."),
        ("memory_insert", {"new_string": "Likes\ttea.", "insert_line": 0}, "Likes   tea.\nName: Ann"),
        ("memory_replace", {"old_string": "Ann", "new_string": "Bob"}, "Name: Bob"),
        ("memory_replace", {"old_string": ": Ann", "new_string": ""}, "Name"),
    ],
)
def test_an_agent_edits_its_blocks(tool: str, said: dict[str, Any], after: str) -> None:
    play = Play([*calls(tool, label="human", **said)])
    with playing(play, agent=play.agent()) as wire:
        made = agent(wire)
        back = the_return(wire, made["id"])
        assert (back["status"], back["tool_return"]) == ("success", after)
        assert wire.get(f"/v1/agents/{made['id']}")["blocks"][0]["value"] == after
        assert wire.get(f"/v1/agents/{made['id']}/core-memory/blocks/human")["value"] == after
        wire.stream("again", made["id"])
    again = play.seen[2][-1]
    assert isinstance(again, ModelRequest)
    assert f"<human>\n{after}\n</human>" in str(again.instructions)


@pytest.mark.parametrize(
    ("tool", "said", "problem"),
    [
        ("memory_insert", {"label": "nobody", "new_string": "x"}, "no memory block 'nobody'"),
        ("memory_insert", {"label": "human", "new_string": "x", "insert_line": 9}, "Invalid `insert_line`"),
        ("memory_insert", {"label": "human", "new_string": "x", "insert_line": -2}, "Invalid `insert_line`"),
        ("memory_insert", {"label": "human", "new_string": "x" * 100_000}, "Exceeds 100000 character limit"),
        ("memory_replace", {"label": "human", "old_string": "z", "new_string": "x"}, "0 times"),
        ("memory_replace", {"label": "human", "old_string": "n", "new_string": "x"}, "2 times"),
    ],
)
def test_an_edit_that_cannot_be_made_says_why(tool: str, said: dict[str, Any], problem: str) -> None:
    # in few pieces: each is an event of the model's, and 100,000 letters in threes take the server seconds
    with playing(Play(calls(tool, **said), piece=10_000)) as wire:
        made = agent(wire)
        back = the_return(wire, made["id"])
        assert back["status"] == "error"
        assert problem in back["tool_return"]
        assert wire.get(f"/v1/agents/{made['id']}")["blocks"] == made["blocks"]


@pytest.mark.parametrize(
    ("body", "has"),
    [
        ({}, True),
        ({"tools": []}, True),
        ({"include_base_tools": False}, False),
        ({"include_base_tools": False, "tools": ["memory_insert"]}, True),
        ({"memory_blocks": []}, False),
    ],
)
def test_who_has_blocks_has_the_tools(body: dict[str, Any], has: bool) -> None:
    with playing(calls("memory_insert", label="human", new_string="x")) as wire:
        made = agent(wire, **body)
        assert ("memory_insert" in [tool["name"] for tool in made["tools"]]) == has
        assert (the_return(wire, made["id"])["status"] == "success") == has


def test_a_program_and_a_client_may_have_tools_of_these_names() -> None:
    def memory_insert(label: str, new_string: str) -> str:
        """Not Letta's."""
        return "my own"

    with playing(calls("memory_insert", label="human", new_string="x"), memory_insert) as wire:
        made = agent(wire)
        assert the_return(wire, made["id"])["tool_return"] == "my own"
    with playing(calls("memory_replace", label="human", old_string="a", new_string="b")) as wire:
        offered = [{"name": "memory_replace", "description": "The client's."}]
        found = wire.stream("go", agent(wire)["id"], client_tools=offered)
    assert len(of_type(found, "approval_request_message")) > 0


def test_blocks_are_kept_with_the_database(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    for lines in (1, 2):
        with serve(pace=0, database=path) as server, Client(server.url) as client:
            with client.stream("demo", "Please remember: tea") as stream:
                assert list(stream)
            wire = Wire(server.url)
            human = wire.get(f"/v1/agents/{wire.agent_id}/core-memory/blocks/human")["value"]
            wire.http.close()
        assert human.count("\nTea") == lines


def test_the_scripted_agent_remembers_what_it_is_told() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        found = wire.stream("Remember that I like quiet roads.")
        assert "I like quiet roads." in joined(found, "assistant_message", "content")
        assert "roads" in wire.get(f"/v1/agents/{wire.agent_id}")["system"]
        bare = wire.http.post("/v1/agents/", json={"name": "bare"}).json()
        found = wire.stream("Remember that I like quiet roads.", bare["id"])
        wire.http.close()
    assert "no memory blocks" in joined(found, "assistant_message", "content")
    assert of_type(found, "tool_call_message") == []


def test_steps_and_agents_say_how_much_the_model_takes() -> None:
    with serve(pace=0) as server:
        wire = Wire(server.url)
        run_id = wire.stream("What is 2 + 2?")[0]["run_id"]
        assert wire.get(f"/v1/agents/{wire.agent_id}")["llm_config"]["context_window"] == 32_000
        assert {step["context_window_limit"] for step in wire.get(f"/v1/runs/{run_id}/steps")} == {32_000}
        own = wire.http.post("/v1/agents/", json={"context_window_limit": 9000}).json()
        assert own["llm_config"]["context_window"] == 9000
        run_id = wire.stream("What is 2 + 2?", own["id"])[0]["run_id"]
        assert {step["context_window_limit"] for step in wire.get(f"/v1/runs/{run_id}/steps")} == {9000}
        wire.http.close()
