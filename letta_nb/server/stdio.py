"""What a tool prints, caught per call: concurrent calls in threads and tasks do not mix; no other print is touched."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TextIO


@dataclass
class Captured:
    """The text one call wrote to each stream."""

    pieces: dict[str, list[str]] = field(default_factory=lambda: {"stdout": [], "stderr": []})

    def text(self, stream: str) -> str:
        """All that was written to `stream`; a lone surrogate, which has no UTF-8, as its escape."""
        return "".join(self.pieces[stream]).encode("utf-8", "backslashreplace").decode()


_current: ContextVar[Captured | None] = ContextVar("letta_nb_captured", default=None)
_lock = Lock()
_active = 0


class _Router:
    """Stands in for sys.stdout or sys.stderr: a tool's writes go to its capture, all others to the real stream."""

    def __init__(self, real: TextIO, stream: str) -> None:
        self._real = real
        self._stream = stream

    def write(self, text: str) -> int:
        captured = _current.get()
        if captured is None:
            return self._real.write(text)
        captured.pieces[self._stream].append(str(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _install() -> None:
    for stream in ("stdout", "stderr"):
        real = getattr(sys, stream)
        if not isinstance(real, _Router):
            setattr(sys, stream, _Router(real, stream))


def _uninstall() -> None:
    # someone may have put their own stream over ours meanwhile: theirs stays
    for stream in ("stdout", "stderr"):
        current = getattr(sys, stream)
        if isinstance(current, _Router):
            setattr(sys, stream, current._real)  # pyright: ignore[reportPrivateUsage]


@contextmanager
def captured() -> Generator[Captured]:
    """Catch what this context prints. The streams are replaced only while some capture is open."""
    global _active
    with _lock:
        _install()
        _active += 1
    output = Captured()
    token = _current.set(output)
    try:
        yield output
    finally:
        _current.reset(token)
        with _lock:
            _active -= 1
            if not _active:
                _uninstall()
