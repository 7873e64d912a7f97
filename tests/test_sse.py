"""Server-sent events: the format's rules, any cut into chunks, and writing what is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import BY_NAME

from letta_nb import sse
from letta_nb.sse import Message


async def adecoded(chunks: Iterable[bytes]) -> list[Message]:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [message async for message in sse.adecode(body())]


@pytest.fixture(params=["decode", "adecode"])
def decode(request: pytest.FixtureRequest) -> Any:
    """Both readers: every rule holds for both."""
    if request.param == "decode":
        return lambda *chunks: list(sse.decode(chunks))
    return lambda *chunks: asyncio.run(adecoded(chunks))


# -- the format -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b"data: a\n\n", [Message("", "a")]),
        (b"data:a\n\n", [Message("", "a")]),
        (b"data:  a\n\n", [Message("", " a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [Message("", "a"), Message("", "b")]),
        (b"data: a\n\r\ndata: b\r\n\n", [Message("", "a"), Message("", "b")]),
        (b"data: a\rdata: b\r\rdata: c\n\n", [Message("", "a\nb"), Message("", "c")]),
        (b"data: a\ndata: b\n\n", [Message("", "a\nb")]),
        (b"data: a\ndata\ndata: b\n\n", [Message("", "a\n\nb")]),
        (b": ping\n\ndata: a\n: note\n\n:\n\n", [Message("", "a")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [Message("error", "a"), Message("", "b")]),
        (b"data: a\nevent: error\n\n", [Message("error", "a")]),
        (b"event: message\ndata: a\n\n", [Message("", "a")]),
        (b"event: lonely\n\ndata: a\n\n", [Message("", "a")]),
        (b"id: 7\nretry: 100\ndata: a\n\ndata: b\n\n", [Message("", "a"), Message("", "b")]),
        (b"id: 7\n\n\n\nretry: soon\n\n", []),
        (b"unknown: x\ndata: a\n\n", [Message("", "a")]),
        (b"data\n\ndata:\n\n", []),
        (b"\n\n\n", []),
        (b"", []),
        (b"\xef\xbb\xbfdata: a\n\n", [Message("", "a")]),
        (b"data: \xef\xbb\xbf\n\n", [Message("", "\ufeff")]),
        (b"data: a\xff\n\n", [Message("", "a\ufffd")]),
        (b"data: [DONE]\n\ndata: [DONE]\n\n", [Message("", "[DONE]")] * 2),
        (b"data: [DONE]\n\ndata: late\n\n", [Message("", "[DONE]"), Message("", "late")]),
        # ends that Python's splitlines would see, and that a JSON string may hold
        (
            "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n".encode(),
            [Message("", "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg")],
        ),
    ],
)
def test_the_format(decode: Any, body: bytes, messages: list[Message]) -> None:
    assert decode(body) == messages
    assert decode(*(bytes([byte]) for byte in body)) == messages
    assert decode(b"", *(bytes([byte]) for byte in body), b"") == messages


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_each_kind_of_line_end(decode: Any, end: bytes) -> None:
    body = end.join([b"data: a", b"", b"event: error", b"data: b", b"data: c", b"", b"data: [DONE]", b"", b""])
    expected = [Message("", "a"), Message("error", "b\nc"), Message("", "[DONE]")]
    assert decode(body) == expected
    assert decode(*(bytes([byte]) for byte in body)) == expected


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "last"),
    [
        (b"data: a\n\ndata: b\n", Message("", "b", True)),
        (b"data: a\n\ndata: b", Message("", "b", True)),
        (b"data: a\n\ndata: b\nda", Message("", "b", True)),
        (b"data: a\n\nevent: error\ndata: b", Message("error", "b", True)),
        ("data: a\n\ndata: é".encode()[:-1], Message("", "\ufffd", True)),
        (b"data: a\n\nevent: err", Message("", "a", False)),
        (b"data: a\n\ndata:", Message("", "a", False)),
        (b"data: a\n\n:", Message("", "a", False)),
        (b"data: a\n\n", Message("", "a", False)),
    ],
)
def test_a_cut_stream_gives_up_its_last_words_marked_torn(decode: Any, body: bytes, last: Message) -> None:
    assert decode(body)[-1] == last
    assert decode(*(bytes([byte]) for byte in body))[-1] == last


def test_a_message_is_there_with_its_last_byte() -> None:
    """No message waits for the next one: that would be a token of delay, and the last one would never come."""
    arrived: list[str] = []

    def chunks() -> Iterable[bytes]:
        yield b"data: a\n"
        assert arrived == []
        yield b"\n"
        assert arrived == ["a"]
        yield b"data: b\r\n\r\n"
        assert arrived == ["a", "b"]
        yield b"data: c\n\ndata: d\n\ndata: e"
        assert arrived == ["a", "b", "c", "d"]
        yield b"\n\n"

    for message in sse.decode(chunks()):
        arrived.append(message.data)
        assert not message.torn
    assert arrived == ["a", "b", "c", "d", "e"]


def test_what_breaks_the_body_reaches_the_reader_after_what_had_come() -> None:
    def chunks() -> Iterable[bytes]:
        yield b"data: a\n\ndata: b"
        raise OSError("reset")

    arrived: list[Message] = []
    with pytest.raises(OSError, match="reset"):
        arrived.extend(sse.decode(chunks()))
    assert arrived == [Message("", "a")]


# -- any cut ----------------------------------------------------------------------------------------------------------

SAMPLES = [
    BY_NAME["0.16.8/v1_unicode_step"].content,
    BY_NAME["0.7.16/memgpt_one_tok"].content,
    BY_NAME["0.16.8/v1_err400ctx_tok"].content.replace(b"\n", b"\r\n"),
    b"\xef\xbb\xbf: hi\r\ndata: a\rdata: \xf0\x9f\x91\xa9\n\r\nevent: x\rdata: \xe2\x80\xa8\r\r\ndata: cut",
]


@given(st.sampled_from(SAMPLES), st.lists(st.integers(0, 10_000), max_size=40))
def test_any_cut_into_chunks_gives_the_same_messages(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    chunks = [body[start:end] for start, end in pairwise(edges)]
    whole = list(sse.decode([body]))
    assert list(sse.decode(chunks)) == whole
    assert asyncio.run(adecoded(chunks)) == whole


@given(st.lists(st.sampled_from([b"data: a", b"event: e", b":c", b"id: 1", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b"x"])))
def test_any_bytes_whole_or_one_by_one(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert list(sse.decode(bytes([byte]) for byte in body)) == list(sse.decode([body]))


@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    for message in sse.decode([body]):
        assert message.data


# -- writing ----------------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), anything, min_size=1))
def test_what_is_written_is_read(payload: dict[str, Any]) -> None:
    (message,) = sse.decode([sse.encode(payload, "error")])
    assert (message.event, json.loads(message.data), message.torn) == ("error", payload, False)


def test_writing_is_as_letta_writes() -> None:
    assert sse.encode({"a": "é\u2028👩\n", "b": None}) == 'data: {"a":"é\u2028👩\\n","b":null}\n\n'.encode()
    assert sse.encode("[DONE]") == b"data: [DONE]\n\n"
    assert sse.encode({"error": "x"}, "error") == b'event: error\ndata: {"error":"x"}\n\n'


@pytest.mark.parametrize("name", ["0.16.8/v1_unicode_tok", "0.16.8/v1_err500_step", "0.16.8/v1_parallel_step"])
def test_a_recording_read_and_written_is_itself(name: str) -> None:
    content = BY_NAME[name].content
    written = b"".join(sse.encode(message.data, message.event or None) for message in sse.decode([content]))
    assert written == content
