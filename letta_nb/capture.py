"""Runs a function of the notebook and keeps what it prints: per call, so that other prints go where they belong.

A debugger inside the call talks to the person, not to the agent: what it writes goes to the cell, and the time that it
waits is not the function's.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, TextIO, TypeVar, cast

_T = TypeVar("_T")

LIMIT = 1_000_000
# after Stop, a coroutine may clean up for so long
GRACE_S = 1.0
WAKE_S = 0.1
STREAMS = ("stdout", "stderr")
DEBUGGERS = {"bdb", "pdb", "IPython.core.debugger"}


class Kept:
    """Text that can be sent, whatever is written: no lone surrogates, at most `LIMIT` bytes, and how many are lost."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, text: str) -> None:
        # a lone surrogate has no UTF-8: its escape has
        piece = text.encode("utf-8", "backslashreplace")
        if self._size < LIMIT:
            self._pieces.append(piece[: LIMIT - self._size])
        self._size += len(piece)

    def __str__(self) -> str:
        # a character may have been cut at the limit
        text = b"".join(self._pieces).decode("utf-8", "ignore")
        dropped = self._size - LIMIT
        return f"{text}\n[cut here by letta_nb: {dropped:,} more bytes]" if dropped > 0 else text


def printable(text: str) -> str:
    """The text as it can be sent."""
    kept = Kept()
    kept.write(text)
    return str(kept)


class Capture:
    """What one call prints, and how long it runs."""

    def __init__(self) -> None:
        self.streams = {stream: Kept() for stream in STREAMS}
        self.duration_ns = 0
        self.waited_ns = 0

    def text(self, stream: str) -> str:
        """All that was written to `stream`."""
        return str(self.streams[stream])

    def run(self, work: Callable[[], _T]) -> _T:
        """Do `work` and keep its prints, those of its tasks too; threads that it starts print for themselves.

        What does not go through sys.stdout is not seen: a subprocess, a C library, rich output.
        """
        __debuggerskip__ = False
        with _routed():
            token = _current.set(self)
            started = time.perf_counter_ns()
            try:
                return work()
            finally:
                self.duration_ns = time.perf_counter_ns() - started - self.waited_ns
                _current.reset(token)


def called(function: Callable[[], _T]) -> _T:
    """Call it, and let a debugger that it started end with it: a person steps through their code, not through ours."""
    # IPython's debugger stops in no frame that has this name, and in all that such a frame calls if it is False
    __debuggerskip__ = False
    tracing = sys.gettrace()
    try:
        return function()
    finally:
        if sys.gettrace() is not tracing:
            sys.settrace(tracing)


def awaited(awaitable: Awaitable[_T]) -> _T:
    """Wait for it on an event loop in a thread of its own: the loop of a notebook is busy with the cell."""
    __debuggerskip__ = False
    result: Future[_T] = Future()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    stopped = threading.Event()

    async def main() -> _T:
        __debuggerskip__ = False
        running.append((asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())))
        if stopped.is_set():
            raise asyncio.CancelledError
        return await awaitable

    def work() -> None:
        __debuggerskip__ = False
        try:
            result.set_result(called(functools.partial(asyncio.run, main())))
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=copy_context().run, args=(work,), name="letta_nb tool", daemon=True)
    try:
        thread.start()
        # not `join`: interrupted, it takes a thread that lives for a dead one (CPython issue 90882)
        while wait([result], WAKE_S).not_done:
            pass
    except KeyboardInterrupt:
        stopped.set()
        for loop, task in running:
            # it may have ended meanwhile
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        wait([result], GRACE_S)
        raise
    return result.result()


# -- the streams -------------------------------------------------------------------------------------------------------

_current: ContextVar[Capture | None] = ContextVar("letta_nb_capture", default=None)
_lock = threading.Lock()
_open = 0
_installed = ExitStack()


class Router:
    """Stands in for sys.stdout or sys.stderr while calls are kept: their writes go to them, all others pass."""

    def __init__(self, real: TextIO, stream: str) -> None:
        self.real = real
        self._stream = stream

    def write(self, text: str) -> int:
        # who steps into a print is not shown this
        __debuggerskip__ = True
        capture = _current.get()
        if capture is None or _a_debugger_writes():
            return self.real.write(text)
        capture.streams[self._stream].write(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _a_debugger_writes() -> bool:
    """Whether a debugger stands between the write and the call: its own words, and what is evaluated at its prompt."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code is not Capture.run.__code__:
        if frame.f_globals.get("__name__") in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


@contextmanager
def _routed() -> Generator[None]:
    """The streams are replaced, and debuggers timed, only while some call is kept."""
    global _open
    with _lock:
        if not _open:
            _install()
        _open += 1
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                _installed.close()


def _install() -> None:
    for stream in STREAMS:
        real = getattr(sys, stream)
        if real is not None and not isinstance(real, Router):
            setattr(sys, stream, Router(real, stream))
            _installed.callback(_restore, stream)
    if _is_debugpys(sys.breakpointhook):
        _installed.callback(_restore_hook, sys.breakpointhook)
        sys.breakpointhook = sys.__breakpointhook__
    debugger = _debugger()
    _installed.callback(setattr, debugger, "interaction", debugger.interaction)
    debugger.interaction = _off_the_clock(debugger.interaction)


def _restore(stream: str) -> None:
    # someone may have put their own stream over ours meanwhile: theirs stays
    current = getattr(sys, stream)
    if isinstance(current, Router):
        setattr(sys, stream, current.real)


def _is_debugpys(hook: Any) -> bool:
    """Whether `breakpoint()` goes to a debugger that nobody has open, as in every kernel until Lab's is turned on."""
    module = getattr(hook, "__globals__", {}).get("__name__", "")
    return module.startswith("debugpy.") and not sys.modules["debugpy"].is_client_connected()


def _restore_hook(hook: Any) -> None:
    if sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = hook


def _debugger() -> Any:
    """The class of the standard library, which all others extend; a kernel puts its own in the place of `pdb.Pdb`."""
    pdb = importlib.import_module("pdb")
    return next(base for base in pdb.Pdb.__mro__ if base.__module__ == "pdb")


def _off_the_clock(interaction: Callable[..., Any]) -> Callable[..., Any]:
    """The debugger's dialogue with a person, its time noted."""

    @functools.wraps(interaction)
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter_ns()
        try:
            return interaction(*args, **kwargs)
        finally:
            capture = _current.get()
            if capture is not None:
                capture.waited_ns += time.perf_counter_ns() - started

    return timed
