"""Server-sent events: bytes to messages and messages to bytes, side by side. httpx-sse knows the format, we the ends.

A stream that is cut loses nothing: what stands in an unfinished line or message is delivered too, marked `torn`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

import httpx
from httpx_sse import EventSource

_HEADERS = {"content-type": "text/event-stream; charset=utf-8"}
_BOM = b"\xef\xbb\xbf"
# Bytes of one message from a connection. No server says that much at once; what sends it is none, and fills memory.
LONGEST = 2**26
# every way in which a connection can end in the middle
BROKEN = (httpx.TransportError, httpx.StreamError, httpx.DecodingError)


class Message(NamedTuple):
    """One SSE message: its `event` name ("" for none), its `data`, and whether the stream ended inside it."""

    event: str
    data: str
    torn: bool = False


class Body:
    """Bytes of an event stream until its connection ends, however it ends: `problem` says how."""

    def __init__(self, chunks: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        self.chunks = chunks
        self.problem: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self.chunks, Iterable)
        try:
            yield from self.chunks
        except BROKEN as problem:
            self.problem = problem

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self.chunks, AsyncIterable)
        try:
            async for chunk in self.chunks:
                yield chunk
        except BROKEN as problem:
            self.problem = problem


def body_of(response: httpx.Response) -> Body:
    """The unread body of a response."""
    if "content-encoding" in response.headers:  # a proxy's: unpacked by httpx, one layer more
        return Body(
            response.aiter_bytes() if isinstance(response.stream, httpx.AsyncByteStream) else response.iter_bytes()
        )
    return Body(response.stream)


class Decoder:
    """Bytes in, in any pieces; messages out, each with its last byte. `end`: what an ending stream left unfinished."""

    def __init__(self) -> None:
        self._held: list[bytes] = []  # what no blank line has followed yet
        self.size = 0  # bytes of it
        self._started = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that this chunk completes."""
        if b"\r" in chunk or self._after_cr:
            chunk = self._with_lf(chunk)
        if not self._held and self._started and (plain := _plain(chunk)) is not None:
            return plain
        end = chunk.rfind(b"\n\n") + 2
        if end == 1:
            # the blank line may lie across two chunks
            end = int(chunk.startswith(b"\n") and bool(self._held) and self._held[-1].endswith(b"\n"))
        if not end:
            self._hold(chunk)
            return []
        whole = self._take(chunk[:end])
        self._hold(chunk[end:])
        plain = _plain(whole)
        return _read(whole) if plain is None else plain

    def end(self) -> list[Message]:
        """The stream is over: a message that it cut, marked torn."""
        whole = self._take(b"\n\n")
        return [message._replace(torn=True) for message in _read(whole)]

    def _hold(self, part: bytes) -> None:
        if part:
            self._held.append(part)
            self.size += len(part)

    def _take(self, last: bytes) -> bytes:
        whole = b"".join((*self._held, last))
        self._held.clear()
        self.size = 0
        if not self._started:
            self._started, whole = True, whole.removeprefix(_BOM)
        return whole

    def _with_lf(self, chunk: bytes) -> bytes:
        """CR and CRLF as LF; a CR ends its line at once, and an LF that follows it later is none."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            if not chunk:
                self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _plain(whole: bytes) -> list[Message] | None:
    """Whole messages of one data line each, which is how Letta writes: read directly, at a third of the cost."""
    if not whole.startswith(b"data: ") or not whole.endswith(b"\n\n"):
        return None
    if whole.count(b"\n") == 2:
        return [Message("", whole[6:-2].decode("utf-8", "replace"))] if len(whole) > 8 else []
    datas = whole[6:-2].split(b"\n\ndata: ")
    if any(b"\n" in data for data in datas):
        return None
    return [Message("", data.decode("utf-8", "replace")) for data in datas if data]


def _read(whole: bytes) -> list[Message]:
    """Whole messages of any form."""
    response = httpx.Response(200, headers=_HEADERS, content=whole)
    return [
        Message("" if sse.event == "message" else sse.event, sse.data)
        for sse in EventSource(response).iter_sse()
        if sse.data
    ]


def decode(chunks: Iterable[bytes] | Body) -> Iterator[Message]:
    """Messages of a body, each as soon as its last byte is there; a message without data is not one."""
    decoder = Decoder()
    for chunk in chunks:
        yield from decoder.feed(chunk)
        if _too_long(decoder, chunks):
            break
    yield from decoder.end()


async def adecode(chunks: AsyncIterable[bytes] | Body) -> AsyncIterator[Message]:
    """`decode` for an asynchronous body."""
    decoder = Decoder()
    async for chunk in chunks:
        for message in decoder.feed(chunk):
            yield message
        if _too_long(decoder, chunks):
            break
    for message in decoder.end():
        yield message


def _too_long(decoder: Decoder, chunks: object) -> bool:
    """Whether to stop reading; a file may be what it is, a connection may not go on for ever."""
    if decoder.size <= LONGEST or not isinstance(chunks, Body):
        return False
    chunks.problem = httpx.StreamError(f"one message was longer than {LONGEST >> 20} MiB: no more was read")
    return True


def encode(payload: dict[str, Any] | str, event: str | None = None) -> bytes:
    """One SSE message as Letta writes it: compact JSON, raw UTF-8, on one line. A string is sent as it is."""
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode()
