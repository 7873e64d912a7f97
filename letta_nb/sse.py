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
# every way in which a connection can end in the middle
BROKEN = (httpx.TransportError, httpx.StreamError, httpx.DecodingError)


class Message(NamedTuple):
    """One SSE message: its `event` name ("" for none), its `data`, and whether the stream ended inside it."""

    event: str
    data: str
    torn: bool = False


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes of an event stream that end well for the decoder, however the connection ended: `problem` says how."""

    def __init__(self, chunks: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        self.chunks = chunks
        self.over = False
        self.problem: Exception | None = None
        self._start: bytes | None = b""
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self.chunks, Iterable)
        try:
            for chunk in self.chunks:
                yield self._without_bom(chunk)
        except BROKEN as problem:
            self.problem = problem
        yield self._last_line()
        yield self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self.chunks, AsyncIterable)
        try:
            async for chunk in self.chunks:
                yield self._without_bom(chunk)
        except BROKEN as problem:
            self.problem = problem
        yield self._last_line()
        yield self._end()

    def close(self) -> None:
        """Close what the bytes come from."""
        if isinstance(self.chunks, httpx.SyncByteStream):
            self.chunks.close()

    async def aclose(self) -> None:
        """`close`, awaited."""
        if isinstance(self.chunks, httpx.AsyncByteStream):
            await self.chunks.aclose()

    def response(self) -> httpx.Response:
        """The bytes as a response that httpx-sse can read."""
        return httpx.Response(200, headers=_HEADERS, stream=self)

    def _without_bom(self, chunk: bytes) -> bytes:
        if chunk:
            self._last = chunk[-1:]
        if self._start is None:
            return chunk
        self._start += chunk
        if len(self._start) < len(_BOM) and _BOM.startswith(self._start):
            return b""
        start, self._start = self._start, None
        return start.removeprefix(_BOM)

    def _last_line(self) -> bytes:
        # the decoder holds a final CR back, in case LF follows: this one ended its line
        return b"\n" if self._last == b"\r" else b""

    def _end(self) -> bytes:
        self.over = True
        return (self._start or b"") + b"\n\n"


def body_of(response: httpx.Response) -> Body:
    """The unread body of a response; with it, `response.read()` and the like still work."""
    if "content-encoding" in response.headers:  # a proxy's: unpacked by httpx, one layer more
        return Body(
            response.aiter_bytes() if isinstance(response.stream, httpx.AsyncByteStream) else response.iter_bytes()
        )
    return Body(response.stream)


def decode(chunks: Iterable[bytes] | Body) -> Iterator[Message]:
    """Messages of a body, each as soon as its last byte is there; a message without data is not one."""
    body = chunks if isinstance(chunks, Body) else Body(chunks)
    for sse in EventSource(body.response()).iter_sse():
        if data := sse.data:
            event = sse.event
            yield Message("" if event == "message" else event, data, body.over)


async def adecode(chunks: AsyncIterable[bytes] | Body) -> AsyncIterator[Message]:
    """`decode` for an asynchronous body."""
    body = chunks if isinstance(chunks, Body) else Body(chunks)
    async for sse in EventSource(body.response()).aiter_sse():
        if data := sse.data:
            event = sse.event
            yield Message("" if event == "message" else event, data, body.over)


def encode(payload: dict[str, Any] | str, event: str | None = None) -> bytes:
    """One SSE message as Letta writes it: compact JSON, raw UTF-8, on one line. A string is sent as it is."""
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode()
