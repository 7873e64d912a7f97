"""Starting, stopping, cancelling, disconnecting: what happens to a run and its stream at each edge."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent
from server_play import Play, Wire, events, joined, kinds, playing

from letta_nb.errors import ConfigurationError
from letta_nb.server import serve
from letta_nb.server.store import Store

BODY = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": True}
WAITING = [[("think", "hm"), ("say", "half "), ("wait",), ("say", "whole")]]


@contextmanager
def half_way(wire: Wire, until: str = "half") -> Iterator[tuple[str, Iterator[str]]]:
    """A stream that has come as far as `until`: its run's id and the lines to come."""
    with wire.http.stream("POST", f"/v1/agents/{wire.agent_id}/messages/stream", json=BODY) as answer:
        lines = answer.iter_lines()
        run_id = ""
        for line in lines:
            if line.startswith("data: {"):
                run_id = run_id or events(line.encode())[0]["run_id"]
            if until in line:
                break
        yield run_id, lines


def wait_for_end(wire: Wire, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while (run := wire.get(f"/v1/runs/{run_id}"))["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return run


def test_cancel_ends_the_stream_at_once() -> None:
    play = Play(WAITING, piece=9)
    with playing(play) as wire:
        other = Wire(str(wire.http.base_url))
        path = f"/v1/agents/{wire.agent_id}/messages/cancel"
        with half_way(wire) as (run_id, lines):
            assert [run["id"] for run in other.get("/v1/runs/", active=True)] == [run_id]
            started = time.monotonic()
            assert other.http.post(path, json={"run_ids": [run_id]}).json() == {run_id: "cancelled"}
            rest = [line for line in lines if line]
            assert time.monotonic() - started < 1
        assert rest[-1] == 'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}'
        assert "[DONE]" not in "".join(rest)
        assert (wait_for_end(wire, run_id)["status"], len(wire.get("/v1/runs/"))) == ("cancelled", 1)
        assert wire.get(f"/v1/runs/{run_id}/steps")[0]["status"] == "cancelled"
        again = other.http.post(path, json={})
        assert again.status_code == 409
        assert again.json()["detail"].startswith("CONFLICT: No active runs to cancel for agent agent-")
        # what was said stays said
        play.released.set()
        wire.stream("and?")
        remembered = [str(part.content) for message in play.seen[-1] for part in message.parts]
        assert remembered == ["go", "hm", "half ", "and?"]
        other.http.close()


def test_cancel_does_not_wait_for_a_tool_that_hangs() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hangs() -> str:
        """Blocks a thread."""
        entered.set()
        leave.wait(20)
        return "late"

    with playing([[("call", "hangs", "{}")], [("say", "x")]], hangs) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire, '"hangs"') as (run_id, lines):
            assert entered.wait(10)
            assert other.http.post(f"/v1/agents/{wire.agent_id}/messages/cancel").json() == {run_id: "cancelled"}
            assert any("cancelled" in line for line in lines)
        leave.set()
        assert kinds(wire.stream("next"))[-1] == "usage_statistics"
        other.http.close()


def test_a_run_goes_on_without_its_reader() -> None:
    play = Play(WAITING, piece=9)
    with playing(play) as wire:
        with half_way(wire) as (run_id, _):
            pass
        play.released.set()
        assert wait_for_end(wire, run_id)["status"] == "completed"
        stored = wire.get(f"/v1/runs/{run_id}/messages")
    assert joined(stored, "assistant_message", "content") == "half whole"


def test_stop_ends_open_streams_quickly() -> None:
    play = Play(WAITING, piece=9)
    server = serve({"player": play.agent()})
    wire = Wire(server.url)
    with half_way(wire) as (_, lines):
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
        assert any("cancelled" in line for line in lines)
    with pytest.raises(httpx.ConnectError):
        wire.get("/v1/health/")
    assert not server.running
    server.stop()
    wire.http.close()


def test_a_server_can_be_started_again_on_its_port() -> None:
    server = serve({"player": Play([[("say", "x")]]).agent()})
    url = server.url
    server.stop()
    with server:
        assert server.url == url
        assert httpx.get(f"{url}/v1/health/").status_code == 200
        assert server.start() is server


def test_a_taken_port_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="Cannot listen on"):
            serve(port=taken.getsockname()[1])


def test_a_bad_database_is_one_clear_error(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="did not start"):
        serve(database=tmp_path / "no" / "such" / "folder.db")


def test_wait_returns_when_stopped() -> None:
    with serve(pace=0) as server:
        waiter = threading.Thread(target=server.wait)
        waiter.start()
        server.stop()
        waiter.join(5)
        assert not waiter.is_alive()


def test_an_ipv6_loopback_is_served() -> None:
    try:
        server = serve({"player": Play([[("say", "x")]]).agent()}, host="::1")
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/v1/agents/").status_code == 200


def test_a_model_without_a_name_needs_one() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        serve(base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ConfigurationError, match="no model"):
        serve({"a": Agent()})


def test_a_model_that_cannot_be_made_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        serve(model="openai:gpt-4o-mini")
    with pytest.raises(ConfigurationError, match="nothing to serve"):
        serve({})


def test_an_openai_compatible_server_can_be_the_model() -> None:
    # a server of ours has no such endpoint: what comes back is its 404, as the model's failure
    with serve(pace=0) as other, serve(model="any", base_url=f"{other.url}/v1") as server:
        wire = Wire(server.url)
        found = wire.stream()
        wire.http.close()
    assert found[1]["stop_reason"] == "llm_api_error"
    assert found[-1]["error_type"] == "llm_error"


def test_an_agent_can_be_deleted_while_it_runs() -> None:
    with playing(Play(WAITING, piece=9)) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire) as (_, lines):
            assert other.http.delete(f"/v1/agents/{wire.agent_id}").status_code == 200
            assert any("cancelled" in line for line in lines)
        assert (other.get("/v1/agents/"), other.get("/v1/runs/")) == ([], [])
        other.http.close()


def test_a_run_that_a_crash_left_behind_is_failed(tmp_path: Any) -> None:
    path = tmp_path / "agents.db"
    with serve(pace=0, database=path) as server:
        wire = Wire(server.url)
        wire.stream("help")
        run_id = wire.get("/v1/runs/")[0]["id"]
        wire.http.close()
    store = Store(path)
    store.update("runs", run_id, status="running", stop_reason=None)
    store.close()
    with serve(pace=0, database=path) as server:
        wire = Wire(server.url)
        assert wire.get(f"/v1/runs/{run_id}")["status"] == "failed"
        wire.http.close()
