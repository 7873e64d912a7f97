"""Transcripts as newline-delimited JSON: bare Letta events, and what Letta Code writes as `stream-json`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import FIXTURES

import letta_nb
from letta_nb import feed, record, sse, transcripts
from letta_nb.errors import InputError
from letta_nb.run import Run

IDS = {"session_id": "s-1", "agent_id": "agent-1", "conversation_id": "conv-1"}


def stamp(ms: int) -> str:
    return f"2026-03-01T10:00:{ms // 1000:02d}.{ms % 1000:03d}Z"


def line(ms: int, **facts: Any) -> str:
    return json.dumps({**facts, **IDS, "timestamp": stamp(ms)})


def turn(start: int = 0) -> list[str]:
    call = {"name": "Bash", "arguments": '{"command": "ls"}', "tool_call_id": "c1"}
    return [
        line(start, type="message", message_type="reasoning_message", id="m1", otid="o1", reasoning="Look."),
        line(
            start + 100,
            type="message",
            message_type="tool_call_message",
            id="m1",
            otid="o2",
            tool_call=call,
            tool_calls=[call],
        ),
        line(start + 150, type="tool_execution_started", tool_call_id="c1"),
        line(start + 1650, type="tool_execution_finished", tool_call_id="c1", status="success"),
        line(
            start + 1700,
            type="message",
            message_type="tool_return_message",
            id="m2",
            tool_return="a.txt",
            status="success",
            tool_call_id="c1",
        ),
        line(
            start + 1800,
            type="stream_event",
            event={"message_type": "assistant_message", "id": "m3", "otid": "o3", "content": "One "},
        ),
        line(
            start + 1900,
            type="stream_event",
            event={"message_type": "assistant_message", "id": "m3", "otid": "o3", "content": "file."},
        ),
        line(start + 2000, type="message", message_type="stop_reason", stop_reason="end_turn"),
        line(
            start + 2010,
            type="message",
            message_type="usage_statistics",
            prompt_tokens=294,
            completion_tokens=97,
            total_tokens=391,
        ),
        line(
            start + 2020, type="result", subtype="success", result="One file.", duration_ms=2000, usage=None, run_ids=[]
        ),
    ]


INIT = line(0, type="system", subtype="init", model="claude-sonnet-4-6", tools=["Bash"], cwd="/", mcp_servers=[])


def written(tmp_path: Path, lines: list[str], name: str = "transcript.ndjson") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["transcript.ndjson", "transcript.jsonl"])
def test_what_letta_code_writes_is_a_run(tmp_path: Path, name: str) -> None:
    run = letta_nb.load(written(tmp_path, [INIT, *turn(500)], name))
    assert isinstance(run, Run)
    assert (run.status, run.stop_reason, run.text) == ("completed", "end_turn", "One file.")
    assert (run.model, run.agent_id, run.conversation_id, run.server) == (
        "claude-sonnet-4-6",
        "agent-1",
        "conv-1",
        "Letta Code",
    )
    [call] = run.tool_calls
    assert (call.name, call.result, call.status) == ("Bash", "a.txt", "success")
    # its own tools are timed by who ran them
    assert (call.duration, call.duration_source) == (1_500_000_000, "client")
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (294, 97)
    assert run.started.isoformat() == "2026-03-01T10:00:00+00:00"
    # every line is kept, as it was written
    assert [received.data for received in run.log or ()] == [INIT, *turn(500)]
    assert not [entry for entry in run.entries if entry.kind == "unknown"]


def test_it_saves_and_replays_as_any_other(tmp_path: Path) -> None:
    run = letta_nb.load(written(tmp_path, [INIT, *turn()]))
    assert isinstance(run, Run)
    loaded = record.load_one(run.save(tmp_path / "run.jsonl"))
    assert feed.snapshot(loaded) == feed.snapshot(run)
    assert list(loaded.log or ()) == list(run.log or ())


def test_several_turns_are_several_runs(tmp_path: Path) -> None:
    asked = [json.dumps({"type": "user", "message": {"role": "user", "content": text}}) for text in ("one?", "two?")]
    path = written(tmp_path, [INIT, asked[0], *turn(), asked[1], *turn(5000)])
    runs = letta_nb.load(path)
    assert isinstance(runs, list)
    assert [(run.prompt, run.text, run.model) for run in runs] == [
        ("one?", "One file.", "claude-sonnet-4-6"),
        ("two?", "One file.", "claude-sonnet-4-6"),
    ]
    with pytest.raises(InputError, match="holds 2 runs"):
        record.load_one(path)
    assert len(letta_nb.runs_df(path)) == 2


@pytest.mark.parametrize(
    ("subtype", "reason", "status"),
    [("interrupted", None, "cancelled"), ("error", "llm_api_error", "failed"), ("error", None, "failed")],
)
def test_a_turn_that_ended_otherwise_says_so(tmp_path: Path, subtype: str, reason: str | None, status: str) -> None:
    end = line(900, type="result", subtype=subtype, result=None, **({"stop_reason": reason} if reason else {}))
    run = letta_nb.load(written(tmp_path, [INIT, *turn()[:2], end]))
    assert isinstance(run, Run)
    assert run.status == status


def test_an_error_line_is_the_runs_error(tmp_path: Path) -> None:
    error = line(900, type="error", message="Agent not found", stop_reason="error")
    run = letta_nb.load(written(tmp_path, [INIT, error]))
    assert isinstance(run, Run)
    assert run.status == "failed"
    assert run.error is not None
    assert run.error.message == "Agent not found"


def test_a_transcript_that_stops_is_interrupted_and_keeps_its_half_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.ndjson"
    path.write_text("\n".join([INIT, *turn()[:4]]) + '\n{"type":"message","message_ty')
    run = letta_nb.load(path)
    assert isinstance(run, Run)
    assert run.status == "interrupted"
    assert run.log is not None
    assert run.log[-1].torn
    assert run.log[-1].data.endswith('"message_ty')


@pytest.mark.parametrize("name", ["v1_multi_tok", "v1_hello_step", "v1_toolerr_tok", "v1_approve_tok_1request"])
def test_bare_events_a_line_each_are_the_same_run_as_on_the_wire(tmp_path: Path, name: str) -> None:
    wire = (FIXTURES / f"0.16.8/{name}.sse").read_bytes()
    lines = [message.data for message in sse.decode([wire]) if message.data != "[DONE]"]
    run = letta_nb.load(written(tmp_path, lines))
    real = record.load_one(FIXTURES / f"0.16.8/{name}.sse")
    assert isinstance(run, Run)
    assert (run.status, run.stop_reason, run.text, run.run_id) == (
        real.status,
        real.stop_reason,
        real.text,
        real.run_id,
    )
    assert [entry.text for entry in run.entries] == [e.text for e in real.entries if e.message_id is not None]
    assert run.timed is False


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.TextIOWrapper(io.BytesIO("\n".join([INIT, *turn()]).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    run = letta_nb.load("-")
    assert isinstance(run, Run)
    assert run.text == "One file."


def test_bad_input_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a transcript of events"):
        letta_nb.load(written(tmp_path, [INIT, "no json", *turn()]))
    with pytest.raises(InputError, match="A transcript has one event a line"):
        letta_nb.load(written(tmp_path, ['{"some": "thing"}']))


@given(st.integers(0, 11), st.booleans())
def test_a_clock_that_is_set_back_never_turns_the_log_back(at: int, timed: bool) -> None:
    lines = [INIT, *turn(1000)]
    if at < len(lines):
        facts = json.loads(lines[at])
        facts["timestamp"] = stamp(0) if timed else None
        lines[at] = json.dumps(facts)
    [run] = transcripts.read("\n".join(lines))
    times = [received.at for received in run.log or ()]
    assert times == sorted(times)
    assert run.status == "completed"
