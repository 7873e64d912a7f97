"""The embedded server's misbehaviour: each fault, byte for byte, against the same stream without it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import httpx
import pytest
from server_play import Play, Wire, events, playing

from letta_nb.errors import ConfigurationError
from letta_nb.server import serve
from letta_nb.server.faults import NAMES, Defect, End
from letta_nb.server.refusals import REFUSALS, Refusal

REPLIES = [
    [("think", "Two at once."), ("call", "one", "{}"), ("call", "two", "{}")],
    [("say", "Both are back.")],
]
BODY = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": True}
DONE = b"data: [DONE]\n\n"
STOP = b'data: {"message_type":"stop_reason","stop_reason":"end_turn"}\n\n'


def one() -> str:
    """The first tool."""
    return "1"


def two() -> str:
    """The second tool."""
    return "2"


@contextmanager
def served(fault: Any = None) -> Iterator[Wire]:
    with playing(REPLIES, one, two, fault=fault) as wire:
        yield wire


def timeless(body: bytes) -> bytes:
    """A body with all that differs between two runs made equal, at the same length."""
    body = re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"0" * 36, body)
    return re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", b"0" * 19, body)


@pytest.fixture(scope="module")
def clean() -> bytes:
    with served() as wire:
        body = timeless(wire.body(**BODY))
    assert STOP in body
    assert body.endswith(DONE)
    return body


def first(clean: bytes, count: int) -> bytes:
    return b"".join(frame + b"\n\n" for frame in clean.split(b"\n\n")[:count])


def inserted(clean: bytes, frame: bytes, at: int = 3) -> bytes:
    head = first(clean, at)
    return head + frame + clean[len(head) :]


def with_comments(clean: bytes) -> bytes:
    return b"".join(b": keepalive\n\n:\n" + frame + b"\n: of a proxy\n\n" for frame in clean.split(b"\n\n") if frame)


def mid_line(clean: bytes) -> bytes:
    head, frame = first(clean, 3), clean.split(b"\n\n")[3] + b"\n\n"
    return head + frame[: len(frame) // 2]


def without_several(clean: bytes) -> bytes:
    frames = [frame + b"\n\n" for frame in clean.split(b"\n\n") if frame]
    kept = [frame for frame in frames if b'"tool_returns":[{' not in frame]
    assert len(kept) == len(frames) - 1
    return b"".join(kept)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda clean: first(clean, 3),
    "cut_mid_line": mid_line,
    "cut_byte": lambda clean: clean[:600],
    "no_done": lambda clean: clean.removesuffix(DONE),
    "done_twice": lambda clean: clean + DONE,
    "no_stop_reason": lambda clean: clean.replace(STOP, b""),
    "crlf": lambda clean: clean.replace(b"\n", b"\r\n"),
    "comments": with_comments,
    "one_byte": lambda clean: clean,
    "gzip": lambda clean: clean,
    "line_separators": lambda clean: re.sub(rb'"(content|reasoning)":"', b'"\\g<1>":"\xe2\x80\xa8\xc2\x85', clean),
    "bad_json": lambda clean: inserted(clean, b'data: {"message_type":"assistant_message","content":"half\n\n'),
    "no_parallel_return": without_several,
}


@pytest.mark.parametrize("name", FORMS)
def test_what_a_spoilt_stream_looks_like(clean: bytes, name: str) -> None:
    with served(name) as wire:
        spoilt = timeless(wire.body(**BODY))
    assert spoilt == FORMS[name](clean)
    assert spoilt != clean or name in ("one_byte", "gzip")


ENDINGS = {
    "pings_only": rb'(data: \{"id":"ping-[^\n]*\n\n){20}',
    "stop_reason_twice": rb'data: [^\n]*"error"\}\n\ndata: [^\n]*"llm_api_error"\}\n\nevent: error\ndata: [^\n]*\n\n',
    "error_message": rb'data: [^\n]*"error"\}\n\nevent: error\ndata: \{"message_type":"error_message"[^\n]*\n\n',
    "error_code": rb'event: error\ndata: \{"error":"[^\n]*","code":"INTERNAL_SERVER_ERROR"\}\n\n',
    "error_seed": rb'data: \{"error":"[^\n]*"\}\n\ndata: \[DONE\]\n\n',
    "cancelled": rb'data: [^\n]*"cancelled"\}\n\ndata: [^\n]*\n\nevent: cancelled\ndata: [^\n]*\n\n',
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_a_spoilt_stream_ends(clean: bytes, name: str) -> None:
    with served(name) as wire:
        spoilt = timeless(wire.body(**BODY))
    # both stop_reasons stand where the one was; all others come after three events
    kept = clean[: clean.index(STOP)] if name == "stop_reason_twice" else first(clean, 3)
    assert spoilt.startswith(kept)
    assert re.fullmatch(ENDINGS[name], spoilt[len(kept) :])


@pytest.mark.parametrize("name", ["unknown_type", "no_type"])
def test_one_more_event_that_nobody_knows(clean: bytes, name: str) -> None:
    with served(name) as wire:
        found = events(wire.body(**BODY))
    assert len(found) == len(events(clean)) + 1
    assert found[3].get("message_type") == ("thought_message" if name == "unknown_type" else None)


def test_a_compressed_stream_says_so() -> None:
    with served("gzip") as wire:
        answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json=BODY)
        assert answer.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in wire.http.get("/v1/health").headers


def test_one_byte_is_one_write() -> None:
    with (
        served("one_byte") as wire,
        wire.http.stream("POST", f"/v1/agents/{wire.agent_id}/messages/stream", json=BODY) as answer,
    ):
        sizes = [len(piece) for piece in answer.iter_raw()]
    assert set(sizes) == {1}


def test_a_reset_is_one() -> None:
    with served("reset") as wire, pytest.raises(httpx.ReadError, match="reset"):
        wire.body(**BODY)


@contextmanager
def silent(wire: Wire) -> Iterator[Iterator[bytes]]:
    with wire.http.stream("POST", f"/v1/agents/{wire.agent_id}/messages/stream", json=BODY) as answer:
        yield answer.iter_bytes()


def test_silence_lasts_until_the_reader_leaves(clean: bytes) -> None:
    with served("silence") as wire:
        wire.http.timeout = 0.3
        arrived: list[bytes] = []
        with silent(wire) as body, pytest.raises(httpx.ReadTimeout):
            arrived.extend(body)
        assert timeless(b"".join(arrived)) == first(clean, 3)


def test_a_silent_stream_does_not_keep_the_server_up() -> None:
    server = serve({"player": Play(REPLIES).agent(one, two)}, fault="silence")
    wire = Wire(server.url)
    with silent(wire) as body:
        next(body)
        server.stop()
        assert not server.running
    wire.http.close()


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_comes_before_the_agent(name: str) -> None:
    expected = REFUSALS[name]
    with served(name) as wire:
        answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json=BODY)
        assert (answer.status_code, answer.content) == (expected.status, expected.body)
        assert expected.headers.items() <= dict(answer.headers).items()
        assert wire.get("/v1/runs/") == []
        assert wire.http.get("/v1/health").status_code == 200
    assert not name[:3].isdigit() or expected.status == int(name[:3])


def test_the_agent_runs_on_behind_a_spoilt_stream() -> None:
    with served("cut") as wire:
        run_id = events(wire.body(**BODY))[0]["run_id"]
        deadline = time.monotonic() + 10
        while wire.get(f"/v1/runs/{run_id}")["status"] != "completed":
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize("name", ["cut", "gzip", "silence"])
def test_an_answer_that_is_no_stream_is_left_as_it_is(name: str) -> None:
    with served(name) as wire:
        answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages", json={"messages": BODY["messages"]})
        assert answer.json()["stop_reason"]["stop_reason"] == "end_turn"
        refused = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json={"messages": 7})
    assert refused.status_code == 422
    assert refused.json()["detail"]


def test_the_number_says_when() -> None:
    with served(("cut", 1)) as wire:
        assert len(events(wire.body(**BODY))) == 1
    with served(("cut_byte", 100)) as wire:
        assert len(wire.body(**BODY)) == 100


def test_a_compaction_is_told_before_and_after() -> None:
    with served(("compaction", 2)) as wire:
        found = events(wire.body(**BODY))
    before, after = found[2:4]
    assert (before["message_type"], before["event_data"]["context_token_estimate"]) == ("event_message", 118_400)
    assert (after["message_type"], after["compaction_stats"]["context_tokens_after"]) == ("summary_message", 31_200)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match=r"'sulk'.*There are cut, "):
        serve(fault="sulk")  # type: ignore[arg-type]


def test_every_name_is_tried() -> None:
    by_themselves = {"reset", "silence", "unknown_type", "no_type", "compaction"}
    assert {*FORMS, *ENDINGS, *by_themselves} == {*get_args(End), *get_args(Defect)}
    assert REFUSALS.keys() == set(get_args(Refusal))
    assert len(NAMES) == len(set(NAMES))
