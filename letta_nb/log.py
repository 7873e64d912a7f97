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
    """A sequence of `Received`. `timed` is false for a recording without arrival times.

    One thread may append while others read: each reads what was whole when it began.
    """

    def __init__(self) -> None:
        self._at = array("q")
        self._sealed: list[bytes] = []
        self._lengths: list[array[int]] = []  # characters of each text, a block each
        # the texts that are not sealed yet, and which block they will be: swapped in one assignment
        self._open: tuple[int, list[str]] = (0, [])
        self._events: dict[int, str] = {}  # only the few that are named
        self._torn: set[int] = set()
        self._cache: tuple[int, list[str]] = (-1, [])

    def append(self, received: Received) -> None:
        """Keep one message."""
        at, event, data, torn = received
        block, texts = self._open
        texts.append(data)
        if event:
            self._events[len(self._at)] = event
        if torn:
            self._torn.add(len(self._at))
        # last: other threads read up to the last time
        self._at.append(at)
        if len(texts) == _BLOCK:
            self._seal(block, texts)

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
        return self.since(0)

    def since(self, start: int) -> Iterator[Received]:
        """All from index `start` on that are here now."""
        count = len(self)
        for block in range(start // _BLOCK, -(-count // _BLOCK)):
            texts, first = self._block(block), block * _BLOCK
            for index in range(max(first, start), min(first + _BLOCK, count)):
                yield self._received(index, texts[index - first])

    def _received(self, index: int, text: str) -> Received:
        return Received(self._at[index], self._events.get(index, ""), text, index in self._torn)

    def _seal(self, block: int, texts: list[str]) -> None:
        self._lengths.append(array("L", map(len, texts)))
        self._sealed.append(zlib.compress("".join(texts).encode("utf-8", "surrogatepass"), _LEVEL))
        self._open = (block + 1, [])

    def _block(self, block: int) -> list[str]:
        opened, texts = self._open
        if block == opened:
            return texts
        number, texts = self._cache
        if number != block:
            joined = zlib.decompress(self._sealed[block]).decode("utf-8", "surrogatepass")
            texts, start = list[str](), 0
            for length in self._lengths[block]:
                texts.append(joined[start : start + length])
                start += length
            self._cache = (block, texts)
        return texts
