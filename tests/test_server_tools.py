"""Tools: what they print is caught per call, what they raise is told, how long they took is kept."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any

import pytest
from pydantic_ai import ModelRetry
from server_play import Play, joined, kinds, of_type, playing


def call_once(tool: str, arguments: str = "{}") -> list[Any]:
    return [[("call", tool, arguments)], [("say", "done")]]


def the_return(found: list[dict[str, Any]]) -> dict[str, Any]:
    (back,) = of_type(found, "tool_return_message")
    return back


def breaks(why: str) -> str:
    """Fails."""
    print("stdout before")
    print("stderr before", file=sys.stderr)
    raise ValueError("broken: " + why)


@pytest.mark.parametrize("tokens", [False, True])
def test_an_exception_is_an_error_return_and_the_agent_goes_on(tokens: bool) -> None:
    with playing(call_once("breaks", '{"why": "é"}'), breaks) as wire:
        found = wire.stream(stream_tokens=tokens)
    back = the_return(found)
    assert back["status"] == "error"
    assert back["tool_return"] == "Error executing function breaks: ValueError: broken: é"
    assert back["stdout"] == ["stdout before\n"]
    (stderr,) = back["stderr"]
    assert stderr.startswith("stderr before\nTraceback (most recent call last):\n")
    assert "in breaks\n" in stderr
    assert stderr.endswith("ValueError: broken: é\n")
    assert "pydantic_ai" not in stderr
    assert joined(found, "assistant_message", "content") == "done"


def test_the_model_is_told_what_failed() -> None:
    play = Play(call_once("breaks", '{"why": "x"}'))
    with playing(play, agent=play.agent(breaks)) as wire:
        wire.stream()
    part = play.seen[1][-1].parts[0]
    assert part.content == "Error executing function breaks: ValueError: broken: x"
    assert part.outcome == "failed"


def leaves() -> str:
    """Calls sys.exit."""
    sys.exit(3)


def retries() -> str:
    """Asks for a retry."""
    print("tried")
    raise ModelRetry("try something else")


@pytest.mark.parametrize(
    ("tool", "name", "words"),
    [
        (leaves, "leaves", "Error executing function leaves: SystemExit: 3"),
        (retries, "retries", "try something else"),
        (breaks, "breaks", "why"),
        (breaks, "no_such_tool", "no_such_tool"),
    ],
)
def test_every_kind_of_failure_is_an_error_return(tool: Any, name: str, words: str) -> None:
    with playing(call_once(name), tool) as wire:
        found = wire.stream()
    assert the_return(found)["status"] == "error"
    assert words in the_return(found)["tool_return"]
    assert kinds(found)[-2:] == ["stop_reason", "usage_statistics"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ({"a": [1, 2.5, None], "é": True}, '{"a":[1,2.5,null],"é":true}'),
        ([1, 2], "[1,2]"),
        (7, "7"),
        (None, "None"),
        ("", ""),
        ("lone \ud83e half", "lone \\ud83e half"),
    ],
)
def test_results_arrive_as_text_or_json(value: Any, text: str) -> None:
    def tool() -> Any:
        """A tool."""
        return value

    with playing(call_once("tool"), tool) as wire:
        assert the_return(wire.stream())["tool_return"] == text


def test_unprintable_output_does_not_break_the_stream() -> None:
    def tool() -> str:
        """Prints what has no UTF-8."""
        print(os.fsdecode(b"\xff"), end="")
        return "ok"

    with playing(call_once("tool"), tool) as wire:
        assert the_return(wire.stream())["stdout"] == ["\\udcff"]


def test_calls_at_once_do_not_mix_their_output(capsys: pytest.CaptureFixture[str]) -> None:
    barrier = threading.Barrier(3)

    def threaded(name: str) -> str:
        """Prints from a worker thread, in step with the others."""
        for index in range(3):
            barrier.wait(10)
            print(f"{name}{index}")
        return name

    async def awaited(name: str) -> str:
        """Prints from the event loop."""
        for index in range(3):
            print(f"{name}{index}")
            await asyncio.sleep(0)
        return name

    def outside() -> None:
        for _ in range(3):
            barrier.wait(10)
            print("outside")

    calls = [("call", tool, f'{{"name": "{name}"}}') for tool, name in (("threaded", "a"), ("threaded", "b"))]
    calls += [("call", "awaited", '{"name": "c"}'), ("call", "awaited", '{"name": "d"}')]
    other = threading.Thread(target=outside)
    with playing([calls, [("say", "done")]], threaded, awaited) as wire:
        other.start()
        back = the_return(wire.stream())
        other.join()
    printed = {entry["tool_return"]: entry["stdout"] for entry in back["tool_returns"]}
    assert printed == {name: [f"{name}0\n{name}1\n{name}2\n"] for name in "abcd"}
    assert capsys.readouterr().out == "outside\n" * 3
    assert not type(sys.stdout).__module__.startswith("letta_nb")


def test_eight_clients_at_once_do_not_mix() -> None:
    barrier = threading.Barrier(8)

    def tool(name: str) -> str:
        """Waits until all eight are here."""
        barrier.wait(20)
        print(f"out {name}")
        return f"back {name}"

    def replies(prompt: str, step: int) -> list[Any]:
        call = [("think", f"t {prompt}"), ("call", "tool", f'{{"name": "{prompt}"}}')]
        return call if step == 0 else [("say", f"done {prompt}")]

    found: dict[str, list[dict[str, Any]]] = {}
    with playing(replies, tool) as wire:
        agents = [wire.http.post("/v1/agents/", json={"name": f"a{i}"}).json()["id"] for i in range(4)] * 2

        def client(name: str, agent_id: str) -> None:
            found[name] = wire.stream(name, agent_id, stream_tokens=True)

        threads = [threading.Thread(target=client, args=(f"c{i}", agent)) for i, agent in enumerate(agents)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        steps = {name: wire.get(f"/v1/runs/{events[0]['run_id']}/steps") for name, events in found.items()}
    for name, events in found.items():
        assert joined(events, "reasoning_message", "reasoning") == f"t {name}"
        assert joined(events, "assistant_message", "content") == f"done {name}"
        assert the_return(events)["tool_return"] == f"back {name}"
        assert the_return(events)["stdout"] == [f"out {name}\n"]
        assert len({event["run_id"] for event in events if event.get("run_id")}) == 1
        assert len(steps[name]) == 2


def test_durations_are_measured() -> None:
    def slow(seconds: float) -> str:
        """Takes its time."""
        time.sleep(seconds)
        return "ok"

    calls = [("call", "slow", '{"seconds": 0.05}'), ("call", "slow", '{"seconds": 0.01}')]
    with playing([calls, [("say", "done")]], slow) as wire:
        run_id = wire.stream()[0]["run_id"]
        last, first = wire.get(f"/v1/runs/{run_id}/steps")
        metrics = wire.get(f"/v1/steps/{first['id']}/metrics")
        run = wire.get(f"/v1/runs/{run_id}/metrics")
        assert wire.get(f"/v1/steps/{last['id']}/metrics")["tool_execution_ns"] is None
    # the longest call, not the sum
    assert 50e6 <= metrics["tool_execution_ns"] <= metrics["step_ns"]
    assert 0 < metrics["llm_request_ns"] < metrics["step_ns"] <= run["run_ns"]
    assert run["num_steps"] == 2
    assert len(run["tools_used"]) == 1
