"""The command line, through `main` and once through a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from recordings import FIXTURES

from letta_nb import cli, frames, record, text

RUN = str(FIXTURES / "0.16.8/v1_multi_tok.sse")


def test_show_prints_the_transcript(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", RUN]) == 0
    assert capsys.readouterr().out == text.transcript(record.load_one(Path(RUN))) + "\n"
    assert cli.main(["show", "--plain", "--width", "60", RUN]) == 0
    plain = capsys.readouterr().out
    assert plain == text.transcript(record.load_one(Path(RUN)), plain=True, width=60) + "\n"


def test_python_m_letta_nb_is_the_command() -> None:
    def told(*command: str) -> tuple[int, str, str]:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, err = told("-m", "letta_nb", "show", "--plain", RUN)
    assert (code, out, err) == (0, text.transcript(record.load_one(Path(RUN)), plain=True) + "\n", "")
    code, out, err = told("-m", "letta_nb", "show", "nowhere.jsonl")
    assert (code, out, err) == (2, "", "letta-nb: There is no file nowhere.jsonl.\n")


def test_show_prints_long_texts_whole_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    long = str(FIXTURES / "0.16.8/v1_long_step.sse")
    assert cli.main(["show", long]) == 0
    assert "more, in run.entries" in capsys.readouterr().out
    assert cli.main(["show", "--full", long]) == 0
    assert " ".join(capsys.readouterr().out.split()).count("quick brown fox") == 1800


def test_show_takes_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "--plain", str(FIXTURES / "0.16.8/v1_hello_*.sse")]) == 0
    assert capsys.readouterr().out.count("letta  completed") == 3


def test_frames_as_csv_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["frames", RUN, "--grain", "tools"]) == 0
    table = pd.read_csv(StringIO(capsys.readouterr().out))
    assert list(table.columns) == list(frames.tools_df(RUN).columns)
    assert table["tool_name"].tolist() == ["get_weather", "roll_die", "slow_lookup"]
    assert table["duration_s"].tolist() == pytest.approx(frames.tools_df(RUN)["duration_s"].tolist())


def test_frames_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    unicode = str(FIXTURES / "0.16.8/v1_unicode_step.sse")
    assert cli.main(["frames", unicode, "--grain", "messages", "--format", "json"]) == 0
    out = capsys.readouterr().out
    rows: list[dict[str, Any]] = json.loads(out)
    assert rows[-1]["content"] == record.load_one(Path(unicode)).text
    assert "日本語" in out
    assert rows[0]["step_id"] is None


def test_frames_into_files(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "steps.parquet"
    assert cli.main(["frames", RUN, "--grain", "steps", "--format", "parquet", "-o", str(out)]) == 0
    back = pd.read_parquet(out)
    pd.testing.assert_frame_equal(back, frames.steps_df(RUN))
    out = tmp_path / "messages.csv"
    printer = str(FIXTURES / "0.16.8/v1_printer_step.sse")
    assert cli.main(["frames", printer, "--grain", "tools", "-o", str(out)]) == 0
    assert pd.read_csv(out)["tool_result"].notna().all()


@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".csv", pd.read_csv),
        (".jsonl", lambda path: pd.read_json(path, lines=True)),
        (".ndjson", lambda path: pd.read_json(path, lines=True)),
        (".json", pd.read_json),
        (".parquet", pd.read_parquet),
    ],
)
def test_a_file_has_the_format_of_its_name(suffix: str, read: Any, tmp_path: Path) -> None:
    out = tmp_path / f"tools{suffix.upper()}"
    assert cli.main(["frames", RUN, "--grain", "tools", "-o", str(out)]) == 0
    assert read(out)["tool_name"].tolist() == frames.tools_df(RUN)["tool_name"].tolist()
    # what is asked for wins
    assert cli.main(["frames", RUN, "--grain", "tools", "--format", "csv", "-o", str(out)]) == 0
    assert pd.read_csv(out)["tool_name"].tolist() == frames.tools_df(RUN)["tool_name"].tolist()


def test_json_lines_are_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["frames", RUN, "--grain", "events", "--format", "jsonl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event_index"] for line in lines] == list(range(len(frames.events_df(RUN))))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_all_tables_go_into_a_folder(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    assert cli.main(["frames", RUN, "--grain", "all", "--format", kind, "-o", str(out)]) == 0
    wanted = {f"{grain}.{kind}" for grain in ("runs", "steps", "tools", "usage", "messages", "events")}
    assert {path.name for path in out.iterdir()} == wanted
    assert cli.main(["frames", RUN, "--grain", "all", "-o", str(out)]) == 0
    assert pd.read_csv(out / "tools.csv")["tool_name"].tolist() == frames.tools_df(RUN)["tool_name"].tolist()


def test_all_tables_as_a_data_set(tmp_path: Path) -> None:
    out = tmp_path / "data"
    assert cli.main(["frames", RUN, "--grain", "all", "--format", "parquet", "-o", str(out)]) == 0
    assert pd.read_parquet(out / "tools")["tool_name"].tolist() == frames.tools_df(RUN)["tool_name"].tolist()


def test_all_tables_of_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record.load_one(Path(RUN))
    stdin = TextIOWrapper(BytesIO(record.text_of(run).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert cli.main(["frames", "-", "--grain", "all", "-o", str(tmp_path)]) == 0
    assert len(pd.read_csv(tmp_path / "events.csv")) == run.event_count


@pytest.mark.parametrize("how", [["--grain", "runs"], ["--grain", "all"], ["--grain", "all", "--format", "parquet"]])
def test_what_cannot_be_read_is_left_out_and_said(
    how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record.load_one(Path(RUN)).save(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text("garbage")
    command = ["frames", str(tmp_path / "*.jsonl"), *how, "-o", str(tmp_path / "out")]
    command += ["--format", "csv"] if how[1] == "runs" else []
    assert cli.main(command) == 2
    assert "b.jsonl is not a run file" in capsys.readouterr().err
    assert cli.main([*command, "--skip-unreadable"]) == 1
    err = capsys.readouterr().err
    assert err.count("left out") == 1
    assert "b.jsonl is not a run file" in err
    assert (tmp_path / "out").exists()


def test_frames_of_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["frames", RUN, str(FIXTURES / "0.7.16/memgpt_hello_*.sse")]) == 0
    assert len(pd.read_csv(StringIO(capsys.readouterr().out))) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nowhere.jsonl"], "There is no file nowhere.jsonl."),
        (["show", "nowhere/*.jsonl"], "No file matches nowhere/*.jsonl."),
        (["frames", "nowhere/*.jsonl"], "No file matches nowhere/*.jsonl."),
        (["frames", RUN, RUN], "Two runs have the id"),
        (["frames", RUN, "-o", "/nowhere/out.csv"], "there is no folder /nowhere"),
        (["frames", RUN, "-o", "out.xlsx"], "The suffix of out.xlsx names no format. Use one of csv, parquet,"),
        (["frames", RUN, "--grain", "all"], "name a folder with -o"),
        (["show", str(FIXTURES / "0.16.8/bad_404_agent.sse")], "is a refused request (HTTP 404)"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("letta-nb: ")
    assert words in err
    assert err.count("\n") == 1


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["frames", RUN, "--format", "parquet", "-o", "x.parquet"]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err
    assert cli.main(["demo"]) == 2
    assert "pip install jupyterlab" in capsys.readouterr().err


def test_the_demo_opens_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(cli.subprocess, "call", lambda command: calls.append(command) or 0)
    folder = tmp_path / "there"
    assert cli.main(["demo", "--dir", str(folder), "--no-browser", "--port", "8899"]) == 0
    copy = folder / "notebooks/01_first_run.ipynb"
    assert calls == [[sys.executable, "-m", "jupyterlab", str(copy), "--no-browser", "--port=8899"]]
    # what the notebooks load lies where they look for it
    assert (copy.parent / "../tests/fixtures/0.16.8/v1_multi2_tok.sse").exists()
    # what someone has changed since is not overwritten
    copy.write_text("mine")
    assert cli.main(["demo", "--dir", str(folder)]) == 0
    assert copy.read_text() == "mine"
    monkeypatch.setattr(cli.subprocess, "call", lambda command: 3)
    assert cli.main(["demo", "--dir", str(folder)]) == 2


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "letta-nb frames 'runs/*.jsonl' --grain tools" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        cli.main(["frames", RUN, "--grain", "nonsense"])
    assert stopped.value.code == 2


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from letta_nb.cli import main; sys.exit(main())", *arguments]


def test_a_reader_that_has_enough_is_no_error() -> None:
    # more than a pipe holds
    long = command("frames", str(FIXTURES / "0.16.8/v1_long_tok.sse"), "--grain", "events")
    with subprocess.Popen(long, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"run_id,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_what_others_read_is_utf_8() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    show = command("show", "--plain", str(FIXTURES / "0.16.8/v1_unicode_tok.sse"))
    out = subprocess.run(show, stdout=subprocess.PIPE, env=environment, check=True).stdout
    assert "日本語" in out.decode("utf-8")


def test_serve_says_where_it_is_and_stops_on_an_interrupt() -> None:
    pytest.importorskip("fastapi")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    serve = command("serve", "--port", "0")
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline().decode() for _ in range(3)]
        assert lines[0].startswith("Serving on http://127.0.0.1:")
        url = lines[0].split()[2]
        assert f'letta_nb.connect("{url}")' in lines[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_a_hostile_file_does_nothing_to_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"letta_nb":"\\u001b[2J\\u009b31m\\u202e\\u2066","run":{}}')
    assert cli.main(["show", str(path)]) == 2
    said = capsys.readouterr().err
    assert "version ␛[2J" in said
    assert not set(said) & {"\x1b", "\x9b", "\u202e", "\u2066"}
