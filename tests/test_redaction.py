"""What is taken out of a run is in no byte of its file, however it was cut or escaped; all else is as it was."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from alike import everything
from folded import two_legs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recordings import ALL_STREAMS, BY_NAME

import letta_nb
from letta_nb import notebook, record, redaction
from letta_nb.cli import main
from letta_nb.entries import RunError, ToolCallEntry
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.parquet import to_parquet
from letta_nb.places import JupyterOutput
from letta_nb.redaction_rules import MARK, rules_of
from letta_nb.run import Run

NOWHERE = "nothing in this run was redacted"
KEY = "sk-ant-api03-Zk3vT9q1LmXc7Rb2"
BASE = {"date": "2026-05-01T10:00:00+00:00", "run_id": "run-1", "step_id": "step-1", "is_err": None, "seq_id": None}


def message(kind: str, **more: Any) -> dict[str, Any]:
    return {"id": "message-1", **BASE, "message_type": kind, "otid": kind, **more}


def reasoning(text: str) -> dict[str, Any]:
    return message("reasoning_message", reasoning=text, signature=None)


def answer(text: str) -> dict[str, Any]:
    return message("assistant_message", content=text)


def call(text: str, name: str | None = None, call_id: str | None = "call-1") -> dict[str, Any]:
    delta = {"name": name, "arguments": text, "tool_call_id": call_id}
    return message("tool_call_message", tool_call=delta, tool_calls=delta)


def seed_call(text: str, name: str | None = None) -> dict[str, Any]:
    delta = {"arguments": text} if name is None else {"name": name, "arguments": text, "tool_call_id": "call-1"}
    return {"id": "m", "date": "2025-02-20T10:00:00+00:00", "message_type": "tool_call_message", "tool_call": delta}


def returned(text: str, **more: Any) -> dict[str, Any]:
    one = {"tool_return": text, "status": "success", "tool_call_id": "call-1", **more}
    return message("tool_return_message", **one, tool_returns=[{"type": "tool", **one}])


STOP = [{"message_type": "stop_reason", "stop_reason": "end_turn"}, "[DONE]"]


def run_of(events: Sequence[Any], request: Any = None, **facts: Any) -> Run:
    # an id and a time of their own choice could hold what must not be in the file
    own = {"uid": "0", "started": datetime(2026, 1, 1, tzinfo=UTC)} | facts
    run = Run(request or {"messages": [{"role": "user", "content": "hi"}], "stream_tokens": True}, **own)
    for number, event in enumerate(events):
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=number % 2 == 0)
        run.receive(Received((number + 1) * 1_000_000, "", data))
    run.end((len(events) + 1) * 1_000_000)
    return run


def saved(run: Run, tmp_path: Path, *redact: Any, **options: Any) -> tuple[Run, bytes]:
    path = run.save(tmp_path / "redacted.jsonl", redact=redact, **options)
    return record.load_one(path), path.read_bytes()


def shape(run: Run) -> list[Any]:
    """All of a run but its texts."""
    entries = [
        (entry.kind, entry.step_index, entry.message_id, entry.first_at, entry.last_at, entry.cut, sorted(entry.extra))
        for entry in run.entries
    ]
    calls = [
        (call.tool_call_id, call.status, call.approval, call.returned_at, call.duration, call.at_most)
        for call in run.entries
        if isinstance(call, ToolCallEntry)
    ]
    steps = [(step.step_id, step.first_at, step.last_at) for step in run.steps]
    end = (run.status, run.stop_reason, run.error and run.error.type, run.usage_reports, run.ended_at, run.uid)
    return [entries, calls, steps, end, [(item.at, item.event, item.torn) for item in run.log or ()]]


def escapings(text: str, depth: int = 3) -> set[str]:
    """A text as JSON in JSON may hold it."""
    ways = {text}
    for _ in range(depth):
        ways |= {json.dumps(way, ensure_ascii=ascii)[1:-1] for way in ways for ascii in (True, False)}
    return ways


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def assert_gone(secret: str, run: Run, content: bytes) -> None:
    for way in escapings(secret):
        # with a backslash, and not escaped, it may be another text that is: `\\"` for a quote
        if way == secret and "\\" in secret:
            continue
        assert way.encode("utf-8", "surrogatepass") not in content
    for line in content.decode("utf-8", "surrogatepass").split("\n"):
        if line:
            assert all(secret not in text for text in texts_of(json.loads(line)))
    for entry in run.entries:
        joined = f"{entry.text}\n{getattr(entry, 'result', '')}\n{getattr(entry, 'stdout', '')}"
        assert secret not in joined
        assert all(way not in joined for way in escapings(secret, 1))


# -- a text cut anywhere -----------------------------------------------------------------------------------------------


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """A text cut at any places, into many pieces or few, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=draw(st.sampled_from([2, 40])))))
    bounds = [0, *cuts, len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


secrets = st.text("abXY01-_/+ é日😀\"'\\\n\t", min_size=4, max_size=24).map(lambda text: f"Q{text}9z")
words = st.text('abc \n"\\{}:,é', max_size=12)


@st.composite
def told(draw: st.DrawFn) -> tuple[str, Run]:
    """A secret, and a run that holds it in every place."""
    secret = draw(secrets)
    around = f"{draw(words)}{secret}{draw(words)}"
    arguments = json.dumps({"q": around, "deep": json.dumps([around])}, ensure_ascii=draw(st.booleans()))
    make = draw(st.sampled_from([call, seed_call]))
    cut_arguments = draw(pieces(arguments))
    events: list[Any] = [reasoning(piece) for piece in draw(pieces(around))]
    events += [make(cut_arguments[0], "search"), *(make(piece) for piece in cut_arguments[1:])]
    if draw(st.booleans()) and make is call:  # the whole once more
        whole = {"name": "search", "arguments": arguments, "tool_call_id": "call-1"}
        events.append(message("tool_call_message", tool_call=whole, tool_calls=[whole]))
    events.append(returned(draw(st.sampled_from([around, arguments, repr({"k": around})])), stdout=[around]))
    events += [{**answer(piece), "otid": "o"} for piece in draw(pieces(around))]
    events += [{"message_type": "from_the_future", "note": {around: [1, around]}}, around, *STOP]
    request = {"messages": [{"role": "user", "content": [{"type": "text", "text": around}]}], "stream_tokens": True}
    run = run_of(events, request, agent_name=around, server=f"Letta {secret}", conversation_id=secret)
    reply = {**answer(around), "otid": "o"}
    run.join_server({"messages": [reply], "steps": [{"id": "step-1", "error_data": {"x": around}, "prompt_tokens": 5}]})
    return secret, run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(told())
def test_no_byte_of_a_secret_is_left_wherever_it_was_cut(tmp_path: Path, given: tuple[str, Run]) -> None:
    secret, run = given
    loaded, content = saved(run, tmp_path, secret)
    assert_gone(secret, loaded, content)
    assert shape(loaded) == shape(run)
    assert loaded.redacted
    assert loaded.text.count(MARK) >= 1
    assert loaded.text == run.text.replace(secret, MARK) or "\\" in run.text
    # the second time there is nothing left to do
    with pytest.warns(UserWarning, match=NOWHERE):
        assert redaction.redacted(loaded, [secret]) is loaded


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_key_cut_anywhere_goes_without_being_asked_for(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(pieces(f"use {KEY} then"))
    make = data.draw(st.sampled_from([reasoning, answer, call, seed_call]))
    run = run_of([make(piece) for piece in text] + STOP)
    loaded, content = saved(run, tmp_path)
    assert_gone(KEY, loaded, content)
    assert loaded.entries[-1].text == f"use {MARK} then"
    assert shape(loaded) == shape(run)


def test_times_stay_however_many_pieces_a_secret_had(tmp_path: Path) -> None:
    run = run_of([answer(letter) for letter in "my password is hunter2hunter2"] + STOP)
    loaded, _ = saved(run, tmp_path, "hunter2hunter2")
    assert loaded.text == f"my password is {MARK}"
    assert shape(loaded) == shape(run)


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recording_without_its_words_is_the_same_run(path: Path, tmp_path: Path) -> None:
    run = record.load_one(path)
    assert redaction.redacted(run) is run
    longest = max((entry.text for entry in run.entries), key=len, default="").partition("[image]")[0][3:40]
    if not longest.strip():
        return
    loaded, content = saved(run, tmp_path, longest)
    assert_gone(longest, loaded, content)
    assert shape(loaded) == shape(run)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_any_part_of_a_recording_can_go(tmp_path: Path, data: st.DataObject) -> None:
    run = record.load_one(data.draw(st.sampled_from(ALL_STREAMS)))
    texts = [
        text for entry in run.entries for text in (entry.text, getattr(entry, "result", None)) if len(text or "") > 12
    ]
    if not texts:
        return
    text = data.draw(st.sampled_from(texts)).replace("[image]", "")
    start = data.draw(st.integers(0, max(len(text) - 10, 0)))
    part = text[start : start + data.draw(st.integers(10, 60))]
    if len(part) < 10:
        return
    loaded, content = saved(run, tmp_path, part)
    assert_gone(part, loaded, content)
    assert shape(loaded) == shape(run)


def test_legs_and_answers_are_gone_through(tmp_path: Path) -> None:
    run = two_legs("v1_deny_step")
    reason = run.tool_calls[0].reason
    assert reason
    loaded, content = saved(run, tmp_path, reason)
    assert_gone(reason, loaded, content)
    assert shape(loaded) == shape(run)
    assert len(loaded.legs) == len(run.legs)


def test_an_answer_that_was_not_sent_yet_is_gone_through(tmp_path: Path) -> None:
    request = call("{}", "f") | {"message_type": "approval_request_message"}
    ask = {"message_type": "stop_reason", "stop_reason": "requires_approval"}
    run = run_of([request, {**request, "id": "m2", **call("{}", "g", "call-2")}, ask])
    run.decided(run.tool_calls[0], approve=False, reason="because of hunter22", at=9)
    loaded, content = saved(run, tmp_path, "hunter22")
    assert_gone("hunter22", loaded, content)
    assert loaded.tool_calls[0].reason == f"because of {MARK}"
    assert run.tool_calls[0].reason == "because of hunter22"


def test_what_a_stored_stream_brings_again_is_told_the_same(tmp_path: Path) -> None:
    parts = [{**answer(text), "seq_id": number + 1} for number, text in enumerate(["a sec", "ret w", "ord b"])]
    run = Run()
    for number, event in enumerate(parts[:2]):
        run.receive(Received(number + 1, "", json.dumps(event)))
    run.begin("resume", {"starting_after": 0}, 5_000_000)
    for number, event in enumerate([*parts[1:], *STOP]):
        run.receive(Received(6_000_000 + number, "", event if isinstance(event, str) else json.dumps(event)))
    run.end(9_000_000)
    assert run.text == "a secret word b"
    loaded, content = saved(run, tmp_path, "secret word")
    assert loaded.text == f"a {MARK} b"
    assert shape(loaded) == shape(run)
    assert b"ret w" not in content


@pytest.mark.parametrize("where", ["messages", "input"])
def test_a_prompt_in_parts_is_one_text(where: str, tmp_path: Path) -> None:
    parts = [{"type": "text", "text": text} for text in ("my sec", "ret w", "ord", "?")]
    run = run_of(STOP, {"input": parts} if where == "input" else {"messages": [{"role": "user", "content": parts}]})
    assert run.prompt == "my secret word?"
    loaded, _ = saved(run, tmp_path, "secret word")
    assert loaded.prompt == f"my {MARK}?"


def test_a_request_that_looks_like_events(tmp_path: Path) -> None:
    """What somebody sends may have any shape: its texts are not taken for those of the stream."""
    request = {"messages": [{"role": "user", "content": "hi"}], "history": [answer("sec"), answer("ret one")]}
    loaded, content = saved(run_of([answer("a secret"), answer(" one"), *STOP], request), tmp_path, "secret one")
    assert loaded.text == f"a {MARK}"
    assert_gone("secret one", loaded, content)


def test_how_a_run_failed_is_gone_through(tmp_path: Path) -> None:
    run = Run()
    run.fail(5, RunError("http_error", "no such user hunter22", "hunter22"))
    run.note = "asked by hunter22"
    loaded, content = saved(run, tmp_path, "hunter22")
    assert_gone("hunter22", loaded, content)
    assert loaded.error == RunError("http_error", f"no such user {MARK}", MARK)
    assert loaded.note == f"asked by {MARK}"


def test_a_run_that_broke_off_inside_of_a_secret(tmp_path: Path) -> None:
    loaded, _ = saved(run_of([answer("the word is "), answer("swordf")]), tmp_path, "swordfish")
    assert loaded.text == f"the word is {MARK}"
    # a text that was told whole ends as it ends
    with pytest.warns(UserWarning, match=NOWHERE):
        loaded, _ = saved(run_of([answer("the word is "), answer("swordf"), *STOP]), tmp_path, "swordfish")
    assert loaded.text == "the word is swordf"


# -- fields -----------------------------------------------------------------------------------------------------------


def test_fields_go_by_name(tmp_path: Path) -> None:
    events = [reasoning("he said"), answer("hel"), answer("lo"), returned("rows: 4", stdout=["a\n"]), *STOP]
    run = run_of(events)
    loaded, content = saved(run, tmp_path, redact_fields=["content", "stdout"])
    assert [entry.text for entry in loaded.entries] == [MARK, "he said", MARK, ""]
    assert loaded.tool_calls[0].result == "rows: 4"
    assert loaded.tool_calls[0].stdout == [MARK]
    assert b"hel" not in content
    assert shape(loaded) == shape(run)


@pytest.mark.parametrize("cut", range(0, 60, 3))
@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"user": "bo", "password": 'p"w\\é'}, {"user": "bo", "password": MARK}),
        ({"password": 4711, "n": 1}, {"password": MARK, "n": 1}),
        ({"password": ["a", {"b": "]"}], "n": 1}, {"password": MARK, "n": 1}),
        ({"a": {"password": {"b": 1}}}, {"a": {"password": MARK}}),
        ({"password": "", "passwords": "kept"}, {"password": "", "passwords": "kept"}),
        ({"password": None}, {"password": None}),
    ],
)
def test_fields_inside_of_arguments_go(arguments: Any, left: Any, cut: int, tmp_path: Path) -> None:
    text = json.dumps(arguments)
    run = run_of([call(text[:cut], "login"), call(text[cut:]), returned(str(arguments)), *STOP])
    loaded, _ = saved(run, tmp_path, redact_fields="password")
    assert json.loads(loaded.tool_calls[0].arguments) == left
    result = loaded.tool_calls[0].result
    assert result is not None
    assert result == str(arguments) if left == arguments else MARK in result
    assert 'p"w' not in result
    assert "4711" not in result


