"""What may happen at once: a run that is read while it grows, a view that fails, and Stop at every moment."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
from scripted import AGENT, STREAM, ScriptedServer, answer

import letta_nb
from letta_nb import frames, live
from letta_nb.entries import Buffer, Change
from letta_nb.live import Live
from letta_nb.run import Run

HELLO = (Path(__file__).parent / "fixtures/0.16.8/v1_hello_tok.sse").read_bytes()


def test_a_text_that_is_read_while_it_grows_loses_nothing() -> None:
    buffer, reading = Buffer(), threading.Event()

    def read() -> None:
        while not reading.is_set():
            assert set(str(buffer)) <= {"x"}

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30_000):
        buffer.append("xy"[0])
    reading.set()
    reader.join()
    assert len(str(buffer)) == 30_000


def test_tables_of_a_run_that_goes_on() -> None:
    recorded = letta_nb.load(Path(__file__).parent / "fixtures/0.16.8/v1_multi_tok.sse")
    assert isinstance(recorded, Run)
    run = recorded.blank(record=True)
    for received in recorded.log or ():
        run.receive(received)
        if run.event_count % 9 == 0:
            assert run.status == "running"
            assert len(frames.steps_df(run)) == len(run.steps)
            assert list(frames.events_df(run)["event_index"]) == list(range(run.event_count))
            assert "Running" in run.mimebundle()["text/html"]


class Broken:
    """A view that fails at a chosen moment."""

    def __init__(self, at: str) -> None:
        self.at = at

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        if self.at == "changed":
            raise OSError("the page is gone")

    def ended(self, run: Run, problem: Exception | None) -> None:
        if self.at == "ended":
            raise OSError("the page is gone")


@pytest.mark.parametrize("moment", ["changed", "ended"])
def test_a_view_that_fails_stops_nothing(moment: str) -> None:
    with (
        ScriptedServer([STREAM, HELLO]) as server,
        letta_nb.Client(server.url) as client,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        run = Live(client, client.stream(AGENT, "hi"), Broken(moment)).start().wait()
    assert run.status == "completed"
    assert run.text == "Hello! I am a scripted agent. 2+2=4."


class Told:
    """A view that keeps the last status it was told of."""

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        for change in changes:
            if "status" in getattr(change, "names", ()):
                self.statuses.append(run.status)

    def ended(self, run: Run, problem: Exception | None) -> None: ...


def test_the_view_is_told_of_an_end_without_an_end_mark() -> None:
    view = Told()
    with ScriptedServer([STREAM, HELLO[:2000]]) as server, letta_nb.Client(server.url) as client:
        Live(client, client.stream(AGENT, "hi"), view).start().wait()
    assert view.statuses == ["running", "interrupted"]


def test_stopped_before_anything_was_sent_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GRACE_S", 0.1)
    agents = answer([{"id": AGENT, "name": "bob"}])
    routes = {("GET", "/v1/agents/"): agents}
    with ScriptedServer([STREAM, HELLO], routes) as server, letta_nb.Client(server.url) as client:
        stream = client.stream("bob", "hi")
        stream.stopping = True
        run = Live(client, stream).start().wait()
    assert server.posts == []
    assert (run.status, run.error) == ("cancelled", None)


def test_stop_before_the_answer_begins_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GRACE_S", 0.1)
    sent, never = threading.Event(), threading.Event()
    with ScriptedServer([sent, STREAM, HELLO[:2000], never]) as server, letta_nb.Client(server.url) as client:
        running = Live(client, client.stream(AGENT, "hi")).start()
        while not server.posts:
            time.sleep(0.01)
        running.cancel()
        time.sleep(0.3)  # the grace is over, and there is no answer to hang up on yet
        sent.set()
        run = running.wait()
        never.set()
    assert run.status == "interrupted"
    assert run.cancellation is not None
    assert run.cancellation.outcome == "unsupported"
    # without a run_id a cancel would have stopped other people's runs
    assert [request.path for request in server.requests if request.path.endswith("/cancel")] == []


def test_a_stream_is_entered_once() -> None:
    with ScriptedServer([STREAM, HELLO]) as server, letta_nb.Client(server.url) as client:
        stream = client.stream(AGENT, "hi")
        with stream:
            pass
        with pytest.raises(RuntimeError, match="entered once"):
            stream.__enter__()
        with pytest.raises(RuntimeError, match="entered first"):
            list(client.stream(AGENT, "hi"))
    assert len(server.posts) == 1


def test_no_secret_is_quoted() -> None:
    for key in ("sk-\x0bsecret", "sk-secret\x00", "sk-sécret"):
        with pytest.raises(letta_nb.errors.ConfigurationError) as caught:
            letta_nb.Client("http://127.0.0.1:1", api_key=key)
        assert "secret" not in str(caught.value)
        with pytest.raises(letta_nb.errors.ConfigurationError) as caught:
            letta_nb.Client("http://127.0.0.1:1", headers={"X-Key": key})
        assert "secret" not in str(caught.value)
    with pytest.raises(letta_nb.errors.ConfigurationError) as caught:
        letta_nb.Client("ftp://user:secret@host")
    assert "secret" not in str(caught.value)
