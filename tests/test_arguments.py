"""What no type checker saw: a wrong argument is told in a sentence that says what would do, not in Python's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from recordings import BY_NAME, FIXTURES
from scripted import AGENT, ScriptedServer, answer

import letta_nb
from letta_nb import cli, errors, plots, record
from letta_nb.run import Run

mpl.use("agg")

RUN = FIXTURES / "0.16.8/v1_multi_tok.sse"
URL = "http://127.0.0.1:1"
SENTENCES: list[tuple[str, Callable[[], object]]] = [
    ('"http://localhost:8283", not int', lambda: letta_nb.connect(_any(5))),
    ("api_key takes a text, not int", lambda: letta_nb.connect(URL, _any(5))),
    ("password takes a text, not int", lambda: letta_nb.connect(URL, password=_any(5))),
    ("agent takes the id or the name", lambda: letta_nb.connect(URL, agent=_any(5))),
    ("headers takes texts by name", lambda: letta_nb.connect(URL, headers=_any(5))),
    ("headers takes texts by name", lambda: letta_nb.connect(URL, headers=_any({"X-Team": 5}))),
    ("timeout takes seconds, more than 0, not 'x'", lambda: letta_nb.connect(URL, timeout=_any("x"))),
    ("silence takes seconds, more than 0, not 0", lambda: letta_nb.Client(URL, silence=0)),
    ("named by its id or its name, a text, not by 5", lambda: letta_nb.send("hi", _any(5))),
    ("client takes a letta_nb.Client", lambda: letta_nb.send("hi", AGENT, client=_any(URL))),
    ("client takes a letta_nb.Client", lambda: letta_nb.attach("run-1", client=_any(5))),
    ("client takes a letta_nb.Client", lambda: letta_nb.fan_out("hi", AGENT, client=_any(5))),
    ("leave conversation= out", lambda: letta_nb.fan_out("hi", AGENT, **_any({"conversation": "new"}))),
    ("A price of 5 is USD a million tokens", lambda: letta_nb.set_price(_any(5), 1, 2)),
    ("conversation takes the id of one", lambda: letta_nb.send("hi", AGENT, conversation=_any(5))),
    ("tools takes a list of functions", lambda: letta_nb.send("hi", AGENT, tools=_any(5))),
    ("save takes a path, such as 'runs/hello.jsonl', not int", lambda: letta_nb.send("hi", AGENT, save=_any(5))),
    ("pass 'run-", lambda: letta_nb.attach(_any(_run()))),
    ("has no run_id", lambda: letta_nb.attach(_any(Run()))),
    ("named by its id, such as", lambda: letta_nb.attach("")),
    ("named by its id, such as", lambda: letta_nb.attach(_any(None))),
    ("pass 'run-", lambda: letta_nb.api.current().run(_any(_run()))),
    ("named by its id, such as", lambda: letta_nb.api.current().steps(_any(5))),
    ("since=5 is no time", lambda: list(letta_nb.api.current().runs(since=_any(5)))),
    ("limit must be 0 or more", lambda: list(letta_nb.api.current().runs(limit=_any("5")))),
    ("load takes a path, such as 'run.jsonl', not NoneType", lambda: letta_nb.load(_any(None))),
    ("load takes a path, such as 'run.jsonl', not bytes", lambda: letta_nb.load(_any(b"run.jsonl"))),
    ("This is a Run already", lambda: letta_nb.load(_any(_run()))),
    ("leave the null character out", lambda: letta_nb.load("run\0.jsonl")),
    ("cannot be read: Not a directory", lambda: letta_nb.load(RUN / "run.jsonl")),
    ("speed must be a number greater than 0, such as 4, not '4x'", lambda: _run().replay(_any("4x"))),
    ("speed must be a number", lambda: _run().replay(float("nan"))),
    ("speed must be a number", lambda: _run().replay(float("inf"))),
    ("redact takes texts and patterns", lambda: _run().save("run.jsonl", redact=_any(True))),
    ("redact takes texts and patterns", lambda: _run().to_html(redact=_any(True))),
    ("redact_fields takes names of fields", lambda: _run().save("run.jsonl", redact_fields=_any(True))),
    ("save takes a path", lambda: _run().save(_any(None))),
    ("to_html takes a path, such as 'run.html'", lambda: _run().to_html(_any(5))),
    ("ax takes one matplotlib Axes", lambda: plots.waterfall(_run(), ax=_any(5))),
    ("ax takes one matplotlib Axes", lambda: plots.tool_latency(_run(), ax=_any(5))),
    ("ax takes one matplotlib Axes", lambda: plots.tokens(_run(), ax=_any(5))),
    ("ax takes one matplotlib Axes", lambda: plots.context(_run(), ax=_any(5))),
    ("ax takes one matplotlib Axes", lambda: plots.compare(_run(), _run(), ax=_any(5))),
    ("to_parquet takes a path, such as 'data'", lambda: letta_nb.to_parquet(_run(), _any(5))),
]


def _any(value: object) -> Any:
    return value


def _run() -> Run:
    return record.load_one(BY_NAME["0.16.8/v1_multi_tok"].path)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer([]) as server:
        yield server


@pytest.mark.parametrize(("sentence", "call"), SENTENCES, ids=[sentence for sentence, _ in SENTENCES])
def test_a_wrong_argument_is_told_in_a_sentence(
    sentence: str, call: Callable[[], object], server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with letta_nb.connect(server.url), pytest.raises(errors.InputError) as told:
        call()
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert server.requests == []  # nothing was sent for it
    assert os.listdir() == []


@pytest.mark.parametrize("agents", [5, [5], {"helper": 5}, {5: None}])
def test_what_is_no_agent_is_not_served(agents: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"takes pydantic-ai agents by name: serve\(\{"):
        letta_nb.serve(agents)


@pytest.mark.parametrize(
    ("named", "value"),
    [
        *[("port", "x"), ("port", 65536), ("port", True), ("host", 5), ("password", 5), ("model", 5)],
        *[("pace", "fast"), ("pace", -1), ("ping_interval", 0), ("background_ttl", "x"), ("database", 5)],
    ],
)
def test_what_a_server_cannot_be_made_of_is_told_by_its_name(named: str, value: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=rf"^serve\({named}={value!r}\)"):
        letta_nb.serve(**{named: value})


def test_what_cannot_be_the_database_is_told_with_its_place(tmp_path: Path) -> None:
    (text := tmp_path / "text").write_text("hello " * 500)
    for path in (tmp_path, tmp_path / "nosuch/x.db", text):
        with pytest.raises(errors.ConfigurationError, match=f"{path} cannot be the database"):
            letta_nb.serve(database=path)


def test_an_agent_of_the_list_is_named_by_its_id() -> None:
    with (
        ScriptedServer([], {("GET", "/v1/agents/"): answer([{"id": AGENT, "name": "helper"}])}) as server,
        letta_nb.Client(server.url) as client,
    ):
        (agent,) = client.agents()
        with pytest.raises(errors.InputError, match=f"pass agent.id, '{AGENT}'"):
            client.agent(_any(agent))


def test_one_status_is_a_list_of_one() -> None:
    with ScriptedServer([], {("GET", "/v1/runs/"): answer([])}) as server, letta_nb.Client(server.url) as client:
        assert list(client.runs(statuses="completed")) == []
        assert "statuses=completed" in server.requests[-1].path
        asked = len(server.requests)
        for statuses in ("weird", ["failed", "requires_approval"]):
            with pytest.raises(errors.InputError, match=r"no runs of status .* created, running, completed, failed, "):
                next(client.runs(statuses=statuses))
        assert len(server.requests) == asked


# -- places ------------------------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[Path], object]] = {
    "save": lambda path: _run().save(path),
    "to_html": lambda path: _run().to_html(path),
    "to_html of a comparison": lambda path: letta_nb.compare(RUN, RUN).to_html(path),
    "frames": lambda path: _frames(path, "runs", "csv"),
    "frames as Parquet": lambda path: _frames(path, "runs", "parquet"),
}
FOLDERS: dict[str, Callable[[Path], object]] = {
    "to_parquet": lambda path: letta_nb.to_parquet(_run(), path),
    "all frames": lambda path: _frames(path, "all", "csv"),
    "all frames as Parquet": lambda path: _frames(path, "all", "parquet"),
}


class _Told(Exception):
    pass


def _frames(path: Path, grain: str, kind: str) -> None:
    assert cli.main(["frames", str(RUN), "--grain", grain, "--format", kind, "-o", str(path)]) == 2
    raise _Told


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_cannot_be_written_is_told_with_its_folder(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "nosuch", tmp_path / "file"):
        said = _said(lambda folder=folder: WRITERS[name](folder / "x"), capsys)
        assert f"{folder / 'x'} cannot be written: there is no folder {folder}. Name a file, such as" in said
    assert f"{tmp_path} is a folder. Name a file, such as" in _said(lambda: WRITERS[name](tmp_path), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_cannot_be_made_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "data"):
        said = _said(lambda path=path: FOLDERS[name](path), capsys)
        assert str(path) in said
        assert "Name a" in said
        assert "Errno" not in said


def test_what_the_system_forbids_is_told_with_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    monkeypatch.setattr(Path, "write_text", forbidden)
    for write in (_run_once().save, _run_once().to_html):
        with pytest.raises(errors.InputError, match=r"x cannot be written: Permission denied\. Name another place\."):
            write(tmp_path / "x")


def _run_once() -> Run:
    run = Run({"messages": [{"role": "user", "content": "hi"}]})
    run.end(0)
    return run


def _said(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """What a person is told: the error, or the line on stderr."""
    with pytest.raises((errors.InputError, _Told)) as told:
        call()
    return str(told.value) if isinstance(told.value, errors.InputError) else capsys.readouterr().err