def test_json_inside_of_json_and_a_field_that_was_cut(tmp_path: Path) -> None:
    inner = json.dumps({"args": json.dumps({"password": 'x"y', "n": 1})})
    loaded, content = saved(
        run_of([call(inner, "f"), answer('{"password": "open ses')]), tmp_path, redact_fields="password"
    )
    assert json.loads(json.loads(loaded.tool_calls[0].arguments)["args"]) == {"password": MARK, "n": 1}
    assert loaded.text == f'{{"password": "{MARK}'
    assert b"open" not in content


@pytest.mark.parametrize("name", ["id", "tool_call_id", "message_type", "seq_id", "status"])
def test_what_a_run_is_put_together_by_cannot_go(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        saved(run_of(STOP), tmp_path, redact_fields=[name])


# -- words, patterns, keys ---------------------------------------------------------------------------------------------


def test_a_pattern_is_found_in_the_joined_text(tmp_path: Path) -> None:
    run = run_of([answer("card 4111 11"), answer("11 1111"), answer(" 1111."), *STOP])
    loaded, content = saved(run, tmp_path, re.compile(r"\b(?:\d[ -]?){13,16}\b"))
    assert loaded.text == f"card {MARK}."
    assert b"1111" not in content


def test_a_number_that_is_a_secret(tmp_path: Path) -> None:
    facts = {"message_type": "x", "card": 4111111111111111, "seq_id": 4111, "ok": True, "price": 4111.50}
    loaded, _ = saved(run_of([json.dumps(facts), *STOP]), tmp_path, "4111111111111111", re.compile(r"^4111\.5$"))
    assert loaded.log is not None
    assert [json.loads(loaded.log[0].data)] == [{**facts, "card": MARK, "price": MARK}]


def test_ids_that_go_stay_apart(tmp_path: Path) -> None:
    events = [call("a", "f", "anna-1"), call("b", "f", "anna-2"), call("c", None, "anna-1"), *STOP]
    loaded, content = saved(run_of(events), tmp_path, re.compile(r"anna-\d"))
    assert [entry.arguments for entry in loaded.tool_calls] == ["ac", "b"]
    assert b"anna" not in content


def test_a_name_that_is_there_twice_hides_nothing(tmp_path: Path) -> None:
    data = '{"message_type":"x","a":"hunter\\u00322","a":"other"}'
    _, content = saved(run_of([data, *STOP]), tmp_path, "hunter22")
    assert_gone("hunter22", run_of([]), content)
    assert b"u00322" not in content


def test_an_event_without_it_is_kept_verbatim(tmp_path: Path) -> None:
    odd = '{ "message_type" : "x", "n": 1e2, "a": 1, "a": 2, "x": 2.50 }'
    loaded, _ = saved(run_of([odd, answer("hunter22"), *STOP]), tmp_path, "hunter22")
    assert loaded.log is not None
    assert loaded.log[0].data == odd


DEEP = "[" * 300 + '"hunter22"' + "]" * 300


@pytest.mark.parametrize(
    "text",
    [
        "no JSON hunter22",
        '{"torn": "hunter\\u00322',
        '["hunter22"]',
        '"hunter22"',
        "[" * 300 + '"hunter22"' + "]" * 300,
    ],
)
def test_what_is_no_event_is_gone_through_too(text: str, tmp_path: Path) -> None:
    loaded, content = saved(run_of([text]), tmp_path, "hunter22")
    assert_gone("hunter22", run_of([]), content)
    assert b"u00322" not in content
    assert loaded.event_count == 1


def test_half_a_surrogate_pair_beside_its_other_half(tmp_path: Path) -> None:
    halves = ['{"message_type":"assistant_message","id":"m","content":"ab\\ud83d"}', answer("x")]
    run = run_of([*halves, {**answer("\ude00cd"), "id": "m", "otid": None}, *STOP])
    _, content = saved(run, tmp_path, "ab😀cd")
    assert b"cd" not in content


KEYS = [
    KEY,
    "sk-proj-" + "aB3dE6gH9" * 5,
    "sk-" + "aB3dE6gH9" * 5,
    "sk-or-v1-" + "0a1b2c3d" * 8,
    "sk-let-MTIzNDU2Nzg5MDEyMzQ1Njc4OTA6YWJjZGVm==",
    "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github_pat_11ABCDEFG0aBcDeFgHiJ_kLmNoPqRsTuVwXyZ",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdefABCDEF",
    "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "gsk_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:10])
