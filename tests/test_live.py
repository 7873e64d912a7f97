"""Runs read on a thread, against a scripted server: waiting, stopping, interrupting, and what each leaves behind."""

from __future__ import annotations

import importlib.util
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted import AGENT, STREAM, ScriptedServer, answer

import letta_nb
from letta_nb import api, errors, live
from letta_nb.entries import Change
from letta_nb.live import Live
from letta_nb.run import Run

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = (FIXTURES / "0.16.8/v1_hello_tok.sse").read_bytes()
_HALF = HELLO.index(b'"content":" am"')
START, REST = HELLO[:_HALF], HELLO[_HALF:]  # cut in mid-line, after some of the answer
WHOLE = START[: START.rindex(b"\n\n") + 2]
CANCELLED = b'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\n'
AGENTS = ("GET", "/v1/agents/")
CANCEL = ("POST", f"/v1/agents/{AGENT}/messages/cancel")


class Watcher:
    """A view that remembers; `seen` is set once something has been told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.text = threading.Event()
        self.pauses: list[list[str | None]] = []
        self.ends: list[tuple[str, Exception | None]] = []

    def paused(self, run: Run) -> None:
        self.pauses.append([call.tool_call_id for call in run.pending])

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        self.changes += changes
        if run.text:
            self.text.set()

    def ended(self, run: Run, problem: Exception | None) -> None:
        self.ends.append((run.status, problem))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test meets another's default server."""
    for name in ("LETTA_BASE_URL", "LETTA_API_KEY", "LETTA_SERVER_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    default = api._Default()
    monkeypatch.setattr(api, "_default", default)
    yield
    for client in (default.client, *CLIENTS):
        if client is not None:
            client.close()
    CLIENTS.clear()


CLIENTS: list[letta_nb.Client] = []


def started(server: ScriptedServer, watcher: Watcher) -> Live:
    client = letta_nb.Client(server.url)
    CLIENTS.append(client)
    return Live(client, client.stream(AGENT, "hi"), watcher).start()


def test_a_run_is_told_to_its_view_and_returned() -> None:
    watcher = Watcher()
    with ScriptedServer([STREAM, HELLO]) as server:
        run = started(server, watcher).wait()
    assert run.status == "completed"
    assert watcher.ends == [("completed", None)]
    assert "".join(change.text for change in watcher.changes if hasattr(change, "text")) == "hi" + "".join(
        entry.text for entry in run.entries[1:]
    )


def test_a_refused_request_raises_where_it_is_waited_for() -> None:
    watcher = Watcher()
    with ScriptedServer([answer({"detail": "Agent not found"}, "404 Not Found")]) as server:
        waiting = started(server, watcher)
        with pytest.raises(errors.NotFound) as caught:
            waiting.wait()
    assert caught.value.run is waiting.run
    assert watcher.ends == [("failed", caught.value)]


def test_stop_asks_the_server_and_takes_its_word() -> None:
    watcher, stopped = Watcher(), threading.Event()
    with ScriptedServer([STREAM, WHOLE, stopped, CANCELLED], {CANCEL: answer({"run-1": "cancelled"})}) as server:
        running = started(server, watcher)
        assert watcher.text.wait(10)
        running.cancel()
        while not [request for request in server.requests if request.path == CANCEL[1]]:
            threading.Event().wait(0.01)
        stopped.set()
        run = running.wait()
    assert (run.status, run.stop_reason) == ("cancelled", "cancelled")
    assert run.text
    cancels = [request for request in server.requests if request.path == CANCEL[1]]
    assert [request.body for request in cancels] == [{"run_ids": [run.run_id]}]


def test_stop_does_not_need_a_server_that_knows_how(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, never = Watcher(), threading.Event()
    with ScriptedServer([STREAM, START, never]) as server:
        running = started(server, watcher)
        assert watcher.text.wait(10)
        running.cancel()
        running.cancel()
        run = running.wait()
        never.set()
    # closing the connection stops nothing, and is not called a stop
    assert run.status == "interrupted"
    assert run.stop_reason is None
    assert run.cancellation is not None
    assert run.cancellation.outcome == "unsupported"
    assert len([request for request in server.requests if request.path == CANCEL[1]]) == 1


def test_an_interrupt_cancels_keeps_and_goes_on() -> None:
    watcher, never = Watcher(), threading.Event()
    with ScriptedServer([STREAM, START, never]) as server:
        running = started(server, watcher)
        assert watcher.text.wait(10)
        threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()
        with pytest.raises(KeyboardInterrupt) as caught:
            running.wait()
        never.set()
    assert isinstance(caught.value, errors.Interrupted)
    assert caught.value.run.status == "interrupted"
    assert caught.value.run.cancellation is not None
    assert caught.value.run.text
    assert "last_run" in caught.value._render_traceback_()[0]


def test_an_interrupt_before_any_answer_gives_up_on_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GRACE_S", 0.0)
    watcher, never = Watcher(), threading.Event()
    with ScriptedServer([never]) as server:
        running = started(server, watcher)
        threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()
        with pytest.raises(errors.Interrupted):
            running.wait()
        assert running.run.status == "interrupted"
        never.set()
        finish_reading()


def test_send_returns_the_run_and_remembers_it() -> None:
    with ScriptedServer([STREAM, HELLO], {AGENTS: answer([{"id": AGENT, "name": "bob"}])}) as server:
        letta_nb.connect(server.url)
        run = letta_nb.send("hi", stream_tokens=False)
    assert run is letta_nb.last_run()
    assert (run.agent_name, run.text) == ("bob", "Hello! I am a scripted agent. 2+2=4.")
    assert server.posts[0].body["stream_tokens"] is False


def test_connect_names_the_default_agent() -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        letta_nb.connect(server.url, agent=AGENT)
        letta_nb.send("hi")
    assert server.posts[0].path.startswith(f"/v1/agents/{AGENT}/")


def test_several_agents_need_a_name() -> None:
    agents = answer([{"id": AGENT, "name": "bob"}, {"id": AGENT[:-1] + "2", "name": "eve"}])
    with ScriptedServer([STREAM, HELLO], {AGENTS: agents}) as server:
        letta_nb.connect(server.url)
        with pytest.raises(errors.InputError, match=r"bob, eve.*-a NAME"):
            letta_nb.send("hi")
    assert server.posts == []


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([STREAM, HELLO], {AGENTS: answer([{"id": AGENT, "name": "bob"}])}) as server:
        monkeypatch.setenv("LETTA_BASE_URL", server.url)
        assert letta_nb.send("hi").status == "completed"


def test_without_the_extra_and_without_a_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else find_spec(name))
    with pytest.raises(errors.ConfigurationError, match=r'pip install "letta-nb\[local\]"') as caught:
        letta_nb.send("hi")
    assert "letta_nb.connect(" in str(caught.value)


def test_in_the_background_it_returns_at_once() -> None:
    go = threading.Event()
    with ScriptedServer([STREAM, START, go, REST]) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("hi", background=True)
        assert run.status == "running"
        go.set()
        finish_reading()
    assert run.status == "completed"


def finish_reading() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("letta_nb"):
            thread.join(10)


@pytest.mark.parametrize("name", ["0.16.8/v1_multi_tok", "0.7.16/memgpt_multi_step", "0.16.8/v1_disc_tok"])
def test_a_replay_is_the_same_run(name: str) -> None:
    run = letta_nb.load(FIXTURES / f"{name}.sse")
    assert isinstance(run, Run)
    again = run.replay(speed=1e6)

    def facts(run: Run) -> list[Any]:
        return [run.status, run.error, run.entries, run.steps, run.usage, run.ended_at, list(run.log or ())]

    assert [str(fact) for fact in facts(again)] == [str(fact) for fact in facts(run)]


def test_a_replay_needs_times(tmp_path: Path) -> None:
    bare = tmp_path / "bare.sse"
    bare.write_bytes(HELLO)
    run = letta_nb.load(bare)
    assert isinstance(run, Run)
    with pytest.raises(errors.InputError, match="no arrival times"):
        run.replay()
    with pytest.raises(errors.InputError, match="greater than 0"):
        run.replay(0)
