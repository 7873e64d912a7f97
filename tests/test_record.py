"""Run files: what is saved is what is loaded, and one clear error for what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alike import everything
from folded import two_legs
from generated import streams
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import BY_NAME, EXPECTED, FIXTURES, Expected

from letta_nb import frames, record, record_read
from letta_nb.entries import RunError
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run


def sample() -> Run:
    return record.load_one(BY_NAME["0.16.8/v1_multi_tok"].path)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda row: row.name)
def test_a_saved_run_comes_back_equal(expected: Expected, tmp_path: Path) -> None:
    run = record.load_one(expected.path)
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert everything(again) == everything(run)


def test_a_loaded_file_saves_to_the_same_bytes(tmp_path: Path) -> None:
    first = record.save(sample(), tmp_path / "a.jsonl").read_bytes()
    assert record.save(record.load_one(tmp_path / "a.jsonl"), tmp_path / "b.jsonl").read_bytes() == first


def test_the_servers_figures_come_back(tmp_path: Path) -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_multi2_tok"].path)
    rows = json.loads((FIXTURES / "0.16.8/v1_multi2_run_steps.json").read_text())["body"]
    run.join_server({"steps": [{**row, "tool_execution_ns": 1_234_567} for row in rows]})
    assert any(call.duration_source == "server" for call in run.tool_calls)
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert everything(again) == everything(run)


@pytest.mark.parametrize("how", [{}, {"cancelled": True}, {"error": RunError("read_error", "reset", "by peer")}])
def test_how_a_run_ended_comes_back(how: dict[str, Any], tmp_path: Path) -> None:
    run = Run({"input": "hi", "messages": None}, started=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), agent_name="é")
    run.receive(Received(1_000_001, "", '{"message_type":"assistant_message","id":"m","content":"par'))
    run.receive(Received(2_000_003, "error", "two\nlines"))
    run.receive(Received(3_000_007, "", '{"message_type":"assi', True))
    run.end(4_000_009, **how)
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert everything(again) == everything(run)


def test_a_run_without_times_comes_back_without_times(tmp_path: Path) -> None:
    path = tmp_path / "bare.sse"
    path.write_bytes(BY_NAME["0.16.8/v1_multi_tok"].content)
    run = record.load_one(path)
    assert not run.timed
    assert {entry.first_at for entry in run.entries} == {None}
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert everything(again) == everything(run)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams, st.lists(st.text(st.characters(exclude_categories=())), max_size=5), st.booleans())
def test_any_run_comes_back_equal(tmp_path: Path, data: list[str], noise: list[str], timed: bool) -> None:
    run = Run(timed=timed)
    for number, text in enumerate(noise + data):
        run.receive(Received(number * 1_234_567 if timed else -1, "", text))
    run.end(10**9 if timed else None)
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert everything(again) == everything(run)


@pytest.mark.parametrize(
    "data",
    [
        '{"message_type":"ping","data":",\\"data\\":"}',
        '{ "spaced" : [ 1 , 2.50 , 1e2 ] }',
        '{"twice":1,"twice":2}',
        '{"n":NaN}',
        '{"big":' + "9" * 5000 + "}",
        '{"deep":' + "[" * 190 + "]" * 190 + "}",
        "two\nlines",
        '{"a":\n1}',
        '{"a":"\u2028\u0085\x0b"}',
        '{"cr":1}\r',
        "\ud800 lone",
        "null",
        "5",
        "[DONE]",
    ],
)
def test_an_event_is_kept_verbatim(data: str, tmp_path: Path) -> None:
    run = Run()
    run.receive(Received(5, 'e,"data":', data))
    run.end(6)
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert again.log is not None
    assert list(again.log) == [Received(5, 'e,"data":', data)]


def test_a_run_file_is_json_lines_that_a_person_can_read(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in record.save(sample(), tmp_path / "run.jsonl").read_text("utf-8").splitlines()]
    assert lines[0]["letta_nb"] == 1
    assert lines[0]["run"]["request"]["stream_tokens"] is True
    assert lines[1]["data"]["message_type"] == "ping"
    assert 0 < lines[1]["at"] < 1
    assert lines[-1]["end"]["status"] == "completed"


def test_a_run_that_still_runs_is_loaded_as_interrupted(tmp_path: Path) -> None:
    run = Run()
    run.receive(Received(7, "", '{"message_type":"reasoning_message","id":"m","reasoning":"hm"}'))
    again = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert (again.status, again.ended_at, len(again.events)) == ("interrupted", 7, 1)


def test_saving_replaces_the_whole_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    record.save(sample(), path)
    before = path.read_bytes()
    broken = sample()
    broken.request = {"messages": object()}
    with pytest.raises(TypeError):
        record.save(broken, path)
    assert path.read_bytes() == before
    assert record.save(sample(), str(path)) == path
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]


def test_an_unrecorded_run_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="record=False"):
        record.save(Run(record=False), tmp_path / "run.jsonl")


# -- loading many -----------------------------------------------------------------------------------------------------


def test_a_pattern_loads_a_list_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        run = sample()
        run.agent_name = name
        record.save(run, tmp_path / f"{name}.jsonl")
    loaded = record.load(str(tmp_path / "[ab]*.jsonl"))
    assert isinstance(loaded, list)
    assert [run.agent_name for run in loaded] == ["a", "b"]
    assert record.load(tmp_path / "none*.jsonl") == []


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    record.save(sample(), tmp_path / "run[1].jsonl")
    assert isinstance(record.load(tmp_path / "run[1].jsonl"), Run)


# -- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    return record.save(sample(), tmp_path / "good.jsonl").read_text("utf-8").splitlines()


def test_a_torn_last_line_is_forgiven(tmp_path: Path) -> None:
    content = record.save(record.load_one(BY_NAME["0.16.8/v1_unicode_step"].path), tmp_path / "good.jsonl").read_bytes()
    path = tmp_path / "torn.jsonl"
    second = content.index(b"\n") + 1
    for cut in range(second, len(content)):  # the writer may be stopped at any byte, within a character too
        path.write_bytes(content[:cut])
        run = record.load_one(path)
        # a last line that lost only its newline is whole
        assert run.event_count in (content[:cut].count(b"\n") - 1, content[:cut].count(b"\n"))
        last = content[:cut].rpartition(b"\n")[2]
        assert (run.note == record_read.TORN) == bool(last and content[cut : cut + 1] != b"\n")


def test_a_torn_file_is_an_interrupted_run(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_text("\n".join(lines[:10]) + '\n{"at":0.5,"da', "utf-8")
    run = record.load_one(path)
    assert (run.status, run.event_count) == ("interrupted", 9)


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        '{"at":1',
        "{}",
        "[]",
        "5",
        "null",
        '{"at":"soon","data":{}}',
        '{"at":1}',
        '{"end":7}',
        '{"server":3}',
        '{"at":1,"text":5}',
    ],
)
def test_a_corrupt_line_in_the_middle_is_named(line: str, tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join([*lines[:5], line, *lines[5:], ""]), "utf-8")
    with pytest.raises(InputError, match=r"bad\.jsonl, line 6\b"):
        record.load_one(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a run file"),
        (b"\n\n", "is not a run file"),
        (b"", "x.jsonl is empty.*take another copy of it, or leave it out"),
        (b'{"letta_nb":1,"run":{"started":"2026-', "first line, which says what was asked and when, is damaged"),
        (b'\x00\x00\n{"at":0.1,"data":{}}\n', "first line, which says what was asked and when, is damaged"),
        (b"hello\n", "its first line should be"),
        (b"hello\n", "is not a run file"),
        (b"[]\n", "is not a run file"),
        (b"5\n", "is not a run file"),
        (b'{"letta_nb":1}\n', "is not a run file"),
        (b'{"letta_nb":1,"run":{}}\n', "is not a run file"),
        (b'{"letta_nb":1,"run":7}\n', "is not a run file"),
        (b'{"letta_nb":1,"run":{"started":"yesterday","request":null}}\n', "is not a run file"),
        (b'{"letta_nb":2,"run":{"anything":1}}\n', "version 2"),
        (b'{"cells":[],"nbformat":4}\n', "is not a run file"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not a run file"),
        (b"data\n", "is not a run file"),
    ],
)
def test_what_is_no_run_file_is_said_so(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        record.load(path)
    assert "x.jsonl" in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"sort_keys": True}, {"separators": (",", ":"), "sort_keys": True}])
def test_a_file_that_another_program_laid_out_anew_is_the_same_run(options: dict[str, Any], tmp_path: Path) -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_parallel2_tok"].path)
    path = run.save(tmp_path / "run.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        if "data" in row:
            row["event"] = "message"  # behind the data, where keys are sorted
    path.write_text("".join(json.dumps(row, **options) + "\n" for row in rows), "utf-8")
    again = record.load_one(path)
    assert again.text == run.text
    assert [event.model_dump() for event in again.events] == [event.model_dump() for event in run.events]
    assert frames.steps_df(again).equals(frames.steps_df(run))


def test_a_fact_from_a_later_release_does_not_lock_the_file(tmp_path: Path, lines: list[str]) -> None:
    head = json.loads(lines[0])
    head["run"]["mood"] = "new in 0.9"
    path = tmp_path / "new.jsonl"
    path.write_text("\n".join([json.dumps(head), *lines[1:], ""]), "utf-8")
    assert record.load_one(path).status == "completed"


def test_a_folder_and_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        record.load(tmp_path)
    with pytest.raises(InputError, match="There is no file"):
        record.load(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b": ping\n\n", b'{"detail":"Agent not found"}', b"<html>502</html>", b"\x89PNG\r\n\xff"]
)
def test_bytes_that_hold_no_event(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.sse"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.sse"):
        record.load(path)


@pytest.mark.parametrize(
    "sidecar", [b"", b"{", b"[]", b'{"lines_ms_len": 5}', b'{"lines_ms_len": [[1]]}', b"\xff", b'{"request": 4}']
)
def test_a_sidecar_that_makes_no_sense_is_named(sidecar: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.sse").write_bytes(BY_NAME["0.16.8/v1_hello_step"].content)
    (tmp_path / "x.json").write_bytes(sidecar)
    with pytest.raises(InputError, match=r"x\.json"):
        record.load(tmp_path / "x.sse")


# -- recordings of servers --------------------------------------------------------------------------------------------


def test_a_recording_keeps_its_times(tmp_path: Path) -> None:
    facts = json.loads(BY_NAME["0.16.8/v1_multi_tok"].path.with_suffix(".json").read_text())
    run = sample()
    assert run.log is not None
    assert run.started == datetime.fromtimestamp(facts["started_at"], UTC)
    # an event is there with the blank line after its data
    blank = [ms for ms, length in facts["lines_ms_len"] if length == 1]
    assert [at / 1e6 for at in run.log.at] == pytest.approx(blank)
    assert run.agent_id is not None
    assert run.agent_id.startswith("agent-")
    assert run.server == "Letta 0.16.8"
    assert run.request is not None
    assert run.request["stream_tokens"] is True


def test_no_key_or_password_is_in_a_run_file(tmp_path: Path) -> None:
    text = record.save(sample(), tmp_path / "run.jsonl").read_text("utf-8").lower()
    assert not any(word in text for word in ("authorization", "bearer", "password", "api_key", "x-bare"))


def arrivals(path: Path) -> dict[str, tuple[float, float]]:
    """From the bytes and the times beside them alone: when each call's last piece and its return came, ms."""
    lines = json.loads(path.with_suffix(".json").read_bytes())["lines_ms_len"]
    content, start = path.read_bytes(), 0
    last: dict[str, float] = {}
    returned: dict[str, float] = {}
    for ms, length in lines:
        line, start = content[start : start + length], start + length
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        call = event.get("tool_calls") or event.get("tool_call") or {}
        if event.get("message_type") == "tool_call_message" and isinstance(call, dict) and call.get("tool_call_id"):
            last[call["tool_call_id"]] = ms
        elif event.get("message_type") == "tool_return_message" and len(event.get("tool_returns") or [1]) == 1:
            returned[event["tool_call_id"]] = ms
    return {call_id: (last[call_id], at) for call_id, at in returned.items() if call_id in last}