def test_keys_of_providers_always_go(key: str, tmp_path: Path) -> None:
    run = run_of([answer(f"It is\n{key}."), returned(json.dumps({"key": key})), *STOP])
    loaded, content = saved(run, tmp_path)
    assert_gone(key, loaded, content)
    assert loaded.text == f"It is\n{MARK}."
    assert key in run.save(tmp_path / "all.jsonl", redact=False).read_text()
    assert key not in record.text_of(run)
    assert key not in str(run.to_html())


def test_what_stands_behind_bearer_goes(tmp_path: Path) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-123"
    loaded, _ = saved(run_of([answer(f"curl -H 'Authorization: Bearer {token}' x"), *STOP]), tmp_path)
    assert loaded.text == f"curl -H 'Authorization: Bearer {MARK}' x"
    private = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
    assert saved(run_of([answer(f"a {private} b"), *STOP]), tmp_path)[0].text == f"a {MARK} b"


@pytest.mark.parametrize(
    "text",
    [
        "task-oriented-conversation-agent-2",
        "sk-learn-contributed-packages",
        "sk-...",
        "AIza",
        "a Bearer token is needed for this request",
        "risk-0123456789abcdef0123",
        "ghp_short",
    ],
)
def test_what_only_looks_like_a_key_stays(text: str, tmp_path: Path) -> None:
    run = run_of([answer(text), *STOP])
    assert redaction.redacted(run) is run
    assert not saved(run, tmp_path)[0].redacted


