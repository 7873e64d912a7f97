"""The frames of one run's stream: written once, read by whoever is listening; a reader that leaves changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from letta_nb import sse
from letta_nb.server.wire import Event

DONE = b"data: [DONE]\n\n"


def frame(event: Event, name: str | None = None) -> bytes:
    """The event as an SSE message; text without a UTF-8 form (lone surrogates) goes out as JSON escapes."""
    try:
        return sse.encode(event, name)
    except UnicodeEncodeError:
        return sse.encode(json.dumps(event, separators=(",", ":")), name)


class Feed:
    """Frames in order, until closed."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._grown = asyncio.Event()
        self.closed = False

    def put(self, data: bytes) -> None:
        """Add a frame; after the close, nothing is added."""
        if not self.closed:
            self._frames.append(data)
            self._wake()

    def close(self) -> None:
        """No more frames will come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def follow(self, silence: float, keepalive: Callable[[], bytes] | None) -> AsyncIterator[bytes]:
        """All frames from the first on, each by itself; `keepalive()` after each `silence` seconds without one."""
        position = 0
        while True:
            while position < len(self._frames):
                yield self._frames[position]
                position += 1
            if self.closed:
                return
            grown = self._grown
            try:
                await asyncio.wait_for(grown.wait(), silence if keepalive else None)
            except TimeoutError:
                if keepalive:
                    yield keepalive()
