"""The frames of one run's stream: written once, read by whoever is listening; a reader that leaves changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from letta_nb.server.eras import Modern, Speech
from letta_nb.server.store import Store
from letta_nb.server.wire import Event

DONE = b"data: [DONE]\n\n"
# the one event that 0.16.8 writes with spaces
CANCELLED = b'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\n'

_BATCH = 100


class Feed:
    """Frames in order, numbered from 1, until closed; `numbered` if its events tell their numbers."""

    numbered = False

    def __init__(self, speech: Speech | None = None) -> None:
        self.speech = speech or Modern()
        self._frames: list[bytes] = []
        self._grown = asyncio.Event()
        self.closed = False

    def tell(self, event: Event, name: str | None = None) -> None:
        """Add an event."""
        for data in self.speech.frames(event, name):
            self.put(data)

    def put(self, data: bytes) -> None:
        """Add a frame; after the close, nothing is added."""
        if not self.closed:
            self._keep(data)
            self._wake()

    def close(self) -> None:
        """No more frames will come."""
        self.closed = True
        self._wake()

    def _keep(self, data: bytes) -> None:
        self._frames.append(data)

    def _after(self, position: int, limit: int) -> list[bytes]:
        return self._frames[position : position + limit]

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def follow(
        self, silence: float, keepalive: Callable[[int], bytes] | None, *, after: int = 0, batch: int = _BATCH
    ) -> AsyncGenerator[bytes]:
        """All frames behind number `after`, each by itself, also those to come.

        After each `silence` seconds without one: `keepalive` of the number of the last.
        """
        position = after
        while True:
            # what comes between the look and the wait must wake it
            grown, closed = self._grown, self.closed
            if found := self._after(position, batch):
                for data in found:
                    position += 1
                    yield data
                continue
            if closed:
                return
            try:
                await asyncio.wait_for(grown.wait(), silence if keepalive else None)
            except TimeoutError:
                if keepalive:
                    yield keepalive(position)


class StoredFeed(Feed):
    """A background run's frames, kept in the store; an event that has a `seq_id` is given its number."""

    numbered = True

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__()
        self._store = store
        self._run_id = run_id
        self._count = store.frame_count(run_id)

    def tell(self, event: Event, name: str | None = None) -> None:
        """Add an event."""
        super().tell(event | {"seq_id": self._count + 1} if "seq_id" in event else event, name)

    def _keep(self, data: bytes) -> None:
        self._count += 1
        self._store.add_frame(self._run_id, self._count, data)

    def _after(self, position: int, limit: int) -> list[bytes]:
        return self._store.frames(self._run_id, position, limit)