@pytest.mark.parametrize("redact", [[""], [None], [b"x"], [re.compile(b"x")], [3]])
def test_what_cannot_be_looked_for_is_said(redact: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="redact"):
        run_of(STOP).save(tmp_path / "x.jsonl", redact=redact)
    assert list(tmp_path.iterdir()) == []


def test_one_text_or_pattern_needs_no_list() -> None:
    assert rules_of("abc", "content") == rules_of(["abc"], ["content"])
    assert rules_of(re.compile("abc"), ()) == rules_of([re.compile("abc")], ())
    assert rules_of(False, ()) is None
    with pytest.raises(InputError, match="choose one"):
        rules_of(False, "content")


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_header_says_so_and_older_files_load(tmp_path: Path) -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_multi_tok"].path)
    plain = run.save(tmp_path / "plain.jsonl")
    assert "redacted" not in json.loads(plain.read_text().splitlines()[0])["run"]
    assert not record.load_one(plain).redacted
    loaded, content = saved(run, tmp_path, "Paris", "weather")
    assert json.loads(content.splitlines()[0])["run"]["redacted"] is True
    # what was taken out stays marked, and the rest is the same run
    again = record.load_one(loaded.save(tmp_path / "again.jsonl"))
    assert again.redacted
    assert everything(again) == everything(loaded)
    assert (again.run_id, again.uid) == (run.run_id, run.uid)


