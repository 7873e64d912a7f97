"""A run file that is written while the run goes on: what had arrived is there, whatever becomes of who writes it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import AGENT, STREAM, ScriptedServer

import letta_nb
from letta_nb import errors, record
from letta_nb.run import Run

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = (FIXTURES / "0.16.8/v1_hello_tok.sse").read_bytes()
_HALF = HELLO.index(b"\n\n", HELLO.index(b'"content":" am"')) + 2
START, REST = HELLO[:_HALF], HELLO[_HALF:]
KEY = "sk-proj-abcdefghij0123456789"


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    letta_nb.api.current().close()


def send(server: ScriptedServer, path: Path, **options: Any) -> Run:
    letta_nb.connect(server.url)
    return letta_nb.send("hi", AGENT, save=path, complete=False, **options)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def written(path: Path, text: bytes) -> None:
    """Wait until the file has that."""
    while not path.exists() or text not in path.read_bytes():
        time.sleep(0.005)


def test_each_event_is_in_the_file_when_it_has_come(tmp_path: Path) -> None:
    path, go_on = tmp_path / "run.jsonl", threading.Event()
    with ScriptedServer([STREAM, START, go_on, REST]) as server:
        run = send(server, path, background=True)
        written(path, b'"content":" am"')

        assert [*lines_of(path)] == [json.loads(line) for line in record.arrived(run)]
        so_far = letta_nb.load(path)
        assert isinstance(so_far, Run)
        assert (so_far.status, so_far.text, so_far.agent_id) == ("interrupted", run.text, AGENT)
        go_on.set()
        run.wait()

    assert run.status == "completed"
    assert path.read_bytes() == run.save(tmp_path / "again.jsonl").read_bytes()
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".jsonl"] == []


def test_who_is_killed_has_kept_what_arrived(tmp_path: Path) -> None:
    path, never = tmp_path / "run.jsonl", threading.Event()
    code = "import sys, letta_nb\nletta_nb.connect(sys.argv[1])\nletta_nb.send('hi', sys.argv[2], save=sys.argv[3])"
    with ScriptedServer([STREAM, START, never]) as server:
        process = subprocess.Popen([sys.executable, "-c", code, server.url, AGENT, str(path)])
        try:
            written(path, b'"content":" am"')
        finally:
            process.kill()
            process.wait()
            never.set()
    run = letta_nb.load(path)
    assert isinstance(run, Run)
    assert run.status == "interrupted"
    assert run.text == "Hello! I am"
    assert run.event_count == START.count(b"data:")
    assert letta_nb.runs_df(path).status.tolist() == ["interrupted"]


def test_a_refused_message_is_in_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    refusal = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with ScriptedServer([refusal]) as server, pytest.raises(errors.ServerError):
        send(server, path)
    run = letta_nb.load(path)
    assert isinstance(run, Run)
    assert (run.status, run.prompt, run.error and run.error.type) == ("failed", "hi", "ServerError")


def test_a_key_is_never_in_the_file(tmp_path: Path) -> None:
    path, go_on = tmp_path / "run.jsonl", threading.Event()
    told = {"message_type": "assistant_message", "id": "message-1", "run_id": "run-1", "content": f'"{KEY}" is it'}
    private = {**told, "id": "message-2", "content": "-----BEGIN PRIVATE KEY-----\nabc"}
    said = "".join(f"data: {json.dumps(event)}\n\n" for event in (told, private)).encode()
    with ScriptedServer([STREAM, said, go_on, REST]) as server:
        run = send(server, path, background=True)
        written(path, b"message-2")
        growing = path.read_text("utf-8")
        contents = [line["data"]["content"] for line in lines_of(path)[1:]]
        go_on.set()
        run.wait()
    assert contents == ['"[redacted]" is it', "[redacted]"]
    for text in (growing, path.read_text("utf-8")):
        assert KEY not in text
        assert "abc" not in text.partition("message-2")[2].partition("\n")[0]


def test_what_cannot_be_written_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    with ScriptedServer([STREAM, HELLO]) as server:
        letta_nb.connect(server.url)
        recorder = letta_nb.recorder.Recorder(folder / "run.jsonl")
        folder.rmdir()
        with letta_nb.Client(server.url) as client, pytest.warns(UserWarning, match=r"run\.save\(\) tries") as told:
            run = letta_nb.live.Live(client, client.stream(AGENT, "hi"), recorder=recorder).start().wait()
    assert run.status == "completed"
    assert len(told) == 1


@pytest.mark.parametrize("name", [".", "none/run.jsonl"])
def test_a_file_that_cannot_be_is_an_error_before_anything_is_sent(name: str, tmp_path: Path) -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        with pytest.raises(errors.InputError, match="Name a file, such as"):
            send(server, tmp_path / name)
        assert server.requests == []