TIMED = [path for path in sorted((FIXTURES / "0.16.8").glob("*_tok.sse")) if arrivals(path)]


@pytest.mark.parametrize("path", TIMED, ids=lambda path: path.stem)
def test_tool_latencies_are_the_recorded_ones(path: Path) -> None:
    run = record.load_one(path)
    times = arrivals(path)
    timed = {str(call.tool_call_id): call for call in run.tool_calls if call.duration is not None}
    assert set(timed) == set(times)
    for call_id, (asked, returned) in times.items():
        assert timed[call_id].duration == pytest.approx((returned - asked) * 1e6, abs=50e6)
        assert timed[call_id].duration_source == "client"


def test_there_are_recordings_to_time() -> None:
    assert len(TIMED) >= 6


# -- while it goes on --------------------------------------------------------------------------------------------------


def long_run() -> Run:
    return record.load_one(BY_NAME["0.16.8/v1_long_tok"].path)


def answered_run() -> Run:
    return two_legs("v1_approve_parallel_step")


def file_of(run: Run, tmp_path: Path) -> list[str]:
    return record.save(run, tmp_path / "whole.jsonl").read_text("utf-8").splitlines()


def in_parts(run: Run) -> list[str]:
    """As a page asks for them."""
    lines: list[str] = []
    more = True
    while more:
        some, more = record.part(run, len(lines))
        assert some or not more
        lines += some
    return lines