def test_what_is_nowhere_in_the_run_is_warned_of(tmp_path: Path) -> None:
    run = run_of([answer("I am An"), answer("na, you know"), *STOP])
    patterns = [re.compile("(?i)ANNA"), re.compile("nobody")]
    ways: list[Callable[..., Any]] = [
        lambda **options: run.save(tmp_path / "run.jsonl", **options),
        lambda **options: run.to_html(**options),
        lambda **options: run.to_html(tmp_path / "run.html", **options),
    ]
    for write in ways:
        # all of it is there, or nothing was asked for: nothing to be said, and a warning would be an error here
        write(redact=["Anna", patterns[0]], redact_fields=["content", "stream_tokens"])
        write(redact="Anna")
        write()
        with pytest.warns(UserWarning, match=NOWHERE) as told:
            write(redact=["Anna", "anna", *patterns], redact_fields=["content", "contents"])
        assert [str(warning.message) for warning in told] == [
            "letta_nb: nothing in this run was redacted for redact[1] ('an'…, a text of 4 characters), "
            "redact[3] ('no'…, a pattern of 6 characters), redact_fields 'contents': check the spelling. Upper and "
            "lower case differ, and a pattern has to be re.compile(...)."
        ]
        assert told[0].filename == __file__
    # what was asked for may be a secret: it is not told
    with pytest.warns(UserWarning, match=r"redacted for redact \('hu'…, a text of 13 characters\)") as told:
        run.save(tmp_path / "run.jsonl", redact="hunter2hunter")
    assert "hunter" not in str(told[0].message)


