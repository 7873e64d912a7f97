"""The event log of a run: what was received, verbatim, and when. Append-only, and columnar, because a million small
Python objects cost gigabytes: texts are sealed into compressed blocks, times are one array of integers."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

_BLOCK = 1024
_LEVEL = 1  # deltas compress twentyfold even at the fastest level


class Received(NamedTuple):
    """One SSE message as received. `at`: ns since the request, -1 if not known; `torn`: the stream ended in it."""

    at: int
    event: str
    data: str
    torn: bool = False


class EventLog(Sequence[Received]):
    """A sequence of `Received`. `timed` is false for a recording without arrival times."""

    def __init__(self) -> None:
        self._at = array("q")
        self._sealed: list[bytes] = []
        self._lengths: list[array[int]] = []  # characters of each text, a block each
        self._open: list[str] = []
        self._events: dict[int, str] = {}  # only the few that are named
        self._torn: set[int] = set()
        self._cache: tuple[int, list[str]] = (-1, [])

    def append(self, received: Received) -> None:
        """Keep one message."""
        index = len(self._at)
        # the text first: another thread may read up to the last time
        self._open.append(received.data)
        self._at.append(received.at)
        if received.event:
            self._events[index] = received.event
        if received.torn:
            self._torn.add(index)
        if len(self._open) == _BLOCK:
            self._seal()

    @property
    def at(self) -> array[int]:
        """Arrival times, ns since the request was sent; -1 where not known."""
        return self._at

    @property
    def timed(self) -> bool:
        return not self._at or self._at[0] >= 0

    def __len__(self) -> int:
        return len(self._at)

    @overload
    def __getitem__(self, index: int) -> Received: ...
    @overload
    def __getitem__(self, index: slice) -> list[Received]: ...
    def __getitem__(self, index: int | slice) -> Received | list[Received]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return self._received(index, self._block(index // _BLOCK)[index % _BLOCK])

    def __iter__(self) -> Iterator[Received]:
        for block in range(len(self._sealed) + 1):
            for offset, text in enumerate(self._block(block)):
                yield self._received(block * _BLOCK + offset, text)

    def _received(self, index: int, text: str) -> Received:
        return Received(self._at[index], self._events.get(index, ""), text, index in self._torn)

    def _seal(self) -> None:
        self._lengths.append(array("L", map(len, self._open)))
        self._sealed.append(zlib.compress("".join(self._open).encode("utf-8", "surrogatepass"), _LEVEL))
        self._open = list[str]()

    def _block(self, block: int) -> list[str]:
        # looked at in this order, another thread may seal in between
        last = self._open
        if block >= len(self._sealed):
            return last
        number, texts = self._cache
        if number != block:
            joined = zlib.decompress(self._sealed[block]).decode("utf-8", "surrogatepass")
            texts, start = list[str](), 0
            for length in self._lengths[block]:
                texts.append(joined[start : start + length])
                start += length
            self._cache = (block, texts)
        return texts