@pytest.mark.parametrize(("most_lines", "most_chars"), [(1, 10**9), (7, 10**9), (10**9, 900), (10**9, 1)])
@pytest.mark.parametrize("make", [long_run, answered_run])
def test_parts_are_the_whole(
    make: Callable[[], Run], most_lines: int, most_chars: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_PART_LINES", most_lines)
    monkeypatch.setattr(record, "_PART_CHARS", most_chars)
    run = make()
    lines = in_parts(run)
    assert len(lines) == len(run.log or ()) + len(run.legs)
    assert file_of(run, tmp_path)[: len(lines)] == lines


def test_lines_that_a_page_has_stay_while_the_run_goes_on(tmp_path: Path) -> None:
    """Whatever the page has when it asks again: nothing is lost, nothing comes twice, across events and legs."""
    whole = answered_run()
    run = whole.blank(record=True)
    lines: list[str] = []
    for item in whole.history():
        lines += record.part(run, len(lines))[0]
        run.take(item)
    lines += record.part(run, len(lines))[0]
    run.close_like(whole)
    assert record.part(run, len(lines)) == ([], False)
    assert file_of(run, tmp_path)[: len(lines)] == lines


def test_a_page_that_has_more_than_there_is_gets_nothing() -> None:
    assert record.part(long_run(), 10**6) == ([], False)
    assert record.part(long_run(), -5)[0][0].startswith('{"letta_nb":1')


def test_a_run_that_ends_while_it_is_written_is_written_to_its_end() -> None:
    whole = long_run()
    run, rest = whole.blank(record=True), iter(list(whole.history()))
    run.take(next(rest))
    lines: list[str] = []
    for line in record.lines(run):
        lines.append(line)
        if len(lines) == 2:  # all of it comes while the first event is being written
            for item in rest:
                run.take(item)
            run.close_like(whole)
    assert lines == list(record.lines(run))
    assert json.loads(lines[-1])["end"]["status"] == "completed"


def test_text_can_be_sent_whatever_is_in_it(tmp_path: Path) -> None:
    run = Run({"messages": [{"role": "user", "content": "half \ud800"}]})
    run.receive(Received(1, "", "\udfff no JSON"))
    text = record.text_of(run)
    assert text.encode("utf-8").decode("utf-8") == text
    path = tmp_path / "run.jsonl"
    path.write_text(text, encoding="utf-8")
    again = record.load_one(path)
    assert again.prompt == run.prompt
    assert list(again.log or ()) == list(run.log or ())


def test_a_saved_run_knows_whose_prices_it_has(tmp_path: Path) -> None:
    run = Run({"messages": []}, model="gpt-4o-mini", provider="openai", record=True)
    run.end(1)
    loaded = record.load_one(record.save(run, tmp_path / "run.jsonl"))
    assert (loaded.model, loaded.provider, loaded.blank().provider) == ("gpt-4o-mini", "openai", "openai")