def test_the_page_of_a_run_can_do_without(tmp_path: Path) -> None:
    run = run_of([answer("I am Anna Kare"), answer("nina"), *STOP])
    assert "Anna Karenina" in str(run.to_html())
    path = tmp_path / "run.html"
    assert run.to_html(path, redact="Anna Karenina") == path
    html = path.read_text("utf-8")
    assert "Anna" not in html
    assert MARK in html


def unpacked(html: Any) -> str:
    """A page, and what is packed in it."""
    packed = re.findall(r"H4sI[A-Za-z0-9+/=]+", str(html))
    return "".join([str(html), *(gzip.decompress(base64.b64decode(its)).decode("utf-8") for its in packed)])


@pytest.mark.parametrize("recorded", [True, False])
def test_keys_do_not_leave_in_tables_spans_or_pages(recorded: bool, tmp_path: Path) -> None:
    events = [
        message("tool_call_message", step_id="s1", tool_call=call(json.dumps({"key": KEY}), "f")["tool_call"]),
        message("tool_return_message", tool_call_id="call-1", status="error", tool_return=KEY, stdout=[KEY, "x"]),
        *({**answer(part), "step_id": "s2"} for part in (f"It is {KEY[:9]}", f"{KEY[9:]}, keep it.")),
        message("error_message", error_type="llm_error", message=f"Incorrect API key: {KEY}"),
    ]
    run = Run({"messages": [{"role": "user", "content": f"Use {KEY}"}]}, record=recorded)
    for number, event in enumerate(events):
        run.receive(Received(number, "", json.dumps(event)))
    run.end(9)
    tables = to_parquet(run, tmp_path / "lake")
    told = "".join(pd.read_parquet(file).to_csv() for file in tables.files)
    output = run.mimebundle()
    compared = letta_nb.compare(run, run_of([answer(f"{KEY} is another"), *STOP]))
    pages = map(unpacked, (run.to_html(), output["text/html"], compared.to_html(), compared._repr_mimebundle_()))
    spans = json.dumps(run.to_otel(content=True)), json.dumps(run.to_otel())
    for text in (told, output["text/plain"], *spans, *pages):
        assert KEY[:9] not in text
        assert KEY[9:] not in text
        assert "[redacted" in text or text == spans[1]
    assert told.count(MARK) > 5
    assert "keep it." in told
    assert len(tables.files) == 6
    # the run itself stays as it is, and who wants the keys says so
    assert run.tool_calls[0].result == KEY
    assert KEY in json.dumps(run.to_otel(content=True, redact=False))
    to_parquet(run, tmp_path / "lake", redact=False)
    assert KEY in "".join(pd.read_parquet(tmp_path / "lake" / "messages").content)


def test_keys_do_not_leave_in_a_cell_that_is_saved_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bundles: list[dict[str, Any]] = []

    class Handle:
        def update(self, bundle: dict[str, Any], raw: bool) -> None:
            bundles.append(bundle)

    def display(bundle: dict[str, Any], updatable: bool) -> Handle:
        bundles.append(bundle)
        return Handle()

    monkeypatch.setattr(notebook, "display_bundle", display)
    run = run_of([answer(f"It is {KEY}, keep it.")])
    widget: Any = SimpleNamespace(view=dict)
    place = JupyterOutput()
    place.show(widget, run)
    place.paused(widget, run)
    place.paused(widget, run)
    place.ended(widget, run, told=False)
    told = "".join(unpacked(text) for bundle in bundles for text in bundle.values())
    assert told.count("keep it.") > 6
    assert KEY not in told


def test_keys_do_not_leave_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_of([answer(f"It is {KEY}"), *STOP]).save(tmp_path / "run.jsonl", redact=False)
    assert main(["frames", str(tmp_path / "run.jsonl"), "--grain", "messages"]) == 0
    told = capsys.readouterr().out
    assert KEY not in told
    assert MARK in told


def test_words_can_go_from_tables_and_spans_too(tmp_path: Path) -> None:
    run = run_of([answer("Alice lives in Oslo."), *STOP])
    to_parquet(run, tmp_path / "lake", redact=["Alice"])
    assert pd.read_parquet(tmp_path / "lake" / "messages").content.tolist()[-1] == f"{MARK} lives in Oslo."
    assert "Alice" not in json.dumps(run.to_otel(content=True, redact="Alice"))
    assert "Oslo" not in json.dumps(run.to_otel(content=True, redact_fields=["content"]))
    with pytest.warns(UserWarning, match="nothing in these runs was redacted"):
        run.to_otel(redact="Bob")


def test_a_run_that_goes_on_is_saved_as_far_as_it_is(tmp_path: Path) -> None:
    run = Run()
    run.receive(Received(1, "", json.dumps(answer("the word is hunter22"))))
    loaded, _ = saved(run, tmp_path, "hunter22")
    assert loaded.text == f"the word is {MARK}"
    assert loaded.status == "interrupted"
    assert run.status == "running"


def test_a_run_without_events_cannot_be_redacted() -> None:
    run = Run(record=False)
    assert redaction.redacted(run) is run
    with pytest.raises(InputError, match="record=False"):
        redaction.redacted(run, "x")


@pytest.mark.filterwarnings("ignore:letta_nb. nothing in this run was redacted")
@example("[redacted]")
@given(st.text(min_size=1))
def test_any_text_can_be_taken_out_of_a_run(word: str) -> None:
    run = record.load_one(BY_NAME["0.16.8/v1_hello_tok"].path)
    made = redaction.redacted(run, word)
    assert len(made.log or ()) == len(run.log or ())
    assert made.status == run.status
